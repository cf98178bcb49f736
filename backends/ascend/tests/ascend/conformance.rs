//! The conformance suite on the simulator, through the very calls that a device would get.

use crate::child;
use lockstep_ascend::AscendBackend;
use lockstep_conformance::conform::{Expectations, assert_conforms};
use lockstep_hal::Backend;

fn conforms() {
    let device = AscendBackend::simulator().open(0).unwrap();
    assert_conforms(&device, &Expectations::ours().unwrap());
}

#[test]
fn the_simulated_device_conforms() {
    conforms();
}

#[test]
fn it_conforms_with_no_more_than_cann_8_has() {
    if child::case().is_some() {
        return conforms();
    }
    let test = "it_conforms_with_no_more_than_cann_8_has";
    let ran = child::run(module_path!(), test, "8", &[("LOCKSTEP_ASCEND_SIM_LAYOUT", "8")]);
    assert!(ran.ended_well && ran.said.contains("1 passed"), "{}", ran.said);
}
