//! What must hold between runs of one device, whatever the truth is.

use super::Selection;
use super::guarded::Guarded;
use crate::cases::{Case, floats, integers, kind, random, truths};
use crate::oracle::{Limits, Oracle, Terms};
use crate::random::Random;
use crate::verdict::Verdict;
use lockstep_runtime::graph::{Activation, Attention, GeluForm, Linear, Op, Operands, Sequences};
use lockstep_runtime::hal::Support;
use lockstep_runtime::tensor::{AlignedBytes, Bytes, DType, HostTensor};
use lockstep_runtime::{Device, Result};
use serde::Serialize;
use std::sync::Arc;

/// How often a run is repeated.
const REPEATS: usize = 100;

/// A property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Property {
    /// A hundred runs give the same bits.
    SameBitsEveryRun,
    /// A row alone gives the bits that it has in a batch.
    BatchInvariance,
    /// Rows in another order give their bits in that order.
    PermutationEquivariance,
    /// What stands at masked positions does not reach the others.
    PaddingInvariance,
    /// Softmax of scores that are all larger by one amount is the same.
    SoftmaxShift,
    /// LayerNorm of a row that is larger by one amount is the same.
    LayerNormShift,
    /// LayerNorm of a row four times as large, with epsilon to match, is the same.
    LayerNormScale,
    /// A product of operands twice as large is twice as large, to the bit.
    PowerOfTwoScaling,
}

impl Property {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Property::SameBitsEveryRun => "same bits every run",
            Property::BatchInvariance => "batch invariance",
            Property::PermutationEquivariance => "permutation equivariance",
            Property::PaddingInvariance => "padding invariance",
            Property::SoftmaxShift => "softmax shift",
            Property::LayerNormShift => "LayerNorm shift",
            Property::LayerNormScale => "LayerNorm scale",
            Property::PowerOfTwoScaling => "power-of-two scaling",
        }
    }
}

/// One property of one op in one dtype.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyReport {
    /// The property.
    pub property: Property,
    /// The op.
    pub op: String,
    /// The dtype.
    pub dtype: DType,
    /// What follows.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Where it does not hold.
    pub detail: Option<String>,
}

/// An op over rows that do not know of each other: operands whose first axis counts rows, and the others.
struct Rowwise {
    case: Case,
    /// Which operands have a row for each row of the output.
    by_row: Vec<usize>,
    rows: usize,
}

/// Checks every property that a device's profile promises.
pub(super) fn check(
    device: &Arc<dyn Device>,
    dtype: DType,
    selection: &Selection,
) -> Result<Vec<PropertyReport>> {
    let mut checks = Checks { device, dtype, selection, oracle: Oracle::new()?, reports: Vec::new() };
    let mut r = Random(53);
    for rowwise in rowwise(&mut r) {
        checks.rows(&rowwise)?;
    }
    checks.padding(&mut r)?;
    checks.shifts(&mut r)?;
    checks.power_of_two(&mut r)?;
    Ok(checks.reports)
}

fn rowwise(r: &mut Random) -> Vec<Rowwise> {
    let linear = |activation, residual| Op::Linear(Linear { bias: true, activation, residual });
    let gelu = Some(Activation::Gelu(GeluForm::Erf));
    let attention =
        Attention { heads: 2, scale: 0.25, operands: Operands::Merged, sequences: Sequences::Dense };
    let rows = 7;
    let mut of = |op: Op, shapes: &[&[usize]], by_row: &[usize]| {
        let inputs = shapes.iter().map(|shape| random(r, shape, 1.5)).collect();
        Rowwise { case: Case::new(op, inputs), by_row: by_row.to_vec(), rows }
    };
    vec![
        of(Op::LayerNorm { epsilon: 1e-5 }, &[&[rows, 65], &[65], &[65]], &[0]),
        of(Op::AddLayerNorm { epsilon: 1e-5 }, &[&[rows, 65], &[rows, 65], &[65], &[65]], &[0, 1]),
        of(Op::Softmax { axis: 1 }, &[&[rows, 65]], &[0]),
        of(Op::Gelu(GeluForm::Erf), &[&[rows, 65]], &[0]),
        of(linear(None, false), &[&[rows, 65], &[33, 65], &[33]], &[0]),
        of(linear(gelu, false), &[&[rows, 65], &[33, 65], &[33]], &[0]),
        of(linear(None, true), &[&[rows, 65], &[33, 65], &[33], &[rows, 33]], &[0, 3]),
        of(Op::Attention(attention), &[&[rows, 9, 48]], &[0]),
        of(Op::MatMul, &[&[rows, 5, 65], &[65, 9]], &[0]),
    ]
}

