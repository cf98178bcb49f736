//! Operators that add to what is already there, where the order of the additions tells.
//!
//! `aclnnIndexAdd` on the device: f32 and i32 along axis 0 with alpha 1 are added by atomic operations in no fixed
//! order, unless determinism is asked for; f16 and bf16 along axis 0 are sorted by index and summed in f32; what
//! else there is runs in ascending order in the tensor's own type. No order but an ascending one is documented:
//! `LOCKSTEP_ASCEND_SIM_SHUFFLE` draws another for each launch.

use super::{indices, line_starts, within};
use crate::exports::operators;
use crate::meta::executor::{Fault, Launch, Operand, Planned, Refusal, Tensors};
use crate::meta::scalar::value_of;
use crate::numerics::promote::{ARITHMETIC, can_cast};
use crate::numerics::storage::Element;
use crate::numerics::{Number, Numerics, Rounding};
use crate::ops::access::Access;
use crate::ops::axes::permuted;
use crate::ops::check;
use crate::ops::pointwise::{Computation, Value, computed_in};
use crate::view::{View, contiguous_strides};
use lockstep_ascend_abi::{aclDataType, aclScalar, aclTensor};

/// Operands: self, index, source, out; `out` is self with `alpha * source` added where `index` says.
fn index_add(tensors: &Tensors, axis: usize, alpha: Value) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    let (x, index, source, out) = (&tensors[0], &tensors[1], &tensors[2], &tensors[3]);
    check::dtype(x, ARITHMETIC)?;
    check::axes(x, 1..=8)?;
    check::same_dtype(source, x)?;
    check::same_dtype(out, x)?;
    check::dims(out, &x.dims)?;
    check::index_dtype(index)?;
    check::axes(index, 1..=1)?;
    let mut dims = x.dims.clone();
    dims[axis] = index.dims[0];
    check::dims(source, &dims)?;
    Ok(Planned {
        workspace: 0,
        kernel: Box::new(move |launch| match computed_in(launch.view(0).dtype, launch) {
            Computation::Single => index_add_in::<f32>(launch, axis, alpha, alpha.real as f32),
            Computation::Double => index_add_in::<f64>(launch, axis, alpha, alpha.real),
            Computation::Integer => index_add_in::<i64>(launch, axis, alpha, alpha.integer),
        }),
    })
}

fn index_add_in<C: Number>(launch: &Launch<'_>, axis: usize, value: Value, alpha: C) -> Result<(), Fault> {
    let rounding = Rounding::of(launch.settings);
    let dtype = launch.view(0).dtype;
    let indices = indices(launch.view(1), launch.view(0).dims[axis])?;
    let mut order: Vec<usize> = (0..axis).chain(axis + 1..launch.view(0).dims.len()).collect();
    order.insert(0, axis);
    let first = |index: usize| permuted(launch.view(index), &order);
    let (mut sums, source) =
        (Access::of(&first(0), rounding)?.all::<C>(), Access::of(&first(2), rounding)?.all::<C>());
    let slice = if indices.is_empty() { 0 } else { source.len() / indices.len() };

    let is_atomic = axis == 0
        && value.real == 1.0
        && [aclDataType::FLOAT, aclDataType::INT32].contains(&dtype)
        && !launch.is_deterministic
        && launch.settings.numerics == Numerics::Published;
    let seed = launch.settings.shuffle.filter(|_| is_atomic);
    let sequence = match seed {
        Some(seed) => shuffled(indices.len(), seed ^ launch.launch_number),
        None => (0..indices.len()).collect(),
    };
    // f16 and bf16 are summed in f32 along axis 0, and otherwise rounded at each addition.
    let narrow = Element::of(dtype).filter(|_| axis != 0 && launch.settings.numerics == Numerics::Published);
    for position in sequence {
        let addend = &source[position * slice..(position + 1) * slice];
        let sum = &mut sums[indices[position] as usize * slice..][..slice];
        for (sum, addend) in sum.iter_mut().zip(addend) {
            *sum = sum.add(alpha.multiply(*addend));
        }
        if let Some(element) = narrow {
            element.narrow(sum, rounding);
        }
    }
    Access::of(&first(3), rounding)?.store(0, &sums);
    Ok(())
}

/// The numbers below `count` in an order drawn from `seed`.
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut state = seed;
    let mut next = || {
        // SplitMix64, whose every seed is a good one.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, (next() % (last as u64 + 1)) as usize);
    }
    order
}

/// What becomes of an element that is scattered to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scattered {
    Replaced,
    Added,
    Multiplied,
}

