//! Sixteen f32 lanes, the same on every instruction set.
//!
//! A vector always has [`LANES`] lanes: one AVX-512 register, two AVX2 registers, or a plain array. A kernel is one
//! generic body over [`Simd`], and since the number of lanes never changes, neither does the order in which a reduction
//! adds: [`Isa::Avx2`] and [`Isa::Avx512`] give the same bits. [`Isa::Portable`] has the same order too, but on targets
//! without a hardware fused multiply-add it rounds the product of [`Simd::fma`] first.
//!
//! The instruction set is chosen per call, not per build: [`dispatch`] enters a function compiled for the wanted set and
//! runs a [`Kernel`] there. A kernel's body, and every function that it calls on vectors, must be `#[inline(always)]`
//! and must not put vector work into closures, because only what is inlined is compiled for that set.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod map;
mod portable;
mod storage;

pub use map::{LaneFn, map, map_in_place};

use crate::{Element, Isa};

/// The number of f32 lanes of every vector.
pub const LANES: usize = 16;

/// A proof that this processor runs an instruction set, and the vector operations of that set.
///
/// Only [`dispatch`] hands out values of the implementing types. All operations are IEEE 754 with round to nearest even
/// and keep subnormals; none raises traps. Where a NaN's payload comes from is not specified.
#[allow(clippy::wrong_self_convention)] // self is the token, not the value that is converted
pub trait Simd: Copy + Send + Sync + 'static {
    /// Sixteen f32 lanes.
    type F32: Copy;
    /// Sixteen i32 lanes; arithmetic wraps.
    type I32: Copy;
    /// Sixteen truth values.
    type Mask: Copy;

    /// The path that this token stands for.
    const ISA: Isa;

    /// All lanes `value`.
    fn splat(self, value: f32) -> Self::F32;
    /// Lane `i` is `lanes[i]`.
    fn from_array(self, lanes: [f32; LANES]) -> Self::F32;
    /// The lanes as an array.
    fn to_array(self, a: Self::F32) -> [f32; LANES];

    /// `a + b`.
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a - b`.
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b`.
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a / b`.
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, rounded once where the target has a hardware fused multiply-add, else after each operation.
    fn fma(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// `c - a * b`, rounded as [`Simd::fma`].
    fn neg_fma(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// `if a > b { a } else { b }`: `b` if either is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `if a < b { a } else { b }`: `b` if either is NaN.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The correctly rounded square root.
    fn sqrt(self, a: Self::F32) -> Self::F32;
    /// `a` with the sign bit cleared, NaN included.
    fn abs(self, a: Self::F32) -> Self::F32;
    /// `a` with the sign bit flipped, NaN included.
    fn neg(self, a: Self::F32) -> Self::F32;
    /// The magnitude of `a` with the sign bit of `sign`.
    fn copysign(self, a: Self::F32, sign: Self::F32) -> Self::F32;
    /// The nearest integer, ties to even; what has no fraction (NaN and infinities included) stays.
    fn round(self, a: Self::F32) -> Self::F32;
    /// `a * 2^n`, rounded once. `n` must be an integer in -252..=252, and `a` normal with magnitude in 2^-20..2^20 (or
    /// zero, NaN or infinite).
    fn scale_by_power_of_two(self, a: Self::F32, n: Self::F32) -> Self::F32;

    /// `a < b`, false if either is NaN.
    fn lt(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a <= b`, false if either is NaN.
    fn le(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a == b`, false if either is NaN.
    fn eq(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// Whether a lane is NaN.
    fn is_nan(self, a: Self::F32) -> Self::Mask;
    /// Lanes true in both.
    fn mask_and(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Lanes true in either.
    fn mask_or(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Lanes true in `a` that are not true in `b`.
    fn mask_and_not(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Bit `i` is lane `i`.
    fn mask_bits(self, a: Self::Mask) -> u16;
    /// The first `count` lanes true; all of them if `count` is 16 or more.
    fn first_lanes(self, count: usize) -> Self::Mask;
    /// `a` where `mask` is true, else `b`.
    fn select(self, mask: Self::Mask, a: Self::F32, b: Self::F32) -> Self::F32;

    /// All lanes `value`.
    fn splat_i32(self, value: i32) -> Self::I32;
    /// `a + b`, wrapping.
    fn add_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a - b`, wrapping.
    fn sub_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Bitwise and.
    fn and_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Bitwise or.
    fn or_i32(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// `a << COUNT`, with `COUNT` in 0..32.
    fn shl_i32<const COUNT: u32>(self, a: Self::I32) -> Self::I32;
    /// `a >> COUNT`, filling with the sign, with `COUNT` in 0..32.
    fn sar_i32<const COUNT: u32>(self, a: Self::I32) -> Self::I32;
    /// `a` truncated toward zero; unspecified for what i32 does not hold.
    fn to_i32(self, a: Self::F32) -> Self::I32;
    /// The nearest f32.
    fn to_f32(self, a: Self::I32) -> Self::F32;
    /// The same bits as integers.
    fn bits(self, a: Self::F32) -> Self::I32;
    /// The same bits as floats.
    fn from_bits(self, a: Self::I32) -> Self::F32;

    /// The sum of all lanes, as a tree: lanes 8 apart, then 4, 2 and 1.
    fn sum(self, a: Self::F32) -> f32;
    /// The largest lane, by [`Simd::max`] over the tree of [`Simd::sum`]; meaningless if a lane is NaN.
    fn largest(self, a: Self::F32) -> f32;
    /// The smallest lane, by [`Simd::min`] over the tree of [`Simd::sum`]; meaningless if a lane is NaN.
    fn smallest(self, a: Self::F32) -> f32;

    /// Reads 16 values.
    ///
    /// # Safety
    /// `source` must be valid for reads of 16 values, at any alignment of `T`.
    unsafe fn load_from<T: Element>(self, source: *const T) -> Self::F32;
    /// Reads `count.min(16)` values, and fills the other lanes with zero.
    ///
    /// # Safety
    /// `source` must be valid for reads of `count.min(16)` values.
    unsafe fn load_first_from<T: Element>(self, source: *const T, count: usize) -> Self::F32;
    /// Writes 16 values, each rounded once.
    ///
    /// # Safety
    /// `target` must be valid for writes of 16 values.
    unsafe fn store_to<T: Element>(self, a: Self::F32, target: *mut T);
    /// Writes the first `count.min(16)` lanes, each rounded once.
    ///
    /// # Safety
    /// `target` must be valid for writes of `count.min(16)` values.
    unsafe fn store_first_to<T: Element>(self, a: Self::F32, target: *mut T, count: usize);

    /// All lanes zero.
    #[inline(always)]
    fn zero(self) -> Self::F32 {
        self.splat(0.0)
    }

    /// Reads the first 16 values of `source`.
    ///
    /// # Panics
    /// If `source` is shorter.
    #[inline(always)]
    fn load<T: Element>(self, source: &[T]) -> Self::F32 {
        assert!(source.len() >= LANES, "a vector needs {LANES} values");
        // SAFETY: the slice holds at least 16 values.
        unsafe { self.load_from(source.as_ptr()) }
    }

    /// Reads the first `source.len().min(16)` values, and sets the other lanes to `fill`.
    #[inline(always)]
    fn load_partial<T: Element>(self, source: &[T], fill: f32) -> Self::F32 {
        // SAFETY: no more than the length of the slice is read.
        let lanes = unsafe { self.load_first_from(source.as_ptr(), source.len()) };
        self.select(self.first_lanes(source.len()), lanes, self.splat(fill))
    }

    /// Writes all lanes to the first 16 values of `target`, each rounded once.
    ///
    /// # Panics
    /// If `target` is shorter.
    #[inline(always)]
    fn store<T: Element>(self, a: Self::F32, target: &mut [T]) {
        assert!(target.len() >= LANES, "a vector needs {LANES} values");
        // SAFETY: the slice holds at least 16 values.
        unsafe { self.store_to(a, target.as_mut_ptr()) }
    }

    /// Writes the first `target.len().min(16)` lanes, each rounded once.
    #[inline(always)]
    fn store_partial<T: Element>(self, a: Self::F32, target: &mut [T]) {
        // SAFETY: no more than the length of the slice is written.
        unsafe { self.store_first_to(a, target.as_mut_ptr(), target.len()) }
    }
}

/// Work that runs on whichever instruction set it is given.
pub trait Kernel {
    /// What the work returns.
    type Output;

    /// The body; implementations must mark it `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Runs `kernel` compiled for `isa`; a path that this processor lacks runs as the best one that it has.
///
/// Costs one call that is not inlined: dispatch once per row or piece of work, not per vector.
pub fn dispatch<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa.min(Isa::detect()) {
        // SAFETY: `Isa::detect` found every feature of this path on this processor.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::run(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::run(kernel) },
        _ => kernel.run(portable::Portable::TOKEN),
    }
}

#[cfg(test)]
mod tests;
