//! The operators against float64 formulas, through the C ABI.

mod activation;
mod compare;
mod device;
mod elementwise;
mod index;
mod matmul;
mod movement;
mod norm;
mod reduce;
mod settings;
mod softmax;
