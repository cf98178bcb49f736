//! Reductions of axes. Floats are summed in f32 in 16 interleaved chains, added as a tree, and rounded once; the
//! device's order is not published.

use super::axes::Rows;
use super::check;
use super::pointwise::{Computation, computed_in, passes_through};
use crate::exports::operators;
use crate::meta::arrays::integers_of;
use crate::meta::executor::{Described, Fault, Launch, Operand, Planned, Refusal, Tensors};
use crate::numerics::promote::{ARITHMETIC, FLOATS, REALS};
use crate::numerics::{Number, Rounding, recipes};
use lockstep_ascend_abi::{aclDataType, aclIntArray, aclTensor};

/// What a row is reduced to.
type Reduction<C> = fn(&[C]) -> C;

/// A [`Reduction`] in each type that is computed in.
#[derive(Clone, Copy)]
pub(crate) struct Reductions {
    single: Reduction<f32>,
    double: Reduction<f64>,
    integer: Reduction<i64>,
}

macro_rules! reductions {
    ($name:ident) => {
        Reductions { single: $name::<f32>, double: $name::<f64>, integer: $name::<i64> }
    };
}

fn total<C: Number>(row: &[C]) -> C {
    recipes::sum(row, |x| x)
}

fn mean<C: Number>(row: &[C]) -> C {
    total(row).divide(C::of_i64(row.len() as i64))
}

fn deviations<C: Number>(row: &[C]) -> C {
    let mean = mean(row);
    recipes::sum(row, |x| x.subtract(mean).multiply(x.subtract(mean)))
}

fn variance<C: Number>(row: &[C]) -> C {
    deviations(row).divide(C::of_i64(row.len() as i64))
}

/// Of one element it is NaN.
fn unbiased_variance<C: Number>(row: &[C]) -> C {
    deviations(row).divide(C::of_i64(row.len() as i64 - 1))
}

fn largest<C: Number>(row: &[C]) -> C {
    row.iter().copied().reduce(recipes::larger).unwrap_or(C::ZERO)
}

fn smallest<C: Number>(row: &[C]) -> C {
    row.iter().copied().reduce(recipes::smaller).unwrap_or(C::ZERO)
}

/// The first position of the largest element; the first NaN if there is one, as PyTorch.
fn position_of_largest<C: Number>(row: &[C]) -> i64 {
    let mut best = 0;
    for (position, x) in row.iter().enumerate() {
        let so_far = row[best];
        if !so_far.is_nan() && (*x > so_far || x.is_nan()) {
            best = position;
        }
    }
    best as i64
}

pub(crate) const TOTAL: Reductions = reductions!(total);
pub(crate) const MEAN: Reductions = reductions!(mean);
pub(crate) const LARGEST: Reductions = reductions!(largest);
pub(crate) const SMALLEST: Reductions = reductions!(smallest);

/// The extents that are left of `x` when `axes` are reduced.
fn reduced_dims(x: &Described, axes: &[usize], keeps: bool) -> Vec<i64> {
    x.dims
        .iter()
        .enumerate()
        .filter(|(axis, _)| keeps || !axes.contains(axis))
        .map(|(axis, dim)| if axes.contains(&axis) { 1 } else { *dim })
        .collect()
}

/// Operand 1 becomes the reduction of operand 0 over `axes`, with elements as `dtype`.
pub(crate) fn reduce(
    tensors: &Tensors,
    axes: Vec<usize>,
    keeps: bool,
    dtype: aclDataType,
    reductions: Reductions,
) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    let (x, out) = (&tensors[0], &tensors[1]);
    check::dims(out, &reduced_dims(x, &axes, keeps))?;
    Ok(Planned {
        workspace: 0,
        kernel: Box::new(move |launch| match computed_in(dtype, launch) {
            Computation::Single => reduce_in(launch, &axes, dtype, reductions.single),
            Computation::Double => reduce_in(launch, &axes, dtype, reductions.double),
            Computation::Integer => reduce_in(launch, &axes, dtype, reductions.integer),
        }),
    })
}

fn reduce_in<C: Number>(
    launch: &Launch<'_>,
    axes: &[usize],
    dtype: aclDataType,
    reduction: Reduction<C>,
) -> Result<(), Fault> {
    let rounding = Rounding::of(launch.settings);
    let x = Rows::over(launch.view(0), axes, rounding)?;
    let out = Rows::over(launch.view(1), &[], rounding)?;
    let narrow = passes_through(launch.view(0).dtype, dtype, launch);
    let mut row = vec![C::ZERO; x.len];
    for index in 0..x.count {
        x.load(index, &mut row);
        if let Some(element) = narrow {
            element.narrow(&mut row, rounding);
        }
        out.store(index, &[reduction(&row)]);
    }
    Ok(())
}

/// A sum or mean, whose type is a parameter.
fn typed(
    tensors: &Tensors,
    dims: *const aclIntArray,
    name: &str,
    keeps: bool,
    dtype: aclDataType,
    reductions: Reductions,
) -> Result<Planned, Refusal> {
    let axes = check::distinct_axes(&integers_of(dims, name)?, tensors[0].dims.len(), name)?;
    check::dtype(&tensors[0], ARITHMETIC)?;
    check::dtype(&tensors[1], &[dtype])?;
    reduce(tensors, axes, keeps, dtype, reductions)
}

