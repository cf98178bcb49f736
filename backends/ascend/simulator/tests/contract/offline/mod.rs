//! Offline models: loading, describing, gears, running, and what goes wrong.

mod brought;
mod config;
mod describing;
pub(crate) mod draft;
mod gears;
mod layer_norm;
mod loading;
mod misuse;
mod operators;
mod round_trip;
mod running;
pub(crate) mod session;
mod streams;
mod tensor_desc;
