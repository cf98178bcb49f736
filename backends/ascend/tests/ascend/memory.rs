//! Buffers of a device, and an operator from one to another.

use lockstep_ascend::AscendBackend;
use lockstep_hal::{Backend, Error, Usage};

#[test]
fn the_simulator_says_that_it_is_one() {
    let devices = AscendBackend::simulator().devices().unwrap();
    assert!(devices.len() >= 2, "{devices:?}");
    for (number, device) in devices.iter().enumerate() {
        assert_eq!(device.id, format!("ascend-sim:{number}"));
        assert!(device.simulated && device.name.ends_with("-SIM"), "{device:?}");
    }
}

#[test]
fn bytes_go_there_and_back() {
    let device = AscendBackend::simulator().open(1).unwrap();
    let buffer = device.alloc(100, Usage::Input).unwrap();
    let mut read = [1; 100];
    device.read(&buffer, 0, &mut read).unwrap();
    assert_eq!(read, [0; 100]);
    device.write(&buffer, 40, &[7; 20]).unwrap();
    device.read(&buffer, 30, &mut read[..40]).unwrap();
    assert_eq!(read[..40].iter().map(|&byte| u32::from(byte)).sum::<u32>(), 7 * 20);
    assert!(device.write(&buffer, 90, &[0; 11]).is_err());
    let other = AscendBackend::simulator().open(0).unwrap();
    assert!(other.read(&buffer, 0, &mut read).unwrap_err().to_string().contains("ascend-sim:0"));
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let error = AscendBackend::simulator().open(77).unwrap_err();
    assert!(matches!(error, Error::NoSuchDevice { ordinal: 77, .. }), "{error}");
}

#[test]
fn memory_that_is_not_there_is_an_error_with_what_was_asked_and_what_is_free() {
    let device = AscendBackend::simulator().open(0).unwrap();
    let error = device.alloc(1 << 50, Usage::Input).unwrap_err();
    let Error::OutOfMemory { requested, free: Some(free), .. } = error else { panic!("{error}") };
    assert!(requested == 1 << 50 && free > 0);
    assert!(device.alloc(64, Usage::Input).is_ok());
}
