//! What operators take, and the executors that they make.

pub(crate) mod arrays;
pub(crate) mod executor;
pub(crate) mod scalar;
pub(crate) mod tensor;
