//! Numbers as the device computes them: how it rounds, which type two types meet in, and the formulas of the
//! operators whose published kernels differ from the textbook's.

pub(crate) mod elementary;
pub(crate) mod number;
pub(crate) mod promote;
pub(crate) mod recipes;
pub(crate) mod round;
pub(crate) mod storage;

pub(crate) use number::Number;
pub(crate) use round::Rounding;

pub(crate) use crate::runtime::settings::{Numerics, Overflow, Settings, Subnormals};