/// Rows of a tensor, by their numbers along the first axis.
fn rows_of(tensor: &HostTensor, rows: &[usize]) -> Result<HostTensor> {
    let count = tensor.shape()[0].max(1);
    let width = tensor.bytes().len() / count;
    let bytes: Vec<u8> =
        rows.iter().flat_map(|row| &tensor.bytes()[row * width..(row + 1) * width]).copied().collect();
    let mut shape = tensor.shape().to_vec();
    shape[0] = rows.len();
    Ok(HostTensor::from_bytes(tensor.dtype(), &shape, Bytes::owned(AlignedBytes::copy_of(&bytes)))?)
}

impl Rowwise {
    /// The case of these rows alone.
    fn of_rows(&self, rows: &[usize], dtype: DType) -> Result<Case> {
        let case = self.case.in_dtype(dtype);
        let inputs = case
            .inputs
            .iter()
            .enumerate()
            .map(|(at, x)| if self.by_row.contains(&at) { rows_of(x, rows) } else { Ok(x.clone()) });
        Ok(Case::new(case.op.clone(), inputs.collect::<Result<_>>()?))
    }
}

struct Checks<'a> {
    device: &'a Arc<dyn Device>,
    dtype: DType,
    selection: &'a Selection,
    oracle: Oracle,
    reports: Vec<PropertyReport>,
}

