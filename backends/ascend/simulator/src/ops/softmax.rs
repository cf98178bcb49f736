//! Softmax and its relatives: f16 takes the maximum and the distance to it in f16, the rest is f32.

use super::axes::Rows;
use super::check;
use super::pointwise::{Computation, computed_in, mismatch};
use crate::exports::operators;
use crate::meta::executor::{Fault, Launch, Operand, Planned, Refusal, Tensors};
use crate::numerics::elementary::Elementary;
use crate::numerics::promote::{FLOATS, REALS};
use crate::numerics::recipes::{self, Scale, Statistics};
use crate::numerics::{Numerics, Rounding};
use lockstep_ascend_abi::{aclDataType, aclTensor};

/// What the maximum and the distance to it are rounded to.
fn statistics(dtype: aclDataType, launch: &Launch<'_>) -> Statistics {
    if dtype == aclDataType::FLOAT16 && launch.settings.numerics == Numerics::Published {
        Statistics::ThroughF16
    } else {
        Statistics::Wide
    }
}

/// Softmax of operand 0 along `dim` in operand 1.
pub(crate) fn softmax(tensors: &Tensors, dim: i64, scale: Scale) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    let (x, out) = (&tensors[0], &tensors[1]);
    check::dtype(x, REALS)?;
    check::dtype(out, REALS)?;
    check::dims(out, &x.dims)?;
    let axis = check::axis(dim, x.dims.len(), "dim")?;
    let axes: Vec<usize> = if x.dims.is_empty() { Vec::new() } else { vec![axis] };
    Ok(Planned {
        workspace: 0,
        kernel: Box::new(move |launch| match computed_in(launch.view(0).dtype, launch) {
            Computation::Single => softmax_in::<f32>(launch, &axes, scale),
            _ => softmax_in::<f64>(launch, &axes, scale),
        }),
    })
}

fn softmax_in<C: Elementary>(launch: &Launch<'_>, axes: &[usize], scale: Scale) -> Result<(), Fault> {
    let rounding = Rounding::of(launch.settings);
    let statistics = statistics(launch.view(0).dtype, launch);
    let x = Rows::over(launch.view(0), axes, rounding)?;
    let out = Rows::over(launch.view(1), axes, rounding)?;
    let (mut row, mut scratch) = (vec![C::ZERO; x.len], Vec::new());
    for index in 0..x.count {
        x.load(index, &mut row);
        recipes::softmax(&mut row, scale, statistics, &mut scratch);
        out.store(index, &row);
    }
    Ok(())
}

/// What a score becomes where the mask is true. Our reading, after the operator's origin in Megatron.
const MASKED: f64 = -10_000.0;

fn masked_softmax_in<C: Elementary>(launch: &Launch<'_>, scale: f64) -> Result<(), Fault> {
    let rounding = Rounding::of(launch.settings);
    let (x, y) = (launch.view(0), launch.view(2));
    let mask = launch.view(1);
    let mask = mask.broadcast_to(&x.dims).ok_or_else(|| mismatch(&mask.dims, &x.dims))?;
    let [x, mask, y] = [x, &mask, y].map(|view| Rows::over(view, &[3], rounding));
    let (x, mask, y) = (x?, mask?, y?);
    let (scale, masked) = (C::of_f64(scale), C::of_f64(MASKED));
    let (mut row, mut masks, mut scratch) = (vec![C::ZERO; x.len], vec![0i64; x.len], Vec::new());
    for index in 0..x.count {
        x.load(index, &mut row);
        mask.load(index, &mut masks);
        for (score, is_masked) in row.iter_mut().zip(&masks) {
            *score = if *is_masked == 0 { score.multiply(scale) } else { masked };
        }
        recipes::softmax(&mut row, Scale::Probability, Statistics::Wide, &mut scratch);
        y.store(index, &row);
    }
    Ok(())
}

use Operand as Op;

operators! { activation;
    fn aclnnSoftmaxGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, out: *mut aclTensor,
    ) then aclnnSoftmax
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { softmax(tensors, dim, Scale::Probability) }

    fn aclnnLogSoftmaxGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, out: *mut aclTensor,
    ) then aclnnLogSoftmax
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { softmax(tensors, dim, Scale::Logarithm) }

    fn aclnnScaledMaskedSoftmaxGetWorkspaceSize(
        x: *const aclTensor, mask: *const aclTensor, scale: f64, fixed_triu_mask: bool, y: *mut aclTensor,
    ) then aclnnScaledMaskedSoftmax
    takes [Op::input(x, "x"), Op::input(mask, "mask"), Op::output(y, "y")]
    plans |tensors| {
        check::plain(tensors)?;
        let (x, mask, y) = (&tensors[0], &tensors[1], &tensors[2]);
        check::dtype(x, FLOATS)?;
        check::dtype(mask, &[aclDataType::BOOL])?;
        check::same_dtype(y, x)?;
        check::axes(x, 4..=4)?;
        check::axes(mask, 4..=4)?;
        check::broadcasts_to(mask, &x.dims)?;
        check::dims(y, &x.dims)?;
        if fixed_triu_mask {
            return Err(Refusal::invalid("fixedTriuMask is true, expected false"));
        }
        Ok(Planned {
            workspace: 0,
            kernel: Box::new(move |launch| match computed_in(launch.view(0).dtype, launch) {
                Computation::Single => masked_softmax_in::<f32>(launch, scale),
                _ => masked_softmax_in::<f64>(launch, scale),
            }),
        })
    }
}
