//! The CUDA backend's plan and kernels against the conformance suite, without a GPU.

use lockstep_conformance::conform::{Expectations, assert_conforms};
use lockstep_cuda_emulated::EmulatedCuda;
use lockstep_hal::Backend;

#[test]
fn the_emulated_device_conforms() {
    let device = EmulatedCuda::new().open(0).unwrap();
    assert_conforms(&device, &Expectations::ours().unwrap());
}
