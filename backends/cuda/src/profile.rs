//! How the kernels compute, whatever executes them.

use lockstep_hal::graph::DType;
use lockstep_hal::{NumericsProfile, Overflow};

/// The numerics of the kernels, as declared; the emulator meets them; an H200 stayed within the bounds that follow from them in every case of the suite (`benches/RESULTS.md`): sums in f32, the functions of `lockstep_kernels::math`, no TF32, no fast-math.
pub fn numerics() -> NumericsProfile {
    NumericsProfile {
        version: 1,
        accumulate: [DType::F32, DType::F16, DType::Bf16].map(|dtype| (dtype, DType::F32)).to_vec(),
        reduced_f32_products: false,
        flushes_subnormals: false,
        overflow: Overflow::Infinity,
        // Those of `lockstep_kernels::math` with FMA, whose coefficients and order `math.cuh` has.
        exp_ulp: 1.02,
        erf_ulp: 1.08,
        tanh_ulp: 1.34,
        deterministic: true,
        batch_invariant: true,
    }
}
