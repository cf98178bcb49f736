//! Operators that take indices. The device checks none of them: what lies outside corrupts memory or reads
//! another's, so here it is a fault of the vector cores, told at the next synchronisation.

mod accumulate;

use super::access::{Access, copy_elements};
use super::axes::permuted;
use super::check;
use crate::exports::operators;
use crate::meta::executor::{Described, Fault, Launch, Operand, Planned, Refusal, Tensors};
use crate::numerics::Rounding;
use crate::view::{View, contiguous_strides};
use lockstep_ascend_abi::{aclDataType, aclTensor};

/// The indices of a view, each below `extent`.
fn indices(view: &View, extent: i64) -> Result<Vec<i64>, Fault> {
    let indices = Access::of(view, Rounding::default())?.all::<i64>();
    match indices.iter().position(|index| !(0..extent).contains(index)) {
        None => Ok(indices),
        Some(position) => Err(Fault::new(
            507_035,
            format!(
                "index {} at position {position} is outside 0 to {}: the address is out of bounds",
                indices[position],
                extent - 1
            ),
        )),
    }
}

/// Slices of operand 0 along `axis` in operand 2, as operand 1 says; its axes take the place of that one.
pub(crate) fn take(tensors: &Tensors, axis: usize) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    let (x, index, out) = (&tensors[0], &tensors[1], &tensors[2]);
    check::movable(x, out)?;
    check::index_dtype(index)?;
    check::axes(x, 1..=8)?;
    let dims = [&x.dims[..axis], &index.dims, &x.dims[axis + 1..]].concat();
    check::dims(out, &dims)?;
    let index_axes = index.dims.len();
    Ok(Planned { workspace: 0, kernel: Box::new(move |launch| take_slices(launch, axis, index_axes)) })
}

fn take_slices(launch: &Launch<'_>, axis: usize, index_axes: usize) -> Result<(), Fault> {
    let (x, out) = (launch.view(0), launch.view(2));
    let indices = indices(launch.view(1), x.dims[axis])?;
    // Both with the indexed axes first: then a slice is what remains.
    let first = |view: &View, axes: core::ops::Range<usize>| {
        let others = (0..view.dims.len()).filter(|at| !axes.contains(at));
        permuted(view, &axes.clone().chain(others).collect::<Vec<_>>())
    };
    let (x, out) = (first(x, axis..axis + 1), first(out, axis..axis + index_axes));
    let positions = View {
        dims: out.dims[..index_axes].to_vec(),
        strides: out.strides[..index_axes].to_vec(),
        ..out.clone()
    };
    let slice = |view: &View, axes: usize, offset: i64| {
        let size = crate::view::element_size(view.dtype).unwrap_or(1) as isize;
        View {
            dtype: view.dtype,
            dims: view.dims[axes..].to_vec(),
            strides: view.strides[axes..].to_vec(),
            data: view.data.wrapping_offset((offset as isize).saturating_mul(size)),
        }
    };
    for (index, position) in indices.iter().zip(positions.offsets()) {
        let from = slice(&x, 1, index.saturating_mul(x.strides[0]));
        copy_elements(&from, &slice(&out, index_axes, position as i64))?;
    }
    Ok(())
}

/// Element by element: `out[.., i, ..] = x[.., index[.., i, ..], ..]` along `axis`.
fn gather(tensors: &Tensors, axis: usize) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    let (x, index, out) = (&tensors[0], &tensors[1], &tensors[2]);
    check::movable(x, out)?;
    check::index_dtype(index)?;
    check::dims(out, &index.dims)?;
    check::axes(x, 1..=8)?;
    within(index, x, axis)?;
    Ok(Planned {
        workspace: 0,
        kernel: Box::new(move |launch| {
            let (x, index, out) = (launch.view(0), launch.view(1), launch.view(2));
            let indices = indices(index, x.dims[axis])?;
            let all = Access::of_bits(x)?.all::<i64>();
            let (starts, step) = line_starts(&index.dims, &x.dims, axis);
            let picked: Vec<i64> = starts
                .offsets()
                .zip(&indices)
                .map(|(start, index)| all[start as usize + *index as usize * step])
                .collect();
            Access::of_bits(out)?.store(0, &picked);
            Ok(())
        }),
    })
}

/// An index per element may not have more elements than `x` along any axis but `axis`.
fn within(index: &Described, x: &Described, axis: usize) -> Result<(), Refusal> {
    let fits = index.dims.len() == x.dims.len()
        && index.dims.iter().zip(&x.dims).enumerate().all(|(at, (index, x))| at == axis || index <= x);
    if fits {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "index is {:?}, expected the axes of {} {:?} and no more elements along any but axis {axis}",
        index.dims, x.name, x.dims
    )))
}

/// For each element of extents `dims`, where its line along `axis` starts in dense extents `of`; and how far apart
/// the elements of such a line are. The view stands for offsets only.
fn line_starts(dims: &[i64], of: &[i64], axis: usize) -> (View, usize) {
    let mut strides = contiguous_strides(of);
    let step = core::mem::take(&mut strides[axis]) as usize;
    (View { dtype: aclDataType::UINT8, dims: dims.to_vec(), strides, data: core::ptr::null_mut() }, step)
}

use Operand as Op;

operators! { index;
    fn aclnnEmbeddingGetWorkspaceSize(
        weight: *const aclTensor, indices: *const aclTensor, out: *const aclTensor,
    ) then aclnnEmbedding
    takes [Op::input(weight, "weight"), Op::input(indices, "indices"), Op::output(out, "out")]
    plans |tensors| {
        check::axes(&tensors[0], 2..=2)?;
        take(tensors, 0)
    }

    fn aclnnIndexSelectGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, out: *mut aclTensor,
    ) then aclnnIndexSelect
    takes [Op::input(self_, "self"), Op::input(index, "index"), Op::output(out, "out")]
    plans |tensors| {
        check::axes(&tensors[1], 1..=1)?;
        take(tensors, check::axis(dim, tensors[0].dims.len(), "dim")?)
    }

    fn aclnnGatherV2GetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, out: *mut aclTensor,
    ) then aclnnGatherV2
    takes [Op::input(self_, "self"), Op::input(index, "index"), Op::output(out, "out")]
    plans |tensors| { take(tensors, check::axis(dim, tensors[0].dims.len(), "dim")?) }

    fn aclnnGatherGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, out: *mut aclTensor,
    ) then aclnnGather
    takes [Op::input(self_, "self"), Op::input(index, "index"), Op::output(out, "out")]
    plans |tensors| { gather(tensors, check::axis(dim, tensors[0].dims.len(), "dim")?) }
}
