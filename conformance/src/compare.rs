//! Differences between two tensors.

use lockstep_runtime::tensor::HostTensor;
use serde::Serialize;

/// How far two tensors of one shape are apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The largest absolute difference; infinite where one is NaN and the other is not.
    pub max_abs: f64,
    /// The root of the mean squared difference.
    pub rms: f64,
    /// The cosine of the angle between them; 1 for two zero tensors.
    pub cosine: f64,
    /// The mean squared difference over the second tensor's mean square (normalised mean squared error).
    pub nmse: f64,
}

impl Difference {
    /// The error relative to the size of what it is an error of: the root of [`Difference::nmse`].
    pub fn relative(&self) -> f64 {
        self.nmse.sqrt()
    }
}

/// Compares `a` with `b`, the one to be trusted, element by element, in f64. `None` if the shapes differ.
pub fn difference(a: &HostTensor, b: &HostTensor) -> Option<Difference> {
    if a.shape() != b.shape() {
        return None;
    }
    let (a, b) = (a.to_f64(), b.to_f64());
    let apart = |x: f64, y: f64| match (x.is_nan(), y.is_nan()) {
        (true, true) => 0.0,
        (false, false) if x == y => 0.0,
        (false, false) => (x - y).abs(),
        _ => f64::INFINITY,
    };
    let pairs = || a.iter().zip(&b);
    let max_abs = pairs().fold(0.0, |max: f64, (x, y)| max.max(apart(*x, *y)));
    let squares: f64 = pairs().map(|(x, y)| apart(*x, *y).powi(2)).sum();
    let dot: f64 = pairs().map(|(x, y)| x * y).sum();
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let norms = norm(&a) * norm(&b);
    let cosine = if norms == 0.0 { f64::from(norm(&a) == norm(&b)) } else { dot / norms };
    let size = norm(&b).powi(2);
    let nmse = if squares == 0.0 { 0.0 } else { squares / size };
    Some(Difference { max_abs, rms: (squares / a.len().max(1) as f64).sqrt(), cosine, nmse })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(data: &[f64]) -> HostTensor {
        HostTensor::from_slice(&[data.len()], data).unwrap()
    }

    #[test]
    fn a_nan_on_one_side_is_infinitely_far() {
        let found = difference(&tensor(&[1.0, f64::NAN]), &tensor(&[1.0, 2.0])).unwrap();
        assert_eq!(found.max_abs, f64::INFINITY);
        assert_eq!(difference(&tensor(&[f64::NAN]), &tensor(&[f64::NAN])).unwrap().max_abs, 0.0);
    }

    #[test]
    fn equal_infinities_are_equal() {
        assert_eq!(difference(&tensor(&[f64::INFINITY]), &tensor(&[f64::INFINITY])).unwrap().max_abs, 0.0);
    }

    #[test]
    fn shapes_must_agree() {
        assert!(difference(&tensor(&[1.0]), &tensor(&[1.0, 2.0])).is_none());
    }
}
