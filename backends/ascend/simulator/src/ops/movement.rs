//! Operators that move elements without arithmetic.

use super::axes::{narrowed, permuted};
use super::cast::{convert, converting};
use super::check;
use crate::exports::operators;
use crate::meta::arrays::integers_of;
use crate::meta::executor::{Operand, Planned, Refusal, Tensors};
use crate::numerics::promote::{can_cast, promote};
use crate::numerics::storage::Element;
use crate::view::View;
use lockstep_ascend_abi::{aclIntArray, aclTensor, aclTensorList};

/// Operand 1 becomes what `see` makes of operand 0's view.
fn moving(
    tensors: &Tensors,
    dims: &[i64],
    see: impl Fn(&View) -> View + Send + Sync + 'static,
) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    check::movable(&tensors[0], &tensors[1])?;
    check::dims(&tensors[1], dims)?;
    Ok(Planned {
        workspace: 0,
        kernel: Box::new(move |launch| convert(&see(launch.view(0)), launch.view(1), launch)),
    })
}

/// Part of an axis: from `start` to before `end`, every `step`th.
#[derive(Clone, Copy)]
struct Part {
    axis: usize,
    start: i64,
    count: i64,
    step: i64,
}

impl Part {
    /// Bounds count from the end if negative, and are clamped to the axis.
    fn of(extents: &[i64], dim: i64, start: i64, end: i64, step: i64) -> Result<Self, Refusal> {
        let axis = check::axis(dim, extents.len(), "dim")?;
        let extent = extents.get(axis).copied().unwrap_or(1);
        if step <= 0 {
            return Err(Refusal::invalid(format!("step is {step}, expected more than 0")));
        }
        let bound =
            |value: i64| if value < 0 { value.saturating_add(extent) } else { value }.clamp(0, extent);
        let (start, end) = (bound(start), bound(end));
        let count = (end - start).max(0);
        Ok(Self { axis, start, count: count / step + i64::from(count % step != 0), step })
    }
}

/// Operand 1 becomes those parts of operand 0.
fn slice(tensors: &Tensors, parts: Vec<Part>) -> Result<Planned, Refusal> {
    check::axes(&tensors[0], 1..=8)?;
    let mut dims = tensors[0].dims.clone();
    for part in &parts {
        dims[part.axis] = part.count;
    }
    moving(tensors, &dims, move |view| {
        parts
            .iter()
            .fold(view.clone(), |view, part| narrowed(&view, part.axis, part.start, part.count, part.step))
    })
}

/// The view repeated along each axis: twice as many axes, of which every other has stride 0.
fn repeated(view: &View, repeats: &[i64]) -> View {
    let added = repeats.len() - view.dims.len();
    let (mut dims, mut strides) = (repeats[..added].to_vec(), vec![0; added]);
    for ((dim, stride), repeat) in view.dims.iter().zip(&view.strides).zip(&repeats[added..]) {
        dims.extend([*repeat, *dim]);
        strides.extend([0, *stride]);
    }
    View { dtype: view.dtype, dims, strides, data: view.data }
}

/// A list's tensors one after another along an axis, in the last operand. Tensors of no element with one axis
/// are left out, whatever the others' extents, as PyTorch does.
fn concatenate(tensors: &Tensors, dim: i64) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    let out_index = tensors.len() - 1;
    let out = &tensors[out_index];
    let kept: Vec<usize> = (0..out_index).filter(|index| tensors[*index].dims != [0]).collect();
    let Some(&first) = kept.first() else {
        check::dims(out, &[0])?;
        return Ok(Planned { workspace: 0, kernel: Box::new(|_| Ok(())) });
    };
    let first = &tensors[first];
    let axis = check::axis(dim, first.dims.len(), "dim")?;
    check::axes(first, 1..=8)?;
    let mut dims = first.dims.clone();
    dims[axis] = 0;
    let mut met = first.dtype;
    for &index in &kept {
        let tensor = &tensors[index];
        let fits = tensor.dims.len() == dims.len()
            && tensor.dims.iter().zip(&first.dims).enumerate().all(|(at, (a, b))| at == axis || a == b);
        if !fits {
            return Err(Refusal::invalid(format!(
                "tensors are {:?} and {:?}, which do not fit along axis {axis}",
                first.dims, tensor.dims
            )));
        }
        dims[axis] += tensor.dims[axis];
        met = if tensor.dtype == met {
            met
        } else {
            promote(met, tensor.dtype).ok_or_else(|| {
                Refusal::invalid(format!("dtypes {met:?} and {:?} of tensors are not promoted", tensor.dtype))
            })?
        };
    }
    if Element::of(met).is_none() || !(met == out.dtype || can_cast(met, out.dtype)) {
        return Err(Refusal::invalid(format!("dtype of out is {:?}, expected {met:?}", out.dtype)));
    }
    check::dims(out, &dims)?;
    Ok(Planned {
        workspace: 0,
        kernel: Box::new(move |launch| {
            let out = launch.view(out_index);
            let mut start = 0;
            for &index in &kept {
                let tensor = launch.view(index);
                let count = tensor.dims[axis];
                convert(tensor, &narrowed(out, axis, start, count, 1), launch)?;
                start += count;
            }
            Ok(())
        }),
    })
}

