//! Chores of the project, as a library that its tests use too.

pub mod compiler;
pub mod nvrtc;
pub mod sources;
pub mod usage;

/// What went wrong, in words.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
