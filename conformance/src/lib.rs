//! What holds backends to the truth and to each other.
//!
//! It starts small: differences between tensors ([`compare`]), error bounds of single ops ([`bounds`]), and the truth of
//! storage formats ([`rounding`]): a graph computed in f64 that rounds every stored value as its format does, which is the
//! best that any device with that format can do. The behaviour that every backend must show is in this crate's `tests/`.

pub mod bounds;
pub mod compare;
pub mod rounding;