impl Checks<'_> {
    /// Records what `check` finds: nothing for a property that holds, else where it does not.
    fn record(
        &mut self,
        property: Property,
        case: &Case,
        promised: bool,
        check: impl FnOnce(&Self) -> Result<Option<String>>,
    ) -> Result<()> {
        let is_named = |name: &str| self.selection.op.as_ref().is_none_or(|op| op.eq_ignore_ascii_case(name));
        if !is_named(case.op.name()) && !is_named(kind(&case.op)) {
            return Ok(());
        }
        let (verdict, detail) = match super::support(self.device, &case.in_dtype(self.dtype))? {
            Support::No(reason) => (Verdict::Unsupported(reason.to_string()), None),
            _ if !promised => (Verdict::NotRun("the device does not promise it".to_owned()), None),
            _ => match check(self) {
                Ok(None) => (Verdict::Exact, None),
                Ok(detail) => (Verdict::Wrong, detail),
                Err(error) => (Verdict::Crash(error.to_string()), None),
            },
        };
        let op = case.op.name().to_owned();
        self.reports.push(PropertyReport { property, op, dtype: self.dtype, verdict, detail });
        Ok(())
    }

    fn run(&self, case: &Case) -> Result<HostTensor> {
        let arguments = case.arguments();
        Guarded::compile(self.device, &case.op, &arguments)?.run(&arguments)
    }

    fn rows(&mut self, rowwise: &Rowwise) -> Result<()> {
        let promises = &self.device.info().numerics;
        let (deterministic, batch_invariant) = (promises.deterministic, promises.batch_invariant);
        let everything: Vec<usize> = (0..rowwise.rows).collect();
        let whole = rowwise.of_rows(&everything, self.dtype)?;
        self.record(Property::SameBitsEveryRun, &rowwise.case, deterministic, |checks| {
            let arguments = whole.arguments();
            let mut guarded = Guarded::compile(checks.device, &whole.op, &arguments)?;
            let first = guarded.run(&arguments)?;
            for run in 1..REPEATS {
                if guarded.run(&arguments)?.bytes() != first.bytes() {
                    return Ok(Some(format!("run {run} gives other bits than the first")));
                }
            }
            Ok(None)
        })?;
        self.record(Property::BatchInvariance, &rowwise.case, batch_invariant, |checks| {
            let together = checks.run(&whole)?;
            for row in 0..rowwise.rows {
                let alone = checks.run(&rowwise.of_rows(&[row], checks.dtype)?)?;
                if alone.bytes() != rows_of(&together, &[row])?.bytes() {
                    return Ok(Some(format!("row {row} of {} has other bits alone", rowwise.rows)));
                }
            }
            Ok(None)
        })?;
        self.record(Property::PermutationEquivariance, &rowwise.case, batch_invariant, |checks| {
            let order: Vec<usize> = (0..rowwise.rows).map(|at| (at * 3 + 2) % rowwise.rows).collect();
            let permuted = checks.run(&rowwise.of_rows(&order, checks.dtype)?)?;
            let expected = rows_of(&checks.run(&whole)?, &order)?;
            Ok((permuted.bytes() != expected.bytes()).then(|| format!("rows in the order {order:?}")))
        })
    }

    fn padding(&mut self, r: &mut Random) -> Result<()> {
        let attention =
            Attention { heads: 2, scale: 0.5, operands: Operands::Separate, sequences: Sequences::KeyMask };
        let counts = [true, true, true, false, false];
        let mut inputs: Vec<HostTensor> = (0..3).map(|_| random(r, &[1, 5, 8], 1.0)).collect();
        inputs.push(truths(&[1, 5], &counts));
        let case = Case::new(Op::Attention(attention), inputs);
        self.record(Property::PaddingInvariance, &case, true, |checks| {
            let mut other = case.clone();
            for input in &mut other.inputs[1..3] {
                let mut values = input.to_f64();
                values[3 * 8..].iter_mut().for_each(|x| *x = 40.0 - 3.0 * *x);
                *input = floats(&[1, 5, 8], &values);
            }
            let (a, b) =
                (checks.run(&case.in_dtype(checks.dtype))?, checks.run(&other.in_dtype(checks.dtype))?);
            Ok((a.bytes() != b.bytes()).then(|| "other values at masked keys change the result".to_owned()))
        })
    }

    /// The results of two cases that must be the same number may differ by what each may be off.
    fn same_within_bounds(&self, a: &Case, b: &Case) -> Result<Option<String>> {
        let held = |case: &Case| -> Result<(HostTensor, Limits)> {
            let case = case.in_dtype(self.dtype);
            let arguments = case.arguments();
            let truth = self.oracle.truth("property", &case.op, &arguments)?.swap_remove(0);
            let accumulate = match super::support(self.device, &case)? {
                Support::Native(claim) => claim.accumulate,
                _ => self.dtype,
            };
            let terms = Terms { accumulate, profile: &self.device.info().numerics };
            let limits = self.oracle.limits(&case.op, &arguments, &truth, self.dtype, terms)?;
            Ok((self.run(&case)?, limits))
        };
        let ((a, a_limits), (b, b_limits)) = (held(a)?, held(b)?);
        let bounds = a_limits.worst_case.iter().zip(&b_limits.worst_case);
        let mut pairs = a.to_f64().into_iter().zip(b.to_f64()).zip(bounds).enumerate();
        let apart =
            pairs.find(|(_, ((a, b), (of_a, of_b)))| (a - b).is_nan() || (a - b).abs() > *of_a + *of_b);
        Ok(apart.map(|(at, ((a, b), _))| format!("element {at} is {a:e} and {b:e}")))
    }

    fn shifts(&mut self, r: &mut Random) -> Result<()> {
        // Multiples of an eighth, so that shifts and scales are exact in every dtype.
        let eighths: Vec<f64> = (0..3 * 17).map(|_| r.below(32) as f64 / 8.0).collect();
        let moved =
            |by: &dyn Fn(f64) -> f64| floats(&[3, 17], &eighths.iter().map(|&x| by(x)).collect::<Vec<_>>());
        let (gamma, beta) = (random(r, &[17], 1.0), random(r, &[17], 1.0));
        let softmax = |x: HostTensor| Case::new(Op::Softmax { axis: 1 }, vec![x]);
        let norm = |x: HostTensor, epsilon: f64| {
            Case::new(Op::LayerNorm { epsilon }, vec![x, gamma.clone(), beta.clone()])
        };
        let (x, shifted, scaled) = (moved(&|x| x), moved(&|x| x + 8.0), moved(&|x| 4.0 * x));
        let epsilon = 2f64.powi(-17);
        let pairs = [
            (Property::SoftmaxShift, softmax(x.clone()), softmax(shifted.clone())),
            (Property::LayerNormShift, norm(x.clone(), epsilon), norm(shifted, epsilon)),
            (Property::LayerNormScale, norm(x, epsilon), norm(scaled, 16.0 * epsilon)),
        ];
        for (property, a, b) in pairs {
            self.record(property, &a, true, |checks| checks.same_within_bounds(&a, &b))?;
        }
        Ok(())
    }

    fn power_of_two(&mut self, r: &mut Random) -> Result<()> {
        let (x, weight) = (random(r, &[5, 65], 1.0), random(r, &[65, 9], 1.0));
        let twice = floats(&[5, 65], &x.to_f64().iter().map(|x| 2.0 * x).collect::<Vec<_>>());
        let once = Case::new(Op::MatMul, vec![x, weight.clone()]);
        let doubled = Case::new(Op::MatMul, vec![twice, weight]);
        self.record(Property::PowerOfTwoScaling, &once, true, |checks| {
            let (a, b) =
                (checks.run(&once.in_dtype(checks.dtype))?, checks.run(&doubled.in_dtype(checks.dtype))?);
            let differs = a.to_f64().iter().zip(b.to_f64()).position(|(a, b)| 2.0 * a != b);
            Ok(differs.map(|at| format!("element {at}")))
        })?;
        let order = Case::new(
            Op::IndexAdd { axis: 0 },
            vec![random(r, &[4, 3], 1.0), integers(&[6], &[1, 1, 3, 1, 0, 3]), random(r, &[6, 3], 1.0)],
        );
        let deterministic = self.device.info().numerics.deterministic;
        self.record(Property::SameBitsEveryRun, &order, deterministic, |checks| {
            let case = order.in_dtype(checks.dtype);
            let first = checks.run(&case)?;
            for run in 1..REPEATS {
                if checks.run(&case)?.bytes() != first.bytes() {
                    return Ok(Some(format!("run {run} gives other bits than the first")));
                }
            }
            Ok(None)
        })
    }
}
