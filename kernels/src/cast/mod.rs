//! Conversion between all number types that tensors hold. The definition is in `spec.md`.

mod number;

use std::any::TypeId;

pub use number::Number;

use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Element, Isa, Parallel, pieces};
use half::{bf16, f16};

/// `out[i] = x[i]` as the other type: f64, f32, f16, bf16, i64, i32, or u8 holding a boolean.
///
/// * To a float: the nearest value, ties to even, one rounding from any type; overflow gives infinity.
/// * Float to integer: toward zero, to the nearest value of the type if outside it; NaN gives 0.
/// * i64 to i32: the low 32 bits.
/// * To a boolean: 1 if not 0, NaN included; from a boolean: 0 or 1.
///
/// # Panics
/// If the lengths differ.
pub fn cast<T: Number, U: Number>(isa: Isa, pool: &dyn Parallel, x: &[T], out: &mut [U]) {
    assert_eq!(x.len(), out.len(), "input and output have the same length");
    if TypeId::of::<T>() == TypeId::of::<f32>() {
        if narrow::<T, f32, U, f16>(isa, pool, x, out) || narrow::<T, f32, U, bf16>(isa, pool, x, out) {
            return;
        }
    } else if narrow::<T, f16, U, f32>(isa, pool, x, out) || narrow::<T, bf16, U, f32>(isa, pool, x, out) {
        return;
    }
    pieces::elements(pool, out, &|range, out| {
        for (out, &x) in out.iter_mut().zip(&x[range]) {
            *out = if T::IS_FLOAT { U::from_f64(x.to_f64()) } else { U::from_i64(x.to_i64()) };
        }
    });
}

/// Casts as vectors if `T` and `U` are the storage types `A` and `B`, and says whether they are.
fn narrow<T: Number, A: Element, U: Number, B: Element>(
    isa: Isa,
    pool: &dyn Parallel,
    x: &[T],
    out: &mut [U],
) -> bool {
    if TypeId::of::<T>() != TypeId::of::<A>() || TypeId::of::<U>() != TypeId::of::<B>() {
        return false;
    }
    // SAFETY: the element types were just seen to be the same.
    let x = unsafe { std::slice::from_raw_parts(x.as_ptr().cast::<A>(), x.len()) };
    // SAFETY: as above; the borrow of `out` ends with this function.
    let out = unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<B>(), out.len()) };
    convert(isa, pool, x, out);
    true
}

/// `out[i] = x[i]` between storage types of [`Element`], sixteen at a time: exact to f32, one rounding from it.
///
/// [`cast`] uses this where it applies; call it directly where only f32, f16 and bf16 occur. f16 to bf16 and back goes
/// through f32, which holds both exactly.
///
/// # Panics
/// If the lengths differ.
pub fn convert<A: Element, B: Element>(isa: Isa, pool: &dyn Parallel, x: &[A], out: &mut [B]) {
    assert_eq!(x.len(), out.len(), "input and output have the same length");
    pieces::elements(pool, out, &|range, out| dispatch(isa, Convert { x: &x[range], out }));
}

struct Convert<'a, A, B> {
    x: &'a [A],
    out: &'a mut [B],
}

impl<A: Element, B: Element> Kernel for Convert<'_, A, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut x = self.x.chunks_exact(LANES);
        let mut out = self.out.chunks_exact_mut(LANES);
        for (x, out) in (&mut x).zip(&mut out) {
            simd.store(simd.load(x), out);
        }
        simd.store_partial(simd.load_partial(x.remainder(), 0.0), out.into_remainder());
    }
}

#[cfg(test)]
mod tests;
