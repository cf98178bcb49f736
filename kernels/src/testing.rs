//! What the tests of several kernels share: seeded values, a pool of threads, and the formats' roundings.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use half::{bf16, f16};

use crate::{Element, Parallel};

/// A pool that starts its threads anew for every call, and hands pieces out from the last to the first.
pub(crate) struct Threads(pub(crate) usize);

impl Parallel for Threads {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
        let left = AtomicUsize::new(pieces);
        std::thread::scope(|scope| {
            for _ in 0..self.0 {
                scope.spawn(|| {
                    while let Ok(taken) =
                        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                    {
                        piece(taken - 1);
                    }
                });
            }
        });
    }
}

/// Seeded numbers (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In 0..1.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, range: Range<usize>) -> usize {
        range.start + (self.bits() % range.len() as u64) as usize
    }

    /// Standard normal (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Normal values in a storage type.
    pub(crate) fn values<T: Element>(&mut self, count: usize, mean: f64, deviation: f64) -> Vec<T> {
        (0..count).map(|_| T::from_f32((mean + deviation * self.normal()) as f32)).collect()
    }
}

/// Half the unit roundoff steps of f32: each f32 operation errs by at most this, relative.
pub(crate) const U: f64 = 1.0 / (1u64 << 24) as f64;

/// A storage type as a format.
pub(crate) trait Format: Element + PartialEq + std::fmt::Debug {
    const NAME: &'static str;
    /// Bits of the significand, the hidden one included.
    const DIGITS: i32;
    /// The exponent of the smallest normal number.
    const LEAST_EXPONENT: i32;

    /// The largest error of rounding `value` to the format.
    fn rounding(value: f64) -> f64 {
        let exponent = ((value.abs().to_bits() >> 52) as i32 - 1023).max(Self::LEAST_EXPONENT);
        f64::powi(2.0, exponent - Self::DIGITS)
    }

    fn value(self) -> f64 {
        f64::from(self.to_f32())
    }

    fn pattern(self) -> u32 {
        let value = self.to_f32();
        if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }
    }
}

impl Format for f32 {
    const NAME: &'static str = "f32";
    const DIGITS: i32 = 24;
    const LEAST_EXPONENT: i32 = -126;
}

impl Format for f16 {
    const NAME: &'static str = "f16";
    const DIGITS: i32 = 11;
    const LEAST_EXPONENT: i32 = -14;
}

impl Format for bf16 {
    const NAME: &'static str = "bf16";
    const DIGITS: i32 = 8;
    const LEAST_EXPONENT: i32 = -126;
}

/// The bits of all values, with one pattern for NaN.
pub(crate) fn patterns<T: Format>(values: &[T]) -> Vec<u32> {
    values.iter().map(|value| value.pattern()).collect()
}

/// Holds `got` to `truth` within `bound` plus the rounding to the storage type; `context` is printed on failure.
pub(crate) fn assert_within<T: Format>(got: T, truth: f64, bound: f64, context: &dyn Fn() -> String) {
    let bound = bound + T::rounding(truth.abs() + bound);
    let error = (got.value() - truth).abs();
    let overflow =
        got.to_f32().is_infinite() && T::from_f32((truth.abs() + bound) as f32).to_f32().is_infinite();
    assert!(
        error <= bound || (truth.is_nan() && got.to_f32().is_nan()) || got.value() == truth || overflow,
        "{} {}: got {got:?}, exactly {truth:e}, error {error:e}, bound {bound:e}",
        T::NAME,
        context()
    );
}
