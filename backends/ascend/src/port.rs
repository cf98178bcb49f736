//! How carefully operators are chosen: as this backend does, or as a first port often does, so that what that costs can be shown; and
//! what products may do to f32.

use lockstep_ascend_abi::cube_math_type::{KEEP_DTYPE, USE_HF32};

/// `1`: factors of f32 are rounded to HF32 before they are multiplied, which is faster; the device's profile then says so.
const HF32_VARIABLE: &str = "LOCKSTEP_ASCEND_HF32";

/// Which operators an op becomes where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// Those that stay within the op's bound.
    Careful,
    /// Those that their names suggest: `aclnnGelu` for any GELU, gamma and beta in the dtype of x, index_add in place, in x's dtype
    /// and in the operator's default mode, in which sums have no fixed order.
    Naive,
}

/// What products do to factors of f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Products {
    /// They are multiplied as they are.
    Full,
    /// They are rounded to HF32 first.
    Hf32,
}

impl Products {
    /// As the environment asks, when the device is opened.
    pub(crate) fn from_environment() -> Self {
        match std::env::var_os(HF32_VARIABLE) {
            Some(said) if said == "1" => Self::Hf32,
            _ => Self::Full,
        }
    }

    /// As the operators are told.
    pub(crate) fn cube_math_type(self) -> i8 {
        match self {
            Self::Full => KEEP_DTYPE,
            Self::Hf32 => USE_HF32,
        }
    }
}
