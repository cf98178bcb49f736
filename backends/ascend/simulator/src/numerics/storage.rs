//! Element types in memory, each read to and written from the types that kernels compute in.

use super::{Number, Rounding};
use half::{bf16, f16};
use lockstep_ascend_abi::aclDataType;

/// An element in device memory. Every bit pattern is a value.
pub(crate) trait Storage: Copy + Default + 'static {
    fn read<C: Number>(self) -> C;
    fn write<C: Number>(value: C) -> Self;

    /// Subnormal numbers as zeros of their sign.
    fn flushed(self) -> Self {
        self
    }

    /// Results in saturation mode: the largest number for infinity, zero for NaN.
    fn saturated(self) -> Self {
        self
    }

    fn read_all<C: Number>(from: &[Self], into: &mut [C]) {
        for (into, &from) in into.iter_mut().zip(from) {
            *into = from.read();
        }
    }

    fn write_all<C: Number>(from: &[C], into: &mut [Self]) {
        for (into, &from) in into.iter_mut().zip(from) {
            *into = Self::write(from);
        }
    }
}

/// A truth value: any byte but 0 is true, and 1 is written.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub(crate) struct Truth(u8);

impl Storage for Truth {
    fn read<C: Number>(self) -> C {
        if self.0 == 0 { C::ZERO } else { C::ONE }
    }
    fn write<C: Number>(value: C) -> Self {
        Self(u8::from(value != C::ZERO))
    }
}

impl Storage for f32 {
    fn read<C: Number>(self) -> C {
        C::of_f32(self)
    }
    fn write<C: Number>(value: C) -> Self {
        value.to_f32()
    }
    fn flushed(self) -> Self {
        if self.is_subnormal() { 0f32.copysign(self) } else { self }
    }
}

impl Storage for f64 {
    fn read<C: Number>(self) -> C {
        C::of_f64(self)
    }
    fn write<C: Number>(value: C) -> Self {
        value.to_f64()
    }
}

impl Storage for f16 {
    fn read<C: Number>(self) -> C {
        C::of_f32(self.to_f32())
    }
    fn write<C: Number>(value: C) -> Self {
        value.to_f16()
    }
    fn flushed(self) -> Self {
        if self.to_bits() & 0x7c00 == 0 { Self::from_bits(self.to_bits() & 0x8000) } else { self }
    }
    fn saturated(self) -> Self {
        if self.is_nan() {
            Self::ZERO
        } else if self.is_infinite() {
            if self.is_sign_negative() { Self::MIN } else { Self::MAX }
        } else {
            self
        }
    }
    fn read_all<C: Number>(from: &[Self], into: &mut [C]) {
        C::of_f16s(from, into);
    }
    fn write_all<C: Number>(from: &[C], into: &mut [Self]) {
        C::to_f16s(from, into);
    }
}

impl Storage for bf16 {
    fn read<C: Number>(self) -> C {
        C::of_f32(self.to_f32())
    }
    fn write<C: Number>(value: C) -> Self {
        value.to_bf16()
    }
    fn flushed(self) -> Self {
        if self.to_bits() & 0x7f80 == 0 { Self::from_bits(self.to_bits() & 0x8000) } else { self }
    }
}

macro_rules! signed {
    ($($type:ty, $to:ident;)*) => {$(
        impl Storage for $type {
            fn read<C: Number>(self) -> C {
                C::of_i64(self.into())
            }
            fn write<C: Number>(value: C) -> Self {
                value.$to()
            }
        }
    )*};
}
signed! {
    i64, to_i64;
    i32, to_i32;
    i16, to_i16;
    i8, to_i8;
    u32, to_u32;
    u16, to_u16;
    u8, to_u8;
}

impl Storage for u64 {
    fn read<C: Number>(self) -> C {
        C::of_u64(self)
    }
    fn write<C: Number>(value: C) -> Self {
        value.to_u64()
    }
}

/// An element type that kernels read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F32,
    F64,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

impl Element {
    /// `None` for complex numbers, strings and formats of less than a byte.
    pub(crate) fn of(dtype: aclDataType) -> Option<Self> {
        Some(match dtype {
            aclDataType::FLOAT => Self::F32,
            aclDataType::DOUBLE => Self::F64,
            aclDataType::FLOAT16 => Self::F16,
            aclDataType::BF16 => Self::Bf16,
            aclDataType::INT64 => Self::I64,
            aclDataType::INT32 => Self::I32,
            aclDataType::INT16 => Self::I16,
            aclDataType::INT8 => Self::I8,
            aclDataType::UINT64 => Self::U64,
            aclDataType::UINT32 => Self::U32,
            aclDataType::UINT16 => Self::U16,
            aclDataType::UINT8 => Self::U8,
            aclDataType::BOOL => Self::Bool,
            _ => return None,
        })
    }

    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Rounds values that are to be used as this type, and leaves them in the type that is computed in.
    pub(crate) fn narrow<C: Number>(self, values: &mut [C], rounding: Rounding) {
        const CHUNK: usize = 256;
        with_storage!(self, T => {
            let mut narrow = [T::default(); CHUNK];
            for values in values.chunks_mut(CHUNK) {
                let narrow = &mut narrow[..values.len()];
                T::write_all(values, narrow);
                rounding.apply(narrow);
                T::read_all(narrow, values);
            }
        });
    }
}

/// Runs `$body` with `$T` as the Rust type of an [`Element`].
macro_rules! with_storage {
    ($element:expr, $T:ident => $body:expr) => {
        match $element {
            $crate::numerics::storage::Element::F32 => {
                type $T = f32;
                $body
            }
            $crate::numerics::storage::Element::F64 => {
                type $T = f64;
                $body
            }
            $crate::numerics::storage::Element::F16 => {
                type $T = half::f16;
                $body
            }
            $crate::numerics::storage::Element::Bf16 => {
                type $T = half::bf16;
                $body
            }
            $crate::numerics::storage::Element::I64 => {
                type $T = i64;
                $body
            }
            $crate::numerics::storage::Element::I32 => {
                type $T = i32;
                $body
            }
            $crate::numerics::storage::Element::I16 => {
                type $T = i16;
                $body
            }
            $crate::numerics::storage::Element::I8 => {
                type $T = i8;
                $body
            }
            $crate::numerics::storage::Element::U64 => {
                type $T = u64;
                $body
            }
            $crate::numerics::storage::Element::U32 => {
                type $T = u32;
                $body
            }
            $crate::numerics::storage::Element::U16 => {
                type $T = u16;
                $body
            }
            $crate::numerics::storage::Element::U8 => {
                type $T = u8;
                $body
            }
            $crate::numerics::storage::Element::Bool => {
                type $T = $crate::numerics::storage::Truth;
                $body
            }
        }
    };
}
pub(crate) use with_storage;
