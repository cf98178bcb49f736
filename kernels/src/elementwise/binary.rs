//! Functions of two floats, with broadcasting.

use std::ops::Range;

use super::{Strided, check_lengths};
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Element, Isa, Parallel, pieces};

/// A function of two floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a * b`.
    Mul,
    /// `a / b`.
    Div,
    /// The larger; NaN if either is NaN; either zero where they are of different sign.
    Max,
    /// The smaller; NaN if either is NaN; either zero where they are of different sign.
    Min,
    /// `a` to the power `b`, through f64; as C's `pow` in the special cases.
    Pow,
}

/// `out = op(a, b)`, computed in f32 and rounded once.
///
/// * `walk`: from [`Strided::broadcast`] with the shapes of out, a and b; f32, f16 or bf16.
///
/// Same shapes, a scalar on either side and a row on each row run as vectors; so does whatever has a long innermost run.
///
/// # Panics
/// If a slice's length does not fit the walk.
pub fn binary<T: Element>(
    isa: Isa,
    pool: &dyn Parallel,
    op: Binary,
    walk: &Strided<2>,
    a: &[T],
    b: &[T],
    out: &mut [T],
) {
    check_lengths!(walk, out, a, b);
    pieces::elements(pool, out, &|range, out| match op {
        Binary::Add => dispatch(isa, Piece { function: Add, walk, a, b, range, out }),
        Binary::Sub => dispatch(isa, Piece { function: Sub, walk, a, b, range, out }),
        Binary::Mul => dispatch(isa, Piece { function: Mul, walk, a, b, range, out }),
        Binary::Div => dispatch(isa, Piece { function: Div, walk, a, b, range, out }),
        Binary::Max => dispatch(isa, Piece { function: Max, walk, a, b, range, out }),
        Binary::Min => dispatch(isa, Piece { function: Min, walk, a, b, range, out }),
        Binary::Pow => dispatch(isa, Piece { function: Pow, walk, a, b, range, out }),
    });
}

trait BinaryFn: Copy {
    fn apply<S: Simd>(self, simd: S, a: S::F32, b: S::F32) -> S::F32;
}

macro_rules! binary_fns {
    ($($name:ident = |$simd:ident, $a:ident, $b:ident| $body:expr;)+) => {$(
        #[derive(Clone, Copy)]
        struct $name;
        impl BinaryFn for $name {
            #[inline(always)]
            fn apply<S: Simd>(self, $simd: S, $a: S::F32, $b: S::F32) -> S::F32 {
                $body
            }
        }
    )+};
}

binary_fns! {
    Add = |simd, a, b| simd.add(a, b);
    Sub = |simd, a, b| simd.sub(a, b);
    Mul = |simd, a, b| simd.mul(a, b);
    Div = |simd, a, b| simd.div(a, b);
    // The vector operations give b if either is NaN, so only a NaN in a needs care.
    Max = |simd, a, b| simd.select(simd.is_nan(a), a, simd.max(a, b));
    Min = |simd, a, b| simd.select(simd.is_nan(a), a, simd.min(a, b));
    Pow = |simd, a, b| simd.from_array(powers(simd.to_array(a), simd.to_array(b)));
}

/// Rare enough to go lane by lane; f64 makes the result correct to the last bit but for near ties.
fn powers(mut base: [f32; LANES], exponent: [f32; LANES]) -> [f32; LANES] {
    for (base, exponent) in base.iter_mut().zip(exponent) {
        *base = f64::from(*base).powf(f64::from(exponent)) as f32;
    }
    base
}

/// Elements `range` of the output.
struct Piece<'a, T, F> {
    function: F,
    walk: &'a Strided<2>,
    a: &'a [T],
    b: &'a [T],
    range: Range<usize>,
    out: &'a mut [T],
}

impl<T: Element, F: BinaryFn> Kernel for Piece<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for run in self.walk.runs(self.range.start, self.range.end) {
            let out = &mut self.out[run.at - self.range.start..][..run.length];
            let a = Operand::of(simd, self.a, run.starts[0], run.strides[0], run.length);
            let b = Operand::of(simd, self.b, run.starts[1], run.strides[1], run.length);
            let mut at = 0;
            let mut vectors = out.chunks_exact_mut(LANES);
            for out in &mut vectors {
                simd.store(self.function.apply(simd, a.load(simd, at), b.load(simd, at)), out);
                at += LANES;
            }
            let out = vectors.into_remainder();
            if !out.is_empty() {
                let value = self.function.apply(simd, a.load_tail(simd, at), b.load_tail(simd, at));
                simd.store_partial(value, out);
            }
        }
    }
}

/// An operand within a run: values side by side, or one value for all. A broadcast walk knows no other strides.
#[derive(Clone, Copy)]
enum Operand<'a, T, V> {
    Values(&'a [T]),
    Same(V),
}

impl<'a, T: Element, V: Copy> Operand<'a, T, V> {
    #[inline(always)]
    fn of<S: Simd<F32 = V>>(simd: S, values: &'a [T], start: usize, stride: usize, length: usize) -> Self {
        if stride == 0 {
            // Through a load, which every path has: the scalar conversion of a half may be a function call.
            let value = simd.to_array(simd.load_partial(&values[start..=start], 0.0))[0];
            Operand::Same(simd.splat(value))
        } else {
            Operand::Values(&values[start..start + length])
        }
    }

    #[inline(always)]
    fn load<S: Simd<F32 = V>>(self, simd: S, at: usize) -> V {
        match self {
            Operand::Values(values) => simd.load(&values[at..]),
            Operand::Same(value) => value,
        }
    }

    #[inline(always)]
    fn load_tail<S: Simd<F32 = V>>(self, simd: S, at: usize) -> V {
        match self {
            Operand::Values(values) => simd.load_partial(&values[at..], 1.0),
            Operand::Same(value) => value,
        }
    }
}
