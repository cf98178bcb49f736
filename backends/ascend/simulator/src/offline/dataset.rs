//! Data buffers, and the datasets of one run that they are put into. Neither owns device memory, nor a dataset its
//! buffers.

use crate::exports::exports;
use crate::offline::tensor_desc::{self, TENSOR_DESCS, TensorDesc};
use crate::registry::{Registry, as_pointer};
use crate::runtime::errors::Failure;
use crate::runtime::lock;
use core::ffi::c_void;
use lockstep_ascend_abi::{aclDataBuffer, aclTensorDesc, aclmdlDataset};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// An address and how many bytes are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes {
    pub(super) address: usize,
    pub(super) size: usize,
}

/// What C calls a data buffer.
pub(super) type Buffer = Mutex<Bytes>;

/// The inputs or the outputs of runs.
#[derive(Default)]
pub(super) struct Dataset {
    buffers: Mutex<Vec<usize>>,
    descs: Mutex<BTreeMap<usize, (usize, Arc<TensorDesc>)>>,
    /// The gear that was chosen for runs with this dataset, by the model's id.
    pub(super) gears: Mutex<BTreeMap<u32, usize>>,
}

pub(super) static DATASETS: Registry<Dataset> = Registry::new(21);
pub(super) static BUFFERS: Registry<Buffer> = Registry::new(22);

/// The live ones, one line each.
pub(super) fn leaks() -> Vec<String> {
    let describe = |dataset: Arc<Dataset>| {
        format!("a dataset of {} buffers by aclmdlCreateDataset", lock(&dataset.buffers).len())
    };
    let datasets = DATASETS.all().into_iter().map(describe);
    let buffers = BUFFERS.all().into_iter();
    datasets
        .chain(
            buffers.map(|buffer| {
                format!("a data buffer of {} bytes by aclCreateDataBuffer", lock(&buffer).size)
            }),
        )
        .collect()
}

fn buffer(handle: *const aclDataBuffer) -> Result<Arc<Buffer>, Failure> {
    if handle.is_null() {
        return Err(Failure::null("dataBuffer"));
    }
    BUFFERS.get(handle).ok_or_else(|| Failure::invalid("dataBuffer is not one that is alive"))
}

/// The live dataset of the parameter `name`.
pub(super) fn live(dataset: *const aclmdlDataset, name: &str) -> Result<Arc<Dataset>, Failure> {
    if dataset.is_null() {
        return Err(Failure::null(name));
    }
    DATASETS.get(dataset).ok_or_else(|| Failure::invalid(format!("{name} is not a dataset that is alive")))
}

impl Dataset {
    /// How many buffers it has.
    pub(super) fn len(&self) -> usize {
        lock(&self.buffers).len()
    }

    /// The buffer at `index`.
    ///
    /// # Errors
    /// 100000 if there is none, or it was destroyed.
    pub(super) fn buffer(&self, index: usize) -> Result<Arc<Buffer>, Failure> {
        let handle = lock(&self.buffers).get(index).copied();
        let handle = handle.ok_or_else(|| {
            Failure::invalid(format!("the dataset has {} buffers, none of number {index}", self.len()))
        })?;
        BUFFERS
            .get(as_pointer::<aclDataBuffer>(handle))
            .ok_or_else(|| Failure::invalid(format!("buffer {index} of the dataset was destroyed")))
    }

    /// The description that was set for the buffer at `index`.
    pub(super) fn desc(&self, index: usize) -> Option<Arc<TensorDesc>> {
        lock(&self.descs).get(&index).map(|(_, desc)| desc.clone())
    }
}

exports! { model;
    fn aclmdlCreateDataset() -> *mut aclmdlDataset, or core::ptr::null_mut(), {
        Ok(as_pointer(DATASETS.add(Dataset::default())))
    }

    fn aclmdlDestroyDataset(dataset: *const aclmdlDataset) {
        live(dataset, "dataset")?;
        DATASETS.remove(dataset);
        Ok(())
    }

    fn aclmdlAddDatasetBuffer(dataset: *mut aclmdlDataset, data_buffer: *mut aclDataBuffer) {
        let dataset = live(dataset, "dataset")?;
        buffer(data_buffer)?;
        lock(&dataset.buffers).push(data_buffer.addr());
        Ok(())
    }

    fn aclmdlGetDatasetNumBuffers(dataset: *const aclmdlDataset) -> usize, or 0, {
        Ok(live(dataset, "dataset")?.len())
    }

    fn aclmdlGetDatasetBuffer(
        dataset: *const aclmdlDataset, index: usize,
    ) -> *mut aclDataBuffer, or core::ptr::null_mut(), {
        let dataset = live(dataset, "dataset")?;
        dataset.buffer(index)?;
        let handle = lock(&dataset.buffers)[index];
        Ok(as_pointer(handle))
    }

    // What it describes is compared with the gear's extents when the model runs.
    fn aclmdlSetDatasetTensorDesc(
        dataset: *mut aclmdlDataset, tensor_desc: *mut aclTensorDesc, index: usize,
    ) {
        let dataset = live(dataset, "dataset")?;
        let desc = tensor_desc::live(tensor_desc)?;
        dataset.buffer(index)?;
        lock(&dataset.descs).insert(index, (tensor_desc.addr(), desc));
        Ok(())
    }

    // Our reading: null where none was set; the extents of outputs follow from the gear, and are not left here.
    fn aclmdlGetDatasetTensorDesc(
        dataset: *const aclmdlDataset, index: usize,
    ) -> *mut aclTensorDesc, or core::ptr::null_mut(), {
        let dataset = live(dataset, "dataset")?;
        let handle = lock(&dataset.descs).get(&index).map(|(handle, _)| as_pointer(*handle));
        Ok(handle.filter(|handle| TENSOR_DESCS.get::<aclTensorDesc>(*handle).is_some()).unwrap_or_default())
    }

    fn aclCreateDataBuffer(data: *mut c_void, size: usize) -> *mut aclDataBuffer, or core::ptr::null_mut(), {
        Ok(as_pointer(BUFFERS.add(Mutex::new(Bytes { address: data.expose_provenance(), size }))))
    }

    fn aclDestroyDataBuffer(data_buffer: *const aclDataBuffer) {
        buffer(data_buffer)?;
        BUFFERS.remove(data_buffer);
        Ok(())
    }

    fn aclUpdateDataBuffer(data_buffer: *mut aclDataBuffer, data: *mut c_void, size: usize) {
        *lock(&*buffer(data_buffer)?) = Bytes { address: data.expose_provenance(), size };
        Ok(())
    }

    fn aclGetDataBufferAddr(data_buffer: *const aclDataBuffer) -> *mut c_void, or core::ptr::null_mut(), {
        Ok(core::ptr::with_exposed_provenance_mut(lock(&*buffer(data_buffer)?).address))
    }

    fn aclGetDataBufferSize(data_buffer: *const aclDataBuffer) -> u32, or 0, {
        Ok(lock(&*buffer(data_buffer)?).size as u32)
    }

    fn aclGetDataBufferSizeV2(data_buffer: *const aclDataBuffer) -> usize, or 0, {
        Ok(lock(&*buffer(data_buffer)?).size)
    }
}