/// A largest or smallest element, which an empty row has none of.
pub(crate) fn extreme(
    tensors: &Tensors,
    axes: Vec<usize>,
    keeps: bool,
    reductions: Reductions,
) -> Result<Planned, Refusal> {
    let x = &tensors[0];
    check::dtype(x, ARITHMETIC)?;
    check::same_dtype(&tensors[1], x)?;
    not_empty(x, &axes)?;
    reduce(tensors, axes, keeps, x.dtype, reductions)
}

fn not_empty(x: &Described, axes: &[usize]) -> Result<(), Refusal> {
    if axes.iter().all(|axis| x.dims[*axis] > 0) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{} is {:?}, which has no element along the reduced axes", x.name, x.dims)))
}

fn positions_in<C: Number>(launch: &Launch<'_>, axes: &[usize]) -> Result<(), Fault> {
    let rounding = Rounding::of(launch.settings);
    let x = Rows::over(launch.view(0), axes, rounding)?;
    let out = Rows::over(launch.view(1), &[], rounding)?;
    let mut row = vec![C::ZERO; x.len];
    for index in 0..x.count {
        x.load(index, &mut row);
        out.store(index, &[position_of_largest(&row)]);
    }
    Ok(())
}

use Operand as Op;

operators! { normalization;
    fn aclnnVarGetWorkspaceSize(
        self_: *const aclTensor, dim: *const aclIntArray, unbiased: bool, keepdim: bool, out: *mut aclTensor,
    ) then aclnnVar
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        let x = &tensors[0];
        let dims = if dim.is_null() { Vec::new() } else { integers_of(dim, "dim")? };
        let axes = check::distinct_axes(&dims, x.dims.len(), "dim")?;
        check::dtype(x, FLOATS)?;
        check::same_dtype(&tensors[1], x)?;
        let reductions = if unbiased { reductions!(unbiased_variance) } else { reductions!(variance) };
        reduce(tensors, axes, keepdim, x.dtype, reductions)
    }

    fn aclnnMeanGetWorkspaceSize(
        self_: *const aclTensor, dim: *const aclIntArray, keep_dim: bool, dtype: aclDataType,
        out: *mut aclTensor,
    ) then aclnnMean
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| {
        check::dtype(&tensors[1], REALS)?;
        typed(tensors, dim, "dim", keep_dim, dtype, MEAN)
    }

    fn aclnnReduceSumGetWorkspaceSize(
        self_: *const aclTensor, dims: *const aclIntArray, keep_dims: bool, dtype: aclDataType,
        out: *mut aclTensor,
    ) then aclnnReduceSum
    takes [Op::input(self_, "self"), Op::output(out, "out")]
    plans |tensors| { typed(tensors, dims, "dims", keep_dims, dtype, TOTAL) }
}

/// Those that select an element.
mod selection {
    use super::*;

    operators! { layout;
        fn aclnnAmaxGetWorkspaceSize(
            self_: *const aclTensor, dim: *const aclIntArray, keep_dim: bool, out: *mut aclTensor,
        ) then aclnnAmax
        takes [Op::input(self_, "self"), Op::output(out, "out")]
        plans |tensors| {
            let axes = check::distinct_axes(&integers_of(dim, "dim")?, tensors[0].dims.len(), "dim")?;
            extreme(tensors, axes, keep_dim, LARGEST)
        }

        fn aclnnAminGetWorkspaceSize(
            self_: *const aclTensor, dim: *const aclIntArray, keep_dim: bool, out: *mut aclTensor,
        ) then aclnnAmin
        takes [Op::input(self_, "self"), Op::output(out, "out")]
        plans |tensors| {
            let axes = check::distinct_axes(&integers_of(dim, "dim")?, tensors[0].dims.len(), "dim")?;
            extreme(tensors, axes, keep_dim, SMALLEST)
        }

        fn aclnnMaxGetWorkspaceSize(self_: *const aclTensor, out: *mut aclTensor) then aclnnMax
        takes [Op::input(self_, "self"), Op::output(out, "out")]
        plans |tensors| { extreme(tensors, (0..tensors[0].dims.len()).collect(), false, LARGEST) }

        fn aclnnArgMaxGetWorkspaceSize(
            self_: *const aclTensor, dim: i64, keepdim: bool, out: *mut aclTensor,
        ) then aclnnArgMax
        takes [Op::input(self_, "self"), Op::output(out, "out")]
        plans |tensors| {
            check::plain(tensors)?;
            let (x, out) = (&tensors[0], &tensors[1]);
            check::dtype(x, ARITHMETIC)?;
            check::index_dtype(out)?;
            let axis = check::axis(dim, x.dims.len(), "dim")?;
            let axes: Vec<usize> = if x.dims.is_empty() { Vec::new() } else { vec![axis] };
            not_empty(x, &axes)?;
            check::dims(out, &reduced_dims(x, &axes, keepdim))?;
            Ok(Planned {
                workspace: 0,
                kernel: Box::new(move |launch| match computed_in(launch.view(0).dtype, launch) {
                    Computation::Single => positions_in::<f32>(launch, &axes),
                    Computation::Double => positions_in::<f64>(launch, &axes),
                    Computation::Integer => positions_in::<i64>(launch, &axes),
                }),
            })
        }
    }
}
