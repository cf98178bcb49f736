//! What the simulator says it is: its name, CANN's version, and the sizes of the chip it stands for.

use crate::exports::exports;
use crate::runtime::errors::Failure;
use crate::runtime::settings::Layout;
use crate::runtime::{device, process};
use core::mem::MaybeUninit;
use lockstep_ascend_abi::{
    aclCANNPackageName, aclCANNPackageVersion, aclCannAttr, aclDeviceInfo, aclrtDevAttr, aclrtRunMode,
};
use std::ffi::{CString, c_char};
use std::sync::{Mutex, PoisonError};

/// Matrix cores of a 910B3.
const CUBE_CORES: i64 = 20;
/// Vector cores of a 910B3.
const VECTOR_CORES: i64 = 40;
/// Bytes of its last-level cache.
const L2_BYTES: i64 = 201_326_592;
/// Bytes of a vector core's unified buffer.
const UNIFIED_BUFFER_BYTES: i64 = 192 << 10;

/// Names that C may still read: one per `LOCKSTEP_ASCEND_SIM_SOC` that this process has had.
static NAMES: Mutex<Vec<CString>> = Mutex::new(Vec::new());

/// What CANN's packages call their release.
fn version() -> (&'static str, i32) {
    match process::settings().layout {
        Layout::Cann8 => ("8.1.RC1", 80_100_000),
        Layout::Cann9 => ("9.1.0", 90_100_000),
    }
}

fn check_package(name: *const c_char) -> Result<(), Failure> {
    match name.is_null() {
        true => Err(Failure::null("pkgName")),
        false => Ok(()),
    }
}

fn write_text(field: &mut [c_char], text: &str) {
    for (place, byte) in field.iter_mut().zip(text.bytes().chain([0])) {
        *place = byte as c_char;
    }
}

fn cann_version(name: aclCANNPackageName) -> Result<aclCANNPackageVersion, Failure> {
    if name.name().is_none() {
        return Err(Failure::invalid(format!("package {name:?} does not exist")));
    }
    let (text, _) = version();
    let zero: MaybeUninit<aclCANNPackageVersion> = MaybeUninit::zeroed();
    // SAFETY: the struct is arrays of characters only, for which zero is a value.
    let mut version = unsafe { zero.assume_init() };
    write_text(&mut version.version, text);
    let mut parts = text.split('.');
    write_text(&mut version.major_version, parts.next().unwrap_or_default());
    write_text(&mut version.minor_version, parts.next().unwrap_or_default());
    write_text(&mut version.release_version, parts.next().unwrap_or_default());
    Ok(version)
}

exports! { runtime;
    fn aclrtGetSocName() -> *const c_char, or core::ptr::null(), {
        let name = process::settings().soc.clone();
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match names.iter().position(|known| *known == name) {
            Some(at) => at,
            None => {
                names.push(name);
                names.len() - 1
            }
        };
        Ok(names[known].as_ptr())
    }

    fn aclrtGetVersion(
        major_version: *mut i32, minor_version: *mut i32, patch_version: *mut i32,
    ) writes(major_version, minor_version, patch_version) {
        major_version.write(1);
        minor_version.write(match process::settings().layout {
            Layout::Cann8 => 13,
            Layout::Cann9 => 14,
        });
        patch_version.write(0);
        Ok(())
    }

    fn aclsysGetCANNVersion(
        name: aclCANNPackageName, version: *mut aclCANNPackageVersion,
    ) writes(version) {
        version.write(cann_version(name)?);
        Ok(())
    }

    fn aclsysGetVersionStr(pkg_name: *mut c_char, version_str: *mut c_char) {
        check_package(pkg_name)?;
        if version_str.is_null() {
            return Err(Failure::null("versionStr"));
        }
        let (text, _) = version();
        // SAFETY: ACL's contract: room for a version's 128 characters.
        let field = unsafe { core::slice::from_raw_parts_mut(version_str, text.len() + 1) };
        write_text(field, text);
        Ok(())
    }

    fn aclsysGetVersionNum(pkg_name: *mut c_char, version_num: *mut i32) writes(version_num) {
        check_package(pkg_name)?;
        version_num.write(version().1);
        Ok(())
    }

    fn aclGetCannAttributeList(
        cann_attr_list: *mut *const aclCannAttr, num: *mut usize,
    ) writes(cann_attr_list, num) {
        const SUPPORTED: &[aclCannAttr] = &[aclCannAttr::INF_NAN, aclCannAttr::BF16];
        cann_attr_list.write(SUPPORTED.as_ptr());
        num.write(SUPPORTED.len());
        Ok(())
    }

    fn aclGetCannAttribute(cann_attr: aclCannAttr, value: *mut i32) writes(value) {
        value.write(match cann_attr {
            aclCannAttr::INF_NAN | aclCannAttr::BF16 => 1,
            aclCannAttr::JIT_COMPILE => 0,
            _ => return Err(Failure::invalid(format!("cannAttr is {cann_attr:?}"))),
        });
        Ok(())
    }

    fn aclGetDeviceCapability(device_id: u32, device_info: aclDeviceInfo, value: *mut i64) writes(value) {
        device::check(i32::try_from(device_id).unwrap_or(-1))?;
        value.write(match device_info {
            aclDeviceInfo::AI_CORE_NUM => CUBE_CORES,
            aclDeviceInfo::VECTOR_CORE_NUM => VECTOR_CORES,
            aclDeviceInfo::L2_SIZE => L2_BYTES,
            _ => return Err(Failure::invalid(format!("deviceInfo is {device_info:?}"))),
        });
        Ok(())
    }

    fn aclrtGetDeviceInfo(device_id: u32, attr: aclrtDevAttr, value: *mut i64) writes(value) {
        device::check(i32::try_from(device_id).unwrap_or(-1))?;
        value.write(match attr {
            aclrtDevAttr::AICORE_CORE_NUM | aclrtDevAttr::CUBE_CORE_NUM => CUBE_CORES,
            aclrtDevAttr::VECTOR_CORE_NUM => VECTOR_CORES,
            aclrtDevAttr::UBUF_PER_VECTOR_CORE => UNIFIED_BUFFER_BYTES,
            aclrtDevAttr::TOTAL_GLOBAL_MEM_SIZE => process::settings().memory as i64,
            aclrtDevAttr::L2_CACHE_SIZE => L2_BYTES,
            aclrtDevAttr::IS_VIRTUAL => 0,
            _ => return Err(Failure::new(207_000, format!("{attr:?} is not simulated"))),
        });
        Ok(())
    }

    fn aclrtGetRunMode(run_mode: *mut aclrtRunMode) writes(run_mode) {
        run_mode.write(aclrtRunMode::HOST);
        Ok(())
    }
}
