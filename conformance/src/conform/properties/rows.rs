//! Rows that do not know of each other.

use super::{Checks, Property};
use crate::cases::{Case, integers, random};
use crate::conform::guarded::Guarded;
use crate::random::Random;
use lockstep_runtime::Result;
use lockstep_runtime::graph::{Activation, Attention, GeluForm, Linear, Op, Operands, Sequences};
use lockstep_runtime::tensor::{AlignedBytes, Bytes, DType, HostTensor};

/// How often a run is repeated.
const REPEATS: usize = 100;

/// An op over rows that do not know of each other: operands whose first axis counts rows, and the others.
struct Rowwise {
    case: Case,
    /// Which operands have a row for each row of the output.
    by_row: Vec<usize>,
    rows: usize,
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

impl Checks<'_, '_> {
    pub(super) fn rows(&mut self, r: &mut Random) -> Result<()> {
        for rowwise in rowwise(r) {
            self.row_by_row(&rowwise)?;
        }
        self.index_sums(r)
    }

    fn row_by_row(&mut self, rowwise: &Rowwise) -> Result<()> {
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

    /// Sums by index, where an unordered addition would show.
    fn index_sums(&mut self, r: &mut Random) -> Result<()> {
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
