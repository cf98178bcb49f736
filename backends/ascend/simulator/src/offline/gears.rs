//! Choosing the gear of the runs with a dataset.
//!
//! The choice is kept with the dataset, and its extents are written to the device memory of the dataset's last buffer,
//! which the model reads on a device. A run compares the two, so that a buffer that several datasets share, and that was
//! written again before a run with it, is found.

use crate::exports::exports;
use crate::offline::{dataset, model};
use crate::runtime::errors::Failure;
use crate::runtime::{capture, lock, uses};
use lockstep_ascend_abi::{ACL_DYNAMIC_TENSOR_NAME, ACL_MAX_DIM_CNT, aclmdlDataset, aclmdlIODims};
use lockstep_ascend_container::Dynamic;
use std::sync::atomic::Ordering;

/// What a device holds for a choice.
pub(super) fn to_bytes(choice: &[i64]) -> Vec<u8> {
    choice.iter().flat_map(|extent| extent.to_le_bytes()).collect()
}

/// Chooses the gear of a name for the runs of a model with a dataset.
///
/// # Errors
/// Our reading: 100019 for a model without such gears, 145013 for a gear that it has not, 145011 where the buffer is no
/// device memory, 145012 where it is too small.
fn choose(
    symbol: &str,
    model_id: u32,
    dataset: *const aclmdlDataset,
    index: usize,
    dynamic: Dynamic,
    key: &[i64],
) -> Result<(), Failure> {
    let model = model::live(model_id)?;
    let dataset = dataset::live(dataset, "dataset")?;
    let description = &model.description;
    let Some(chooser) = description.chooser().filter(|_| description.dynamic == dynamic) else {
        let compiled = match description.dynamic {
            Dynamic::No => "with fixed extents",
            Dynamic::Batch => "with --dynamic_batch_size",
            Dynamic::Dims => "with --dynamic_dims",
        };
        return Err(Failure::new(100_019, format!("the model was compiled {compiled}")));
    };
    if index != chooser {
        let name = ACL_DYNAMIC_TENSOR_NAME;
        return Err(Failure::invalid(format!("index is {index}, expected {chooser}, that of {name:?}")));
    }
    let gear = description.keys.iter().position(|known| known == key).ok_or_else(|| {
        Failure::new(145_013, format!("{key:?} is none of the model's gears: {}", description.gears()))
    })?;
    let buffer = *lock(&*dataset.buffer(index)?);
    let bytes = to_bytes(&description.choices[gear]);
    if buffer.size < bytes.len() {
        let text =
            format!("buffer {index} has {} bytes, the choice of a gear takes {}", buffer.size, bytes.len());
        return Err(Failure::new(145_012, text));
    }
    capture::refuse_synchronous(symbol)?;
    let name = format!("buffer {index}");
    let found = uses::in_device_memory(buffer.address, bytes.len(), model.device, &name);
    let found = found.map_err(|text| Failure::new(145_011, text))?;
    let written = uses::during(&[Ok(found)], symbol, || {
        let to: *mut u8 = core::ptr::with_exposed_provenance_mut(buffer.address);
        // SAFETY: device memory of as many bytes, held meanwhile.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    });
    written.map_err(|fault| Failure::new(fault.code, fault.text))?;
    lock(&dataset.gears).insert(model_id, gear);
    model.last_gear.store(gear, Ordering::Relaxed);
    Ok(())
}

exports! { model;
    fn aclmdlSetDynamicBatchSize(
        model_id: u32, dataset: *mut aclmdlDataset, index: usize, batch_size: u64,
    ) {
        // A batch beyond i64 is no gear either.
        let batch = i64::try_from(batch_size).unwrap_or(-1);
        choose("aclmdlSetDynamicBatchSize", model_id, dataset, index, Dynamic::Batch, &[batch])
    }

    fn aclmdlSetDynamicHWSize(
        model_id: u32, dataset: *mut aclmdlDataset, index: usize, height: u64, width: u64,
    ) {
        model::live(model_id)?;
        dataset::live(dataset, "dataset")?;
        let asked = format!("{height} x {width} for input {index}");
        Err(Failure::new(100_019, format!("no model of atc-sim has image sizes to choose; asked for {asked}")))
    }

    fn aclmdlSetInputDynamicDims(
        model_id: u32, dataset: *mut aclmdlDataset, index: usize, dims: *const aclmdlIODims,
    ) {
        // SAFETY: ACL's contract: null, or a struct that is filled in.
        let dims = unsafe { dims.as_ref() }.ok_or_else(|| Failure::null("dims"))?;
        let key = dims.dims.get(..dims.dim_count);
        let key = key.ok_or_else(|| {
            Failure::invalid(format!("dimCount is {}, expected at most {ACL_MAX_DIM_CNT}", dims.dim_count))
        })?;
        choose("aclmdlSetInputDynamicDims", model_id, dataset, index, Dynamic::Dims, key)
    }
}