use Operand as Op;

operators! { layout;
    fn aclnnPermuteGetWorkspaceSize(
        self_: *const aclTensor, dims: *const aclIntArray, out: *mut aclTensor,
    ) then aclnnPermute
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        let (x, dims) = (&tensors[0], integers_of(dims, "dims")?);
        if dims.len() != x.dims.len() {
            return Err(Refusal::invalid(format!("dims is {dims:?}, expected an entry for each axis of {:?}", x.dims)));
        }
        let order = dims.iter().map(|dim| check::axis(*dim, x.dims.len(), "dims")).collect::<Result<Vec<_>, _>>()?;
        check::distinct_axes(&dims, x.dims.len(), "dims")?;
        let extents: Vec<i64> = order.iter().map(|axis| x.dims[*axis]).collect();
        moving(tensors, &extents, move |view| permuted(view, &order))
    }

    fn aclnnCatGetWorkspaceSize(
        tensors: *const aclTensorList, dim: i64, out: *mut aclTensor,
    ) then aclnnCat
    takes [Op::list(tensors, "tensors"), Op::output(out, "out")]
    plans |tensors| { concatenate(tensors, dim) }

    fn aclnnExpandGetWorkspaceSize(
        self_: *const aclTensor, size: *const aclIntArray, out: *mut aclTensor,
    ) then aclnnExpand
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        let (x, mut size) = (&tensors[0], integers_of(size, "size")?);
        let added = size.len().checked_sub(x.dims.len()).ok_or_else(|| {
            Refusal::invalid(format!("size is {size:?}, expected at least as many axes as {:?}", x.dims))
        })?;
        // -1 keeps an axis as it is.
        for (size, dim) in size[added..].iter_mut().zip(&x.dims) {
            *size = if *size == -1 { *dim } else { *size };
        }
        check::plain(tensors)?;
        check::movable(x, &tensors[1])?;
        check::broadcasts_to(x, &size)?;
        check::dims(&tensors[1], &size)?;
        Ok(converting(0, 1))
    }

    fn aclnnRepeatGetWorkspaceSize(
        self_: *const aclTensor, repeats: *const aclIntArray, out: *mut aclTensor,
    ) then aclnnRepeat
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        let (x, repeats) = (&tensors[0], integers_of(repeats, "repeats")?);
        let Some(added) = repeats.len().checked_sub(x.dims.len()).filter(|_| repeats.iter().all(|n| *n >= 0)) else {
            return Err(Refusal::invalid(format!(
                "repeats is {repeats:?}, expected a count for each axis of {:?} and any before them", x.dims
            )));
        };
        let mut dims = repeats.clone();
        for (count, dim) in dims[added..].iter_mut().zip(&x.dims) {
            *count = count.saturating_mul(*dim);
        }
        moving(tensors, &dims, move |view| repeated(view, &repeats))
    }

    fn aclnnSliceGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, start: i64, end: i64, step: i64, out: *mut aclTensor,
    ) then aclnnSlice
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { slice(tensors, vec![Part::of(&tensors[0].dims, dim, start, end, step)?]) }

    fn aclnnSliceV2GetWorkspaceSize(
        self_: *const aclTensor, starts: *const aclIntArray, ends: *const aclIntArray,
        axes: *const aclIntArray, steps: *const aclIntArray, out: *mut aclTensor,
    ) then aclnnSliceV2
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        let (starts, ends) = (integers_of(starts, "starts")?, integers_of(ends, "ends")?);
        let (axes, steps) = (integers_of(axes, "axes")?, integers_of(steps, "steps")?);
        let lengths = [starts.len(), ends.len(), axes.len(), steps.len()];
        if lengths.iter().any(|length| *length != axes.len()) {
            return Err(Refusal::invalid(format!("starts, ends, axes and steps have {lengths:?} entries, expected as many")));
        }
        check::distinct_axes(&axes, tensors[0].dims.len(), "axes")?;
        let parts = (0..axes.len())
            .map(|i| Part::of(&tensors[0].dims, axes[i], starts[i], ends[i], steps[i]))
            .collect::<Result<_, _>>()?;
        slice(tensors, parts)
    }
}
