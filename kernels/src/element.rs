//! Storage types of float tensors. Arithmetic is always f32; a storage type only loads and stores.

use half::{bf16, f16};

/// A float storage type: read to f32 exactly, written from f32 with one rounding (to nearest, ties to even).
pub trait Element: Copy + Send + Sync + Default + 'static {
    /// The value as f32, exact.
    fn to_f32(self) -> f32;
    /// The nearest value of this type; overflow gives infinity, NaN stays NaN.
    fn from_f32(value: f32) -> Self;
}

impl Element for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
}

impl Element for f16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        bf16::to_f32(self)
    }
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        bf16::from_f32(value)
    }
}
