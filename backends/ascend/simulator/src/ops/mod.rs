//! The operators: each checks in phase 1 as documented and computes in phase 2.

mod access;
mod activation;
mod axes;
mod cast;
mod check;
mod compare;
mod elementwise;
mod fill;
mod index;
mod matmul;
mod movement;
mod norm;
mod pointwise;
mod reduce;
mod softmax;
