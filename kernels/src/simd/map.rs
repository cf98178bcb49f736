//! Applies a function to every element of a slice.

use super::{Kernel, LANES, Simd, dispatch};
use crate::{Element, Isa, Parallel, pieces};

/// A function of one value, on vectors. Implementations mark `apply` as `#[inline(always)]`.
pub trait LaneFn: Copy + Send + Sync {
    /// The function's value in each lane.
    fn apply<S: Simd>(self, simd: S, x: S::F32) -> S::F32;
}

struct Map<'a, T, F> {
    function: F,
    x: &'a [T],
    out: &'a mut [T],
}

impl<T: Element, F: LaneFn> Kernel for Map<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut x = self.x.chunks_exact(LANES);
        let mut out = self.out.chunks_exact_mut(LANES);
        for (x, out) in (&mut x).zip(&mut out) {
            simd.store(self.function.apply(simd, simd.load(x)), out);
        }
        let tail = simd.load_partial(x.remainder(), 0.0);
        simd.store_partial(self.function.apply(simd, tail), out.into_remainder());
    }
}

struct MapInPlace<'a, T, F> {
    function: F,
    x: &'a mut [T],
}

impl<T: Element, F: LaneFn> Kernel for MapInPlace<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut x = self.x.chunks_exact_mut(LANES);
        for x in &mut x {
            simd.store(self.function.apply(simd, simd.load(x)), x);
        }
        let tail = x.into_remainder();
        let value = self.function.apply(simd, simd.load_partial(tail, 0.0));
        simd.store_partial(value, tail);
    }
}

/// `out[i] = function(x[i])`, each value computed in f32 and rounded once at the store.
///
/// # Panics
/// If the lengths differ.
pub fn map<T: Element, F: LaneFn>(isa: Isa, pool: &dyn Parallel, function: F, x: &[T], out: &mut [T]) {
    assert_eq!(x.len(), out.len(), "input and output have the same length");
    pieces::elements(pool, out, &|range, out| dispatch(isa, Map { function, x: &x[range], out }));
}

/// `x[i] = function(x[i])`, as [`map`].
pub fn map_in_place<T: Element, F: LaneFn>(isa: Isa, pool: &dyn Parallel, function: F, x: &mut [T]) {
    pieces::elements(pool, x, &|_, x| dispatch(isa, MapInPlace { function, x }));
}
