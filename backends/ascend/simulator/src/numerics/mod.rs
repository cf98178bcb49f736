//! The operators' arithmetic, and the settings that choose it.

pub(crate) use crate::runtime::settings::{Numerics, Overflow, Settings, Subnormals};
