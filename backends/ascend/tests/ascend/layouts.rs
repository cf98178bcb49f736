//! The libraries under the names of both layouts, as an installation of CANN has them, and what is said where they are not.

use crate::child;
use lockstep_ascend::AscendBackend;
use lockstep_ascend_abi::libraries;
use lockstep_hal::{Backend, Error};
use std::path::Path;

const TEST: &str = "the_vendors_names_lead_to_the_libraries_in_both_layouts";

/// A folder as `ASCEND_HOME_PATH` names it, with the simulator under each of these names.
fn installation(folder: &Path, names: &[&str]) {
    let lib = folder.join("lib64");
    std::fs::create_dir_all(&lib).unwrap();
    let simulator = std::env::current_exe().unwrap().with_file_name("liblockstep_ascend_simulator.so");
    for name in names {
        std::os::unix::fs::symlink(&simulator, lib.join(name)).unwrap();
    }
}

#[test]
fn the_vendors_names_lead_to_the_libraries_in_both_layouts() {
    if child::case().is_some() {
        match AscendBackend::new().devices() {
            Ok(devices) => eprintln!("found: {devices:?}"),
            Err(error) => eprintln!("absent: {error}"),
        }
        return;
    }
    let eight = ["libascendcl.so", "libnnopbase.so", "libopapi.so"];
    let nine: Vec<&str> = (libraries::ACL.iter().filter(|name| **name != "libascendcl.so"))
        .chain([&libraries::NNOPBASE])
        .chain(libraries::OPERATORS.iter().filter(|name| **name != "libopapi.so"))
        .copied()
        .collect();
    for names in [&eight[..], &nine] {
        let folder = tempfile::tempdir().unwrap();
        installation(folder.path(), names);
        let home = folder.path().to_str().unwrap();
        let ran = child::run(module_path!(), TEST, "here", &[("ASCEND_HOME_PATH", home)]);
        // Under whatever name it comes, it is no device.
        assert!(ran.said.contains("found: ") && ran.said.contains("ascend:0"), "{}", ran.said);
        assert!(ran.said.contains("simulated: true") && ran.said.contains("-SIM"), "{}", ran.said);
        // One of a kind missing is said with where it was looked for.
        std::fs::remove_file(folder.path().join("lib64/libnnopbase.so")).unwrap();
        let ran = child::run(module_path!(), TEST, "here", &[("ASCEND_HOME_PATH", home)]);
        assert!(
            ran.said.contains("absent: ascend is not available: libnnopbase.so not found"),
            "{}",
            ran.said
        );
    }
}

#[test]
fn visible_devices_are_numbered_from_0() {
    if child::case().is_some() {
        eprintln!("found: {:?}", AscendBackend::simulator().devices().unwrap().len());
        return;
    }
    let ran = child::run(
        module_path!(),
        "visible_devices_are_numbered_from_0",
        "here",
        &[("ASCEND_RT_VISIBLE_DEVICES", "1"), ("LOCKSTEP_ASCEND_SIM_DEVICES", "4")],
    );
    assert!(ran.said.contains("found: 1"), "{}", ran.said);
}

#[test]
fn without_cann_the_search_is_told() {
    if child::case().is_some() {
        let error = AscendBackend::new().devices().unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        eprintln!("said: {error}");
        return;
    }
    // A machine with CANN has its libraries on the loader's path.
    let empty = tempfile::tempdir().unwrap();
    let ran = child::run(
        module_path!(),
        "without_cann_the_search_is_told",
        "here",
        &[("ASCEND_HOME_PATH", empty.path().to_str().unwrap()), ("LD_LIBRARY_PATH", "")],
    );
    assert!(ran.ended_well, "{}", ran.said);
    assert!(ran.said.contains("libacl_rt.so") && ran.said.contains("ascend-sim"), "{}", ran.said);
}

#[test]
fn what_only_cann_9_has_is_not_needed() {
    if child::case().is_some() {
        let device = AscendBackend::simulator().open(0).unwrap();
        let buffer = device.alloc(8, lockstep_hal::Usage::Input).unwrap();
        device.write(&buffer, 0, &[1; 8]).unwrap();
        return;
    }
    let ran = child::run(
        module_path!(),
        "what_only_cann_9_has_is_not_needed",
        "8",
        &[("LOCKSTEP_ASCEND_SIM_LAYOUT", "8")],
    );
    assert!(ran.ended_well, "{}", ran.said);
}
