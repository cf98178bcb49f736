//! Offline models: loading, describing, gears, running, and what goes wrong.

mod draft;
mod operators;
mod round_trip;
mod session;
