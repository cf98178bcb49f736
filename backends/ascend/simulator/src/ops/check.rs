//! What phase 1 asks of operands, in words that say which parameter is what and what was expected.

use crate::meta::executor::{Described, Refusal, Tensors};
use crate::numerics::promote::can_cast;
use crate::numerics::storage::Element;
use lockstep_ascend_abi::{aclDataType, aclFormat};

/// Axes that an operator takes at most, unless it says otherwise.
const MAXIMUM_AXES: usize = 8;

/// Every operand is in a plain format and has at most 8 axes.
pub(crate) fn plain(tensors: &Tensors) -> Result<(), Refusal> {
    (0..tensors.len()).filter_map(|index| tensors.optional(index)).try_for_each(plain_format)
}

/// The operand is in a plain format, not in one of the device's own, and has at most 8 axes.
pub(crate) fn plain_format(tensor: &Described) -> Result<(), Refusal> {
    if is_private(tensor.format) {
        return Err(Refusal::invalid(format!(
            "format of {} is {:?}, a private one, expected ACL_FORMAT_ND",
            tensor.name, tensor.format
        )));
    }
    axes(tensor, 0..=MAXIMUM_AXES)
}

/// Whether a format is one of the device's own tiled ones.
pub(crate) fn is_private(format: aclFormat) -> bool {
    [
        aclFormat::NC1HWC0,
        aclFormat::FRACTAL_Z,
        aclFormat::NC1HWC0_C04,
        aclFormat::FRACTAL_NZ,
        aclFormat::NDC1HWC0,
        aclFormat::FRACTAL_Z_3D,
        aclFormat::FRACTAL_NZ_C0_16,
        aclFormat::FRACTAL_NZ_C0_32,
        aclFormat::FRACTAL_NZ_C0_2,
        aclFormat::FRACTAL_NZ_C0_4,
        aclFormat::FRACTAL_NZ_C0_8,
    ]
    .contains(&format)
}

/// The operand has so many axes.
pub(crate) fn axes(tensor: &Described, count: core::ops::RangeInclusive<usize>) -> Result<(), Refusal> {
    if count.contains(&tensor.dims.len()) {
        return Ok(());
    }
    let (name, dims) = (tensor.name, &tensor.dims);
    Err(Refusal::invalid(if count.start() == count.end() {
        format!("{name} is {dims:?}, expected {} axes", count.start())
    } else {
        format!("{name} is {dims:?}, expected {} to {} axes", count.start(), count.end())
    }))
}

/// The operand's dtype is one of these.
pub(crate) fn dtype(tensor: &Described, accepted: &[aclDataType]) -> Result<(), Refusal> {
    if accepted.contains(&tensor.dtype) {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "dtype of {} is {:?}, expected one of {accepted:?}",
        tensor.name, tensor.dtype
    )))
}

/// The operand's dtype is that of another.
pub(crate) fn same_dtype(tensor: &Described, other: &Described) -> Result<(), Refusal> {
    if tensor.dtype == other.dtype {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "dtype of {} is {:?}, expected {:?} as {}",
        tensor.name, tensor.dtype, other.dtype, other.name
    )))
}

/// Both operands have one type, which is one that kernels move.
pub(crate) fn movable(from: &Described, to: &Described) -> Result<(), Refusal> {
    if Element::of(from.dtype).is_none() {
        return Err(Refusal::invalid(format!(
            "dtype of {} is {:?}, which is not moved",
            from.name, from.dtype
        )));
    }
    same_dtype(to, from)
}

/// An index: i32 or i64.
pub(crate) fn index_dtype(tensor: &Described) -> Result<(), Refusal> {
    dtype(tensor, &[aclDataType::INT32, aclDataType::INT64])
}

/// A result of `dtype` may be stored in the operand.
pub(crate) fn castable(dtype: aclDataType, into: &Described) -> Result<(), Refusal> {
    if can_cast(dtype, into.dtype) {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "dtype of {} is {:?}, into which a result of {dtype:?} is not cast",
        into.name, into.dtype
    )))
}

/// The operand has exactly these extents.
pub(crate) fn dims(tensor: &Described, expected: &[i64]) -> Result<(), Refusal> {
    if tensor.dims == expected {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{} is {:?}, expected {expected:?}", tensor.name, tensor.dims)))
}

/// The extents of operands together, by the usual rules: axes align at the end, extent 1 repeats.
pub(crate) fn broadcast(operands: &[&Described]) -> Result<Vec<i64>, Refusal> {
    let mut together: Vec<i64> = Vec::new();
    for operand in operands {
        together = broadcast_dims(&together, &operand.dims).ok_or_else(|| {
            let shapes: Vec<String> =
                operands.iter().map(|operand| format!("{} {:?}", operand.name, operand.dims)).collect();
            Refusal::invalid(format!("{} do not broadcast", shapes.join(" and ")))
        })?;
    }
    Ok(together)
}

/// As [`broadcast`], of two lists of extents.
pub(crate) fn broadcast_dims(a: &[i64], b: &[i64]) -> Option<Vec<i64>> {
    let axes = a.len().max(b.len());
    let extent =
        |dims: &[i64], axis: usize| (axis + dims.len()).checked_sub(axes).map_or(1, |axis| dims[axis]);
    (0..axes)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (a, b) if a == b => Some(a),
            (1, other) | (other, 1) => Some(other),
            _ => None,
        })
        .collect()
}

/// The operand broadcasts to these extents.
pub(crate) fn broadcasts_to(tensor: &Described, to: &[i64]) -> Result<(), Refusal> {
    if broadcast_dims(&tensor.dims, to).is_some_and(|dims| dims == to) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{} is {:?}, which does not broadcast to {to:?}", tensor.name, tensor.dims)))
}

/// The axis that `dim` means of so many; negative ones count from the end. A scalar has one axis of one element.
pub(crate) fn axis(dim: i64, axes: usize, name: &str) -> Result<usize, Refusal> {
    let count = axes.max(1) as i64;
    if (-count..count).contains(&dim) {
        return Ok(dim.rem_euclid(count) as usize);
    }
    Err(Refusal::invalid(format!("{name} is {dim}, expected {} to {}", -count, count - 1)))
}

/// The axes that `dims` mean, ascending; all of them if there are none.
pub(crate) fn distinct_axes(dims: &[i64], axes: usize, name: &str) -> Result<Vec<usize>, Refusal> {
    if dims.is_empty() {
        return Ok((0..axes).collect());
    }
    let mut found = dims.iter().map(|dim| axis(*dim, axes, name)).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    if found.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Refusal::invalid(format!("{name} is {dims:?}, which names an axis twice")));
    }
    found.retain(|axis| *axis < axes);
    Ok(found)
}
