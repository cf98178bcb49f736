//! How one result compares with its truth: as a multiple of its bound, in units in the last place, and where it is worst.

use crate::oracle::Limits;
use crate::ulp::{UlpPercentiles, histogram, percentiles, ulps};
use crate::verdict::Verdict;
use lockstep_runtime::Result;
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::HostTensor;
use serde::Serialize;

/// So many elements are named: enough to see a pattern in their places.
const MOST_ELEMENTS: usize = 5;

/// One element and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Element {
    /// Its place in the output, outermost first.
    pub at: Vec<usize>,
    /// What the device gave.
    pub found: f64,
    /// What the trusted device gave on the same values; `None` where it was not asked or is the truth itself.
    pub trusted: Option<f64>,
    /// What is right.
    pub truth: f64,
    /// How far apart they may be at worst.
    pub bound: f64,
}

/// How one output of one op compares with its truth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// What follows from it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The largest error as a multiple of the worst-case bound; infinite for a NaN or infinity out of place.
    pub of_worst_case: f64,
    /// The largest error as a multiple of the probable bound.
    pub of_probable: f64,
    /// The root of the mean squared error.
    pub rms_error: f64,
    /// Distances from the truth rounded to storage; all 0 for other than floats.
    pub ulp: UlpPercentiles,
    /// How many elements are at which distance, as [`histogram`] counts them; empty for other than floats.
    pub ulp_histogram: Vec<usize>,
    /// Elements of another class than the truth: NaN, an infinity or a number in place of another.
    pub class_mismatches: usize,
    /// The elements with the largest multiples, the worst first.
    pub worst: Vec<Element>,
}

/// NaN, an infinity with its sign, or a number.
fn class(x: f64) -> u8 {
    match x {
        x if x.is_nan() => 0,
        f64::INFINITY => 1,
        f64::NEG_INFINITY => 2,
        _ => 3,
    }
}

impl Judgement {
    /// For what must be equal: integers, truth values, shapes.
    pub(crate) fn of_equality(truth: &HostTensor, found: &HostTensor) -> Self {
        let same = found.shape() == truth.shape() && found.bytes() == truth.bytes();
        let (wanted, given) = (truth.to_f64(), found.to_f64());
        let differing = (0..wanted.len().min(given.len())).filter(|&at| wanted[at] != given[at]);
        let worst = differing.filter(|_| found.shape() == truth.shape()).take(MOST_ELEMENTS);
        let multiple = if same { 0.0 } else { f64::INFINITY };
        Self {
            verdict: if same { Verdict::Exact } else { Verdict::Wrong },
            of_worst_case: multiple,
            of_probable: multiple,
            rms_error: 0.0,
            ulp: UlpPercentiles::default(),
            ulp_histogram: Vec::new(),
            class_mismatches: 0,
            worst: worst
                .map(|at| Element {
                    at: coordinates(at, truth.shape()),
                    found: given[at],
                    trusted: None,
                    truth: wanted[at],
                    bound: 0.0,
                })
                .collect(),
        }
    }

