//! Loading and running a model as a C program does.

use crate::harness::{KIND, acl, device_memory, recent};
use lockstep_ascend_abi::{aclDataBuffer, aclmdlDataset, aclmdlDesc};
use std::ffi::c_void;
use std::ptr::null_mut;

/// Loads a model; the code, and its id.
pub(crate) fn try_load(file: &[u8]) -> (i32, u32) {
    let mut id = 0;
    let code = acl!(model.aclmdlLoadFromMem(file.as_ptr().cast(), file.len(), &mut id));
    (code, id)
}

/// A loaded model.
pub(crate) fn loaded(file: &[u8]) -> u32 {
    let (code, id) = try_load(file);
    assert_eq!(code, 0, "{}", recent());
    id
}

/// A description of a loaded model.
pub(crate) fn described(id: u32) -> *mut aclmdlDesc {
    let desc = acl!(model.aclmdlCreateDesc());
    assert_eq!(acl!(model.aclmdlGetDesc(desc, id)), 0, "{}", recent());
    desc
}

/// Device memory that holds these bytes; a byte of it if there are none.
pub(crate) fn device_bytes(bytes: &[u8]) -> *mut c_void {
    let address = device_memory(bytes.len().max(1));
    if !bytes.is_empty() {
        let code = acl!(runtime.aclrtMemcpy(address, bytes.len(), bytes.as_ptr().cast(), bytes.len(), KIND));
        assert_eq!(code, 0, "{}", recent());
    }
    address
}

/// What device memory holds.
pub(crate) fn bytes_of(address: *mut c_void, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    if size > 0 {
        let code = acl!(runtime.aclrtMemcpy(bytes.as_mut_ptr().cast(), size, address, size, KIND));
        assert_eq!(code, 0, "{}", recent());
    }
    bytes
}

/// A data buffer.
pub(crate) fn buffer(address: *mut c_void, size: usize) -> *mut aclDataBuffer {
    let made = acl!(model.aclCreateDataBuffer(address, size));
    assert!(!made.is_null(), "{}", recent());
    made
}

/// A dataset of device memory, by address and size.
pub(crate) fn dataset(buffers: &[(*mut c_void, usize)]) -> *mut aclmdlDataset {
    let made = acl!(model.aclmdlCreateDataset());
    for &(address, size) in buffers {
        assert_eq!(acl!(model.aclmdlAddDatasetBuffer(made, buffer(address, size))), 0, "{}", recent());
    }
    made
}

/// The datasets of a run and the first output's memory.
pub(crate) struct Data {
    pub(crate) input: *mut aclmdlDataset,
    pub(crate) output: *mut aclmdlDataset,
    pub(crate) x: *mut c_void,
    pub(crate) y: *mut c_void,
    size: usize,
}

impl Data {
    /// Inputs with these bytes, and one output of so many.
    pub(crate) fn new(inputs: &[&[u8]], output: usize) -> Self {
        let given: Vec<_> = inputs.iter().map(|bytes| (device_bytes(bytes), bytes.len())).collect();
        let y = device_memory(output.max(1));
        let x = given.first().map_or(null_mut(), |(address, _)| *address);
        Self { input: dataset(&given), output: dataset(&[(y, output)]), x, y, size: output }
    }

    /// `aclmdlExecute`.
    pub(crate) fn execute(&self, id: u32) -> i32 {
        acl!(model.aclmdlExecute(id, self.input, self.output))
    }

    /// `aclmdlExecuteAsync`.
    pub(crate) fn submit(&self, id: u32, stream: *mut c_void) -> i32 {
        acl!(model.aclmdlExecuteAsync(id, self.input, self.output, stream))
    }

    /// What the first output holds.
    pub(crate) fn result(&self) -> Vec<u8> {
        bytes_of(self.y, self.size)
    }
}

/// What a model of one output makes of these inputs.
pub(crate) fn outcome(file: &[u8], inputs: &[&[u8]], output: usize) -> Result<Vec<u8>, (i32, String)> {
    let id = loaded(file);
    let data = Data::new(inputs, output);
    let code = data.execute(id);
    if code != 0 {
        return Err((code, recent()));
    }
    assert_eq!(acl!(model.aclmdlUnload(id)), 0, "{}", recent());
    Ok(data.result())
}