/// Operands: self, index, src, out; an index for each element along `axis`, in ascending order.
fn scatter(tensors: &Tensors, axis: usize, scattered: Scattered) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    let (x, index, source, out) = (&tensors[0], &tensors[1], &tensors[2], &tensors[3]);
    check::dtype(x, ARITHMETIC)?;
    check::axes(x, 1..=8)?;
    check::same_dtype(source, x)?;
    check::same_dtype(out, x)?;
    check::dims(out, &x.dims)?;
    check::index_dtype(index)?;
    within(index, x, axis)?;
    let covers =
        index.dims.len() == source.dims.len() && index.dims.iter().zip(&source.dims).all(|(a, b)| a <= b);
    if !covers {
        return Err(Refusal::invalid(format!(
            "index is {:?}, larger than src {:?}",
            index.dims, source.dims
        )));
    }
    Ok(Planned {
        workspace: 0,
        kernel: Box::new(move |launch| match computed_in(launch.view(0).dtype, launch) {
            Computation::Single => scatter_in::<f32>(launch, axis, scattered),
            Computation::Double => scatter_in::<f64>(launch, axis, scattered),
            Computation::Integer => scatter_in::<i64>(launch, axis, scattered),
        }),
    })
}

fn scatter_in<C: Number>(launch: &Launch<'_>, axis: usize, scattered: Scattered) -> Result<(), Fault> {
    let rounding = Rounding::of(launch.settings);
    let (x, index) = (launch.view(0), launch.view(1));
    let indices = indices(index, x.dims[axis])?;
    let (mut values, source) =
        (Access::of(x, rounding)?.all::<C>(), Access::of(launch.view(2), rounding)?.all::<C>());
    let (starts, step) = line_starts(&index.dims, &x.dims, axis);
    let strides = contiguous_strides(&launch.view(2).dims);
    let sources = View { strides, ..starts.clone() };
    for ((start, from), index) in starts.offsets().zip(sources.offsets()).zip(&indices) {
        let (value, from) = (&mut values[start as usize + *index as usize * step], source[from as usize]);
        *value = match scattered {
            Scattered::Replaced => from,
            Scattered::Added => value.add(from),
            Scattered::Multiplied => value.multiply(from),
        };
    }
    Access::of(launch.view(3), rounding)?.store(0, &values);
    Ok(())
}

use Operand as Op;

operators! { index;
    fn aclnnIndexAddGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, source: *const aclTensor,
        alpha: *const aclScalar, out: *mut aclTensor,
    ) then aclnnIndexAdd
    takes [
        Op::input(self_, "self"), Op::input(index, "index"), Op::input(source, "source"), Op::output(out, "out"),
    ]
    plans |tensors| {
        let alpha = value_of(alpha, "alpha")?;
        let dtype = tensors[0].dtype;
        if !can_cast(alpha.dtype, dtype) {
            return Err(Refusal::invalid(format!("alpha is {:?}, which {dtype:?} does not hold", alpha.dtype)));
        }
        index_add(tensors, check::axis(dim, tensors[0].dims.len(), "dim")?, Value::of(alpha))
    }

    fn aclnnScatterAddGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, src: *const aclTensor,
        out: *mut aclTensor,
    ) then aclnnScatterAdd
    takes [Op::input(self_, "self"), Op::input(index, "index"), Op::input(src, "src"), Op::output(out, "out")]
    plans |tensors| { scatter(tensors, check::axis(dim, tensors[0].dims.len(), "dim")?, Scattered::Added) }

    fn aclnnScatterGetWorkspaceSize(
        self_: *const aclTensor, dim: i64, index: *const aclTensor, src: *const aclTensor, reduce: i64,
        out: *mut aclTensor,
    ) then aclnnScatter
    takes [Op::input(self_, "self"), Op::input(index, "index"), Op::input(src, "src"), Op::output(out, "out")]
    plans |tensors| {
        let scattered = match reduce {
            0 => Scattered::Replaced,
            1 => Scattered::Added,
            2 => Scattered::Multiplied,
            other => {
                return Err(Refusal::invalid(format!("reduce is {other}, expected 0, none, 1, add, or 2, multiply")));
            }
        };
        scatter(tensors, check::axis(dim, tensors[0].dims.len(), "dim")?, scattered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_a_permutation_that_its_seed_decides() {
        let order = shuffled(100, 7);
        assert_eq!(order, shuffled(100, 7));
        assert_ne!(order, shuffled(100, 8));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(shuffled(0, 1), [0usize; 0]);
    }
}
