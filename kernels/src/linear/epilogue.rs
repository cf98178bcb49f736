//! What happens to a finished block of sums before it is stored: bias, activation, residual, one rounding.

use super::Activation;
use crate::Element;
use crate::simd::{Kernel, LANES, Simd};

/// One block of sums, `[rows, width]`, on its way to `out`.
pub(super) struct Epilogue<T> {
    /// `[rows, width]`, `width` a multiple of 16.
    pub(super) sums: *const f32,
    pub(super) width: usize,
    pub(super) rows: usize,
    /// Columns that exist, at most `width`.
    pub(super) columns: usize,
    /// `[columns]`, or null.
    pub(super) bias: *const f32,
    pub(super) activation: Activation,
    /// Where the block starts in a matrix of rows `stride` apart, or null.
    pub(super) residual: *const T,
    /// Where the block starts in a matrix of rows `stride` apart.
    pub(super) out: *mut T,
    pub(super) stride: usize,
}

/// An elementwise function on vectors.
trait Elementwise {
    fn apply<S: Simd>(simd: S, value: S::F32) -> S::F32;
}

macro_rules! elementwise {
    ($name:ident, |$simd:ident, $value:ident| $result:expr) => {
        struct $name;
        impl Elementwise for $name {
            #[inline(always)]
            fn apply<S: Simd>($simd: S, $value: S::F32) -> S::F32 {
                $result
            }
        }
    };
}

elementwise!(Identity, |_simd, value| value);
// The second operand of max is the one that NaN comes through.
elementwise!(Relu, |simd, value| simd.max(simd.zero(), value));
elementwise!(Tanh, |simd, value| crate::math::tanh(simd, value));
elementwise!(GeluErf, |simd, value| crate::math::gelu_erf(simd, value));
elementwise!(GeluTanh, |simd, value| crate::math::gelu_tanh(simd, value));

impl<T: Element> Kernel for &Epilogue<T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.activation {
            Activation::None => finish::<S, T, Identity>(simd, self),
            Activation::GeluErf => finish::<S, T, GeluErf>(simd, self),
            Activation::GeluTanh => finish::<S, T, GeluTanh>(simd, self),
            Activation::Relu => finish::<S, T, Relu>(simd, self),
            Activation::Tanh => finish::<S, T, Tanh>(simd, self),
        }
    }
}

#[inline(always)]
fn finish<S: Simd, T: Element, F: Elementwise>(simd: S, block: &Epilogue<T>) {
    for row in 0..block.rows {
        for first in (0..block.columns).step_by(LANES) {
            let (at, count) = (row * block.stride + first, (block.columns - first).min(LANES));
            // SAFETY: whoever builds an `Epilogue` vouches for `columns` values of bias (unless null), and for `rows` rows
            // and `columns` columns of sums, residual (unless null) and out.
            unsafe {
                let mut value = simd.load_from(block.sums.add(row * block.width + first));
                if !block.bias.is_null() {
                    value = simd.add(value, load_some(simd, block.bias.add(first), count));
                }
                value = F::apply(simd, value);
                if !block.residual.is_null() {
                    value = simd.add(value, load_some(simd, block.residual.add(at), count));
                }
                if count == LANES {
                    simd.store_to(value, block.out.add(at));
                } else {
                    simd.store_first_to(value, block.out.add(at), count);
                }
            }
        }
    }
}

/// # Safety
/// `from` is valid for reads of `count` values, at most 16.
#[inline(always)]
unsafe fn load_some<S: Simd, T: Element>(simd: S, from: *const T, count: usize) -> S::F32 {
    // SAFETY: as promised by the caller.
    unsafe { if count == LANES { simd.load_from(from) } else { simd.load_first_from(from, count) } }
}
