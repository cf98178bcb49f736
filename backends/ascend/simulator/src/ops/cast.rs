//! Conversions between types: floats round half to even, and become integers by truncation and saturation, NaN as
//! 0. The latter is our choice; what the device gives is not documented.

use super::access::{Access, copy_elements};
use super::check;
use super::pointwise::mismatch;
use crate::exports::operators;
use crate::meta::executor::{Fault, Launch, Operand, Planned, Refusal};
use crate::numerics::promote::{Kind, kind};
use crate::numerics::{Number, Rounding};
use crate::view::View;
use lockstep_ascend_abi::{aclDataType, aclTensor};

/// Types that are converted: those of arithmetic and the unsigned ones.
const CONVERTED: &[aclDataType] = &[
    aclDataType::FLOAT,
    aclDataType::FLOAT16,
    aclDataType::BF16,
    aclDataType::DOUBLE,
    aclDataType::INT64,
    aclDataType::INT32,
    aclDataType::INT16,
    aclDataType::INT8,
    aclDataType::UINT64,
    aclDataType::UINT32,
    aclDataType::UINT16,
    aclDataType::UINT8,
    aclDataType::BOOL,
];

/// Elements that are converted at a time.
const BLOCK: usize = 1024;

/// Converts the elements of `from` to those of `to`, in row-major order; both have as many.
///
/// # Errors
/// As for [`Access::of`].
pub(super) fn convert(from: &View, to: &View, launch: &Launch<'_>) -> Result<(), Fault> {
    if from.dtype == to.dtype {
        return copy_elements(from, to);
    }
    let rounding = Rounding::of(launch.settings);
    let (source, target) = (Access::of(from, rounding)?, Access::of(to, rounding)?);
    let is_float = |dtype| kind(dtype) == Some(Kind::Float);
    let has = |dtype| from.dtype == dtype || to.dtype == dtype;
    // An unsigned 64-bit integer beyond i64 is a number only as f64.
    if has(aclDataType::DOUBLE) || (from.dtype == aclDataType::UINT64 && is_float(to.dtype)) {
        convert_in::<f64>(&source, &target);
    } else if is_float(from.dtype) {
        convert_in::<f32>(&source, &target);
    } else {
        convert_in::<i64>(&source, &target);
    }
    Ok(())
}

fn convert_in<C: Number>(source: &Access, target: &Access) {
    let mut block = [C::ZERO; BLOCK];
    let count = source.count().min(target.count());
    for start in (0..count).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(count - start)];
        source.load(start, block);
        target.store(start, block);
    }
}

/// Operand `from`, broadcast to the extents of operand `to`, converted to its type.
pub(crate) fn converting(from: usize, to: usize) -> Planned {
    Planned {
        workspace: 0,
        kernel: Box::new(move |launch| {
            let target = launch.view(to);
            let source = launch.view(from);
            let source =
                source.broadcast_to(&target.dims).ok_or_else(|| mismatch(&source.dims, &target.dims))?;
            convert(&source, target, launch)
        }),
    }
}

use Operand as Op;

operators! { elementwise;
    fn aclnnCastGetWorkspaceSize(
        self_: *const aclTensor, dtype: aclDataType, out: *mut aclTensor,
    ) then aclnnCast
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        check::plain(tensors)?;
        check::dtype(&tensors[0], CONVERTED)?;
        check::dtype(&tensors[1], CONVERTED)?;
        if tensors[1].dtype != dtype {
            return Err(Refusal::invalid(format!("dtype of out is {:?}, expected {dtype:?}", tensors[1].dtype)));
        }
        check::dims(&tensors[1], &tensors[0].dims)?;
        Ok(converting(0, 1))
    }
}

/// Assignments: they differ from casts in that the source broadcasts.
mod assignment {
    use super::*;

    operators! { layout;
        fn aclnnInplaceCopyGetWorkspaceSize(
            self_ref: *mut aclTensor, src: *const aclTensor,
        ) then aclnnInplaceCopy
        takes [Op::output(self_ref, "selfRef"), Op::input(src, "src")]
        plans |tensors| {
            check::plain(tensors)?;
            check::dtype(&tensors[0], CONVERTED)?;
            check::dtype(&tensors[1], CONVERTED)?;
            check::broadcasts_to(&tensors[1], &tensors[0].dims)?;
            Ok(converting(1, 0))
        }
    }
}
