//! How the operators compute, as far as it is published; no device has been measured.

use crate::port::Products;
use lockstep_hal::graph::DType;
use lockstep_hal::{NumericsProfile, Overflow};

/// The numerics of the operators as the backend calls them: sums in f32, f32 gamma and beta, index_add in deterministic mode; products of
/// f32 as they are (`cubeMathType` 0) unless `LOCKSTEP_ASCEND_HF32` asks for less when the device is opened. The errors of exp, erf and tanh are of the simulator's; a device has yet to show its own.
pub fn numerics() -> NumericsProfile {
    of(Products::Full)
}

/// The same with these products.
pub(crate) fn of(products: Products) -> NumericsProfile {
    NumericsProfile {
        version: 1,
        accumulate: [DType::F32, DType::F16, DType::Bf16].map(|dtype| (dtype, DType::F32)).to_vec(),
        reduced_f32_products: products == Products::Hf32,
        flushes_subnormals: false,
        overflow: Overflow::Infinity,
        exp_ulp: 1.0,
        erf_ulp: 1.0,
        tanh_ulp: 1.0,
        deterministic: true,
        // The order in which the cube sums over k is not published, and may follow the number of rows.
        batch_invariant: false,
    }
}