    /// For floats, with a limit for each element.
    pub(crate) fn of_floats(truth: &HostTensor, found: &HostTensor, limits: &Limits) -> Result<Self> {
        let Limits { worst_case, probable } = limits;
        let rounded = truth.cast(found.dtype())?;
        let (wanted, nearest, given) = (truth.to_f64(), rounded.to_f64(), found.to_f64());
        let (mut exact, mut class_mismatches, mut squares) = (true, 0, 0.0);
        let (mut of_probable, mut worst) = (0.0f64, Worst::default());
        // Both sides of a comparison in f64 are off.
        let both = if found.dtype() == DType::F64 { 2.0 } else { 1.0 };
        for at in 0..given.len() {
            let (y, t) = (given[at], wanted[at]);
            if y == nearest[at] || (y.is_nan() && t.is_nan()) {
                squares += if y.is_finite() { (y - t).powi(2) } else { 0.0 };
                continue;
            }
            exact = false;
            // A partial result may have overflowed.
            if worst_case[at] == f64::INFINITY {
                continue;
            }
            let error = (y - t).abs();
            // A number next to the overflow threshold may round to either side of it.
            let is_near = error <= both * worst_case[at];
            if class(y) != class(nearest[at]) && !is_near {
                class_mismatches += 1;
            }
            let multiple = |bound: f64| match error / (both * bound) {
                ratio if ratio.is_nan() => f64::INFINITY,
                ratio => ratio,
            };
            squares += if error.is_finite() { error * error } else { 0.0 };
            of_probable = of_probable.max(multiple(probable[at]));
            worst.add(at, multiple(worst_case[at]));
        }
        let of_worst_case = worst.0.first().map_or(0.0, |(_, multiple)| *multiple);
        let verdict = match () {
            () if exact => Verdict::Exact,
            () if of_worst_case > 1.0 => Verdict::Wrong,
            () if of_probable > 1.0 => Verdict::Suspect,
            () => Verdict::Within,
        };
        let distances = ulps(&rounded, found).unwrap_or_default();
        let element = |&(at, _): &(usize, f64)| Element {
            at: coordinates(at, truth.shape()),
            found: given[at],
            trusted: None,
            truth: wanted[at],
            bound: both * worst_case[at],
        };
        Ok(Self {
            verdict,
            of_worst_case,
            of_probable,
            rms_error: (squares / given.len().max(1) as f64).sqrt(),
            ulp_histogram: histogram(&distances),
            ulp: percentiles(distances),
            class_mismatches,
            worst: worst.0.iter().map(element).collect(),
        })
    }

    /// Notes what the trusted device gave for the worst elements.
    pub(crate) fn note_trusted(&mut self, trusted: &HostTensor) {
        let values = trusted.to_f64();
        for element in &mut self.worst {
            let places = element.at.iter().zip(trusted.shape());
            let flat = places.fold(0, |flat, (at, extent)| flat * extent + at);
            element.trusted = values.get(flat).copied();
        }
    }
}

/// The places of the largest multiples, the largest first.
#[derive(Default)]
struct Worst(Vec<(usize, f64)>);

impl Worst {
    fn add(&mut self, at: usize, multiple: f64) {
        let place = self.0.partition_point(|(_, other)| *other >= multiple);
        if place < MOST_ELEMENTS && multiple > 0.0 {
            self.0.truncate(MOST_ELEMENTS - 1);
            self.0.insert(place, (at, multiple));
        }
    }
}

/// The place of a flat index.
fn coordinates(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (place, &extent) in at.iter_mut().zip(shape).rev() {
        *place = flat % extent.max(1);
        flat /= extent.max(1);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_count_from_the_innermost() {
        assert_eq!(coordinates(23, &[2, 3, 4]), [1, 2, 3]);
        assert!(coordinates(0, &[]).is_empty());
    }

    #[test]
    fn the_worst_elements_come_first_and_are_few() {
        let mut worst = Worst::default();
        for (at, multiple) in [0.5, 0.0, 3.0, f64::INFINITY, 1.0, 0.7, 0.6, 2.0].into_iter().enumerate() {
            worst.add(at, multiple);
        }
        let places: Vec<usize> = worst.0.iter().map(|(at, _)| *at).collect();
        assert_eq!(places, [3, 2, 7, 4, 5]);
    }

    #[test]
    fn elements_carry_what_the_trusted_device_gave() {
        let tensor = |values: &[f32]| HostTensor::from_slice(&[2, 2], values).unwrap();
        let truth = tensor(&[1.0, 2.0, 3.0, 4.0]).cast(DType::F64).unwrap();
        let limits = Limits { worst_case: vec![1e-3; 4], probable: vec![1e-4; 4] };
        let mut judgement = Judgement::of_floats(&truth, &tensor(&[1.0, 2.0, 3.5, 4.25]), &limits).unwrap();
        judgement.note_trusted(&tensor(&[10.0, 20.0, 30.0, 40.0]));
        let seen: Vec<_> = judgement.worst.iter().map(|e| (e.at.clone(), e.trusted)).collect();
        assert_eq!(seen, [(vec![1, 0], Some(30.0)), (vec![1, 1], Some(40.0))]);
        assert_eq!(judgement.ulp_histogram.iter().sum::<usize>(), 4);
    }
}
