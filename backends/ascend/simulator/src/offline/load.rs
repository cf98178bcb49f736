//! `aclmdlQuerySize...`, `aclmdlLoad...`, `aclmdlUnload`.

use crate::exports::exports;
use crate::offline::config;
use crate::offline::memory::Brought;
use crate::offline::model::{self, Compiled};
use crate::runtime::errors::Failure;
use crate::runtime::{capture, context};
use core::ffi::{CStr, c_char, c_void};
use lockstep_ascend_abi::aclmdlConfigHandle;

/// The bytes of a model's file, and what to call it.
///
/// # Errors
/// 100000 for null, 145002 for what is not read.
///
/// # Safety
/// If not null, `path` ends in NUL.
pub(super) unsafe fn file(path: *const c_char) -> Result<(Vec<u8>, String), Failure> {
    if path.is_null() {
        return Err(Failure::null("modelPath"));
    }
    // SAFETY: the caller's promise.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy().into_owned();
    read(&path)
}

/// As [`file()`], of a path.
pub(super) fn read(path: &str) -> Result<(Vec<u8>, String), Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::new(145_002, format!("{path}: {error}")))?;
    Ok((bytes, path.to_owned()))
}

/// The bytes of a model in the caller's memory.
///
/// # Errors
/// 100000 for null or none.
///
/// # Safety
/// If not null, `model` is valid for reads of `size` bytes while the result lives.
pub(super) unsafe fn bytes<'a>(model: *const c_void, size: usize) -> Result<&'a [u8], Failure> {
    if model.is_null() {
        return Err(Failure::null("model"));
    }
    if size == 0 || isize::try_from(size).is_err() {
        return Err(Failure::invalid(format!("modelSize is {size}")));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { core::slice::from_raw_parts(model.cast(), size) })
}

/// What a model in the caller's memory is called.
pub(super) const IN_MEMORY: &str = "the model in memory";

fn load(
    symbol: &'static str,
    bytes: &[u8],
    what: &str,
    work: Brought,
    weights: Brought,
) -> Result<u32, Failure> {
    context::current()?;
    // Weights are copied to the device, and waited for.
    capture::refuse_synchronous(symbol)?;
    model::load(Compiled::of(bytes, what)?, work, weights, symbol)
}

exports! { model;
    fn aclmdlQuerySize(
        file_name: *const c_char, work_size: *mut usize, weight_size: *mut usize,
    ) writes(work_size, weight_size) {
        // SAFETY: ACL's contract on the path.
        let (bytes, what) = unsafe { file(file_name) }?;
        let compiled = Compiled::of(&bytes, &what)?;
        work_size.write(compiled.work_bytes());
        weight_size.write(compiled.weight_bytes());
        Ok(())
    }

    fn aclmdlQuerySizeFromMem(
        model: *const c_void, model_size: usize, work_size: *mut usize, weight_size: *mut usize,
    ) writes(work_size, weight_size) {
        // SAFETY: ACL's contract on the model.
        let compiled = Compiled::of(unsafe { bytes(model, model_size) }?, IN_MEMORY)?;
        work_size.write(compiled.work_bytes());
        weight_size.write(compiled.weight_bytes());
        Ok(())
    }

    fn aclmdlLoadFromFile(model_path: *const c_char, model_id: *mut u32) writes(model_id) {
        // SAFETY: ACL's contract on the path.
        let (bytes, what) = unsafe { file(model_path) }?;
        let none = Brought::default();
        model_id.write(load("aclmdlLoadFromFile", &bytes, &what, none, none)?);
        Ok(())
    }

    fn aclmdlLoadFromMem(
        model: *const c_void, model_size: usize, model_id: *mut u32,
    ) writes(model_id) {
        // SAFETY: ACL's contract on the model.
        let bytes = unsafe { bytes(model, model_size) }?;
        let none = Brought::default();
        model_id.write(load("aclmdlLoadFromMem", bytes, IN_MEMORY, none, none)?);
        Ok(())
    }

    fn aclmdlLoadFromFileWithMem(
        model_path: *const c_char, model_id: *mut u32, work_ptr: *mut c_void, work_size: usize,
        weight_ptr: *mut c_void, weight_size: usize,
    ) writes(model_id) {
        // SAFETY: ACL's contract on the path.
        let (bytes, what) = unsafe { file(model_path) }?;
        let (work, weights) = (Brought::new(work_ptr, work_size), Brought::new(weight_ptr, weight_size));
        model_id.write(load("aclmdlLoadFromFileWithMem", &bytes, &what, work, weights)?);
        Ok(())
    }

    fn aclmdlLoadFromMemWithMem(
        model: *const c_void, model_size: usize, model_id: *mut u32, work_ptr: *mut c_void,
        work_size: usize, weight_ptr: *mut c_void, weight_size: usize,
    ) writes(model_id) {
        // SAFETY: ACL's contract on the model.
        let bytes = unsafe { bytes(model, model_size) }?;
        let (work, weights) = (Brought::new(work_ptr, work_size), Brought::new(weight_ptr, weight_size));
        model_id.write(load("aclmdlLoadFromMemWithMem", bytes, IN_MEMORY, work, weights)?);
        Ok(())
    }

    fn aclmdlLoadWithConfig(handle: *const aclmdlConfigHandle, model_id: *mut u32) writes(model_id) {
        let config = config::of_loading(handle)?;
        // SAFETY: ACL's contract: a model that the configuration names lies there until it is loaded.
        let (bytes, what) = unsafe { config.source() }?;
        let (work, weights) = (config.work(), config.weights());
        model_id.write(load("aclmdlLoadWithConfig", &bytes, &what, work, weights)?);
        Ok(())
    }

    fn aclmdlUnload(model_id: u32) {
        model::unload(model_id)
    }
}
