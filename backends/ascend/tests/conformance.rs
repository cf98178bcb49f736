//! The conformance suite on the simulator, through the very calls that a device would get.

use lockstep_ascend::AscendBackend;
use lockstep_conformance::conform::{Expectations, assert_conforms};
use lockstep_hal::Backend;

#[test]
fn the_simulated_device_conforms() {
    let device = AscendBackend::simulator().open(0).unwrap();
    assert_conforms(&device, &Expectations::ours().unwrap());
}
