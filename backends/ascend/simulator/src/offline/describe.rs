//! `aclmdlDesc`: what a model's inputs, outputs and gears are.
//!
//! Inputs have -1 where gears choose, outputs the extents of the largest gear, as documented. A name of more than 127
//! bytes does not fit the struct of extents: there it is replaced by one that `aclmdlGetTensorRealName` turns back.

use crate::exports::exports;
use crate::offline::description::{Described, Description};
use crate::offline::load::{self, IN_MEMORY};
use crate::offline::model::{self, Compiled};
use crate::registry::{Registry, as_pointer};
use crate::runtime::errors::Failure;
use crate::runtime::lock;
use core::ffi::{CStr, c_char, c_void};
use lockstep_ascend_abi::{
    ACL_MAX_BATCH_NUM, ACL_MAX_DIM_CNT, ACL_MAX_HW_NUM, ACL_MAX_TENSOR_NAME_LEN, aclDataType, aclFormat,
    aclmdlBatch, aclmdlDesc, aclmdlHW, aclmdlIODims, aclmdlIODimsRange,
};
use lockstep_ascend_container::Dynamic;
use std::ffi::CString;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// What a description was filled with.
pub(super) struct Filled {
    /// The loaded model's id; `None` of a file.
    id: Option<u32>,
    description: Arc<Description>,
    /// What stands for names that are too long, by the number of the input or output.
    input_names: Vec<CString>,
    output_names: Vec<CString>,
}

/// Nothing yet, after `aclmdlCreateDesc`.
pub(super) type Desc = Mutex<Option<Arc<Filled>>>;

pub(super) static DESCS: Registry<Desc> = Registry::new(20);

/// The live ones, one line each.
pub(super) fn leaks() -> Vec<String> {
    let describe = |desc: Arc<Desc>| match &*lock(&desc) {
        Some(filled) => format!("a desc of model `{}` by aclmdlCreateDesc", filled.description.name),
        None => "a desc of no model by aclmdlCreateDesc".to_owned(),
    };
    DESCS.all().into_iter().map(describe).collect()
}

impl Filled {
    fn new(id: Option<u32>, description: Arc<Description>) -> Self {
        let input_names = short_names(&description.inputs, id, "input");
        let output_names = short_names(&description.outputs, id, "output");
        Self { id, description, input_names, output_names }
    }

    /// The extents of an output at the gear that was chosen last for its model, else the largest.
    fn current(&self, output: &Described) -> Vec<i64> {
        let model = self.id.and_then(|id| model::known(id).ok());
        let gear = model.map(|model| model.last_gear.load(Ordering::Relaxed));
        gear.and_then(|gear| output.by_gear.get(gear)).map_or_else(|| output.largest().to_vec(), Clone::clone)
    }
}

/// The names as they fit a struct of extents, by the documented pattern.
fn short_names(ports: &[Described], id: Option<u32>, kind: &str) -> Vec<CString> {
    let is_taken = |name: &CString| ports.iter().any(|port| port.name == *name);
    let short = |(at, port): (usize, &Described)| {
        if port.name.count_bytes() < ACL_MAX_TENSOR_NAME_LEN {
            return port.name.clone();
        }
        let mut name = format!("acl_modelId_{}_{kind}_{at}", id.unwrap_or(0));
        loop {
            let candidate = CString::new(name.as_str()).unwrap_or_default();
            if !is_taken(&candidate) {
                return candidate;
            }
            name.push_str("_x");
        }
    };
    ports.iter().enumerate().map(short).collect()
}

fn live(desc: *const aclmdlDesc) -> Result<Arc<Desc>, Failure> {
    if desc.is_null() {
        return Err(Failure::null("modelDesc"));
    }
    DESCS.get(desc).ok_or_else(|| Failure::invalid("modelDesc is not one that is alive"))
}

fn filled(desc: *const aclmdlDesc) -> Result<Arc<Filled>, Failure> {
    let filled = lock(&*live(desc)?).clone();
    filled.ok_or_else(|| Failure::invalid("modelDesc describes no model yet: call aclmdlGetDesc first"))
}

/// What stands at `index`.
fn at<'a, T>(all: &'a [T], index: usize, what: &str) -> Result<&'a T, Failure> {
    all.get(index)
        .ok_or_else(|| Failure::invalid(format!("index is {index}, and the model has {} {what}", all.len())))
}

/// Which of the ports has a name.
///
/// # Safety
/// If not null, `name` ends in NUL.
unsafe fn index_of(ports: &[Described], name: *const c_char) -> Result<usize, Failure> {
    if name.is_null() {
        return Err(Failure::null("name"));
    }
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) };
    ports.iter().position(|port| port.name.as_c_str() == name).ok_or_else(|| {
        let names: Vec<_> = ports.iter().map(|port| port.name.as_c_str()).collect();
        Failure::invalid(format!("name is {name:?}, expected one of {names:?}"))
    })
}

/// A struct of extents; names and extents fit, which loading has seen to.
fn io_dims(name: &CStr, dims: &[i64]) -> aclmdlIODims {
    let mut filled = aclmdlIODims {
        name: [0; ACL_MAX_TENSOR_NAME_LEN],
        dim_count: dims.len(),
        dims: [0; ACL_MAX_DIM_CNT],
    };
    for (to, from) in filled.name.iter_mut().zip(name.to_bytes()) {
        *to = *from as c_char;
    }
    filled.dims[..dims.len()].copy_from_slice(dims);
    filled
}

fn input_dims(desc: *const aclmdlDesc, index: usize) -> Result<aclmdlIODims, Failure> {
    let filled = filled(desc)?;
    let input = at(&filled.description.inputs, index, "inputs")?;
    Ok(io_dims(&filled.input_names[index], &input.dims))
}

exports! { model;
    fn aclmdlCreateDesc() -> *mut aclmdlDesc, or core::ptr::null_mut(), {
        Ok(as_pointer(DESCS.add(Mutex::new(None))))
    }

    fn aclmdlDestroyDesc(model_desc: *mut aclmdlDesc) {
        live(model_desc)?;
        DESCS.remove(model_desc);
        Ok(())
    }

    fn aclmdlGetDesc(model_desc: *mut aclmdlDesc, model_id: u32) {
        let (desc, model) = (live(model_desc)?, model::known(model_id)?);
        *lock(&desc) = Some(Arc::new(Filled::new(Some(model_id), model.description.clone())));
        Ok(())
    }

    fn aclmdlGetDescFromFile(model_desc: *mut aclmdlDesc, model_path: *const c_char) {
        let desc = live(model_desc)?;
        // SAFETY: ACL's contract on the path.
        let (bytes, what) = unsafe { load::file(model_path) }?;
        let description = Compiled::of(&bytes, &what)?.description;
        *lock(&desc) = Some(Arc::new(Filled::new(None, Arc::new(description))));
        Ok(())
    }

    fn aclmdlGetDescFromMem(model_desc: *mut aclmdlDesc, model: *const c_void, model_size: usize) {
        let desc = live(model_desc)?;
        // SAFETY: ACL's contract on the model.
        let description = Compiled::of(unsafe { load::bytes(model, model_size) }?, IN_MEMORY)?.description;
        *lock(&desc) = Some(Arc::new(Filled::new(None, Arc::new(description))));
        Ok(())
    }

    fn aclmdlGetNumInputs(model_desc: *mut aclmdlDesc) -> usize, or 0, {
        Ok(filled(model_desc)?.description.inputs.len())
    }

    fn aclmdlGetNumOutputs(model_desc: *mut aclmdlDesc) -> usize, or 0, {
        Ok(filled(model_desc)?.description.outputs.len())
    }

    fn aclmdlGetInputSizeByIndex(model_desc: *mut aclmdlDesc, index: usize) -> usize, or 0, {
        Ok(at(&filled(model_desc)?.description.inputs, index, "inputs")?.bytes)
    }

    fn aclmdlGetOutputSizeByIndex(model_desc: *mut aclmdlDesc, index: usize) -> usize, or 0, {
        Ok(at(&filled(model_desc)?.description.outputs, index, "outputs")?.bytes)
    }

    fn aclmdlGetInputDims(model_desc: *const aclmdlDesc, index: usize, dims: *mut aclmdlIODims) writes(dims) {
        dims.write(input_dims(model_desc, index)?);
        Ok(())
    }

    // It differs where images are preprocessed, which nothing here does.
    fn aclmdlGetInputDimsV2(model_desc: *const aclmdlDesc, index: usize, dims: *mut aclmdlIODims) writes(dims) {
        dims.write(input_dims(model_desc, index)?);
        Ok(())
    }

    fn aclmdlGetInputDimsRange(
        model_desc: *const aclmdlDesc, index: usize, dims_range: *mut aclmdlIODimsRange,
    ) writes(dims_range) {
        let filled = filled(model_desc)?;
        let ranges = at(&filled.description.inputs, index, "inputs")?.ranges();
        let mut range = [[0; 2]; ACL_MAX_DIM_CNT];
        range[..ranges.len()].copy_from_slice(&ranges);
        dims_range.write(aclmdlIODimsRange { range_count: ranges.len(), range });
        Ok(())
    }

    fn aclmdlGetOutputDims(model_desc: *const aclmdlDesc, index: usize, dims: *mut aclmdlIODims) writes(dims) {
        let filled = filled(model_desc)?;
        let output = at(&filled.description.outputs, index, "outputs")?;
        dims.write(io_dims(&filled.output_names[index], output.largest()));
        Ok(())
    }

    fn aclmdlGetCurOutputDims(
        model_desc: *const aclmdlDesc, index: usize, dims: *mut aclmdlIODims,
    ) writes(dims) {
        let filled = filled(model_desc)?;
        let output = at(&filled.description.outputs, index, "outputs")?;
        dims.write(io_dims(&filled.output_names[index], &filled.current(output)));
        Ok(())
    }

    // Names are there until the description is filled anew or destroyed.
    fn aclmdlGetInputNameByIndex(
        model_desc: *const aclmdlDesc, index: usize,
    ) -> *const c_char, or c"".as_ptr(), {
        Ok(at(&filled(model_desc)?.description.inputs, index, "inputs")?.name.as_ptr())
    }

    fn aclmdlGetOutputNameByIndex(
        model_desc: *const aclmdlDesc, index: usize,
    ) -> *const c_char, or c"".as_ptr(), {
        Ok(at(&filled(model_desc)?.description.outputs, index, "outputs")?.name.as_ptr())
    }

    fn aclmdlGetInputIndexByName(
        model_desc: *const aclmdlDesc, name: *const c_char, index: *mut usize,
    ) writes(index) {
        // SAFETY: ACL's contract on the name.
        index.write(unsafe { index_of(&filled(model_desc)?.description.inputs, name) }?);
        Ok(())
    }

    fn aclmdlGetOutputIndexByName(
        model_desc: *const aclmdlDesc, name: *const c_char, index: *mut usize,
    ) writes(index) {
        // SAFETY: ACL's contract on the name.
        index.write(unsafe { index_of(&filled(model_desc)?.description.outputs, name) }?);
        Ok(())
    }

    fn aclmdlGetInputDataType(
        model_desc: *const aclmdlDesc, index: usize,
    ) -> aclDataType, or aclDataType::UNDEFINED, {
        Ok(at(&filled(model_desc)?.description.inputs, index, "inputs")?.dtype)
    }

    fn aclmdlGetOutputDataType(
        model_desc: *const aclmdlDesc, index: usize,
    ) -> aclDataType, or aclDataType::UNDEFINED, {
        Ok(at(&filled(model_desc)?.description.outputs, index, "outputs")?.dtype)
    }

    fn aclmdlGetInputFormat(model_desc: *const aclmdlDesc, index: usize) -> aclFormat, or aclFormat::UNDEFINED, {
        at(&filled(model_desc)?.description.inputs, index, "inputs")?;
        Ok(aclFormat::ND)
    }

    fn aclmdlGetOutputFormat(model_desc: *const aclmdlDesc, index: usize) -> aclFormat, or aclFormat::UNDEFINED, {
        at(&filled(model_desc)?.description.outputs, index, "outputs")?;
        Ok(aclFormat::ND)
    }

    fn aclmdlGetTensorRealName(
        model_desc: *const aclmdlDesc, name: *const c_char,
    ) -> *const c_char, or core::ptr::null(), {
        let filled = filled(model_desc)?;
        if name.is_null() {
            return Err(Failure::null("name"));
        }
        // SAFETY: ACL's contract: a name that ends in NUL.
        let name = unsafe { CStr::from_ptr(name) };
        let Description { inputs, outputs, .. } = &*filled.description;
        let shorts = filled.input_names.iter().chain(&filled.output_names);
        let mut ports = inputs.iter().chain(outputs).zip(shorts);
        let found = ports.find(|(port, short)| port.name.as_c_str() == name || short.as_c_str() == name);
        let (port, _) = found.ok_or_else(|| Failure::invalid(format!("no tensor is called {name:?}")))?;
        Ok(port.name.as_ptr())
    }

    fn aclmdlGetDynamicBatch(model_desc: *const aclmdlDesc, batch: *mut aclmdlBatch) writes(batch) {
        let filled = filled(model_desc)?;
        let mut sizes = aclmdlBatch { batch_count: 0, batch: [0; ACL_MAX_BATCH_NUM] };
        if filled.description.dynamic == Dynamic::Batch {
            for (size, key) in sizes.batch.iter_mut().zip(&filled.description.keys) {
                *size = key[0] as u64;
                sizes.batch_count += 1;
            }
        }
        batch.write(sizes);
        Ok(())
    }

    // No model of atc-sim has any.
    fn aclmdlGetDynamicHW(model_desc: *const aclmdlDesc, index: usize, hw: *mut aclmdlHW) writes(hw) {
        // `index` is reserved: -1.
        let _ = index;
        filled(model_desc)?;
        hw.write(aclmdlHW { hw_count: 0, hw: [[0; 2]; ACL_MAX_HW_NUM] });
        Ok(())
    }

    fn aclmdlGetInputDynamicGearCount(
        model_desc: *const aclmdlDesc, index: usize, gear_count: *mut usize,
    ) writes(gear_count) {
        let filled = filled(model_desc)?;
        check_reserved(index)?;
        gear_count.write(dims_gears(&filled.description).len());
        Ok(())
    }

    fn aclmdlGetInputDynamicDims(
        model_desc: *const aclmdlDesc, index: usize, dims: *mut aclmdlIODims, gear_count: usize,
    ) {
        let filled = filled(model_desc)?;
        check_reserved(index)?;
        if dims.is_null() {
            return Err(Failure::null("dims"));
        }
        let gears = dims_gears(&filled.description);
        if gear_count < gears.len() {
            return Err(Failure::invalid(format!("gearCount is {gear_count}, the model has {}", gears.len())));
        }
        for (at, key) in gears.iter().enumerate() {
            // SAFETY: ACL's contract: room for as many as `gear_count`.
            unsafe { dims.add(at).write(io_dims(c"", key)) };
        }
        Ok(())
    }
}

/// The gears of `--dynamic_dims`.
fn dims_gears(description: &Description) -> &[Vec<i64>] {
    if description.dynamic == Dynamic::Dims { &description.keys } else { &[] }
}

/// `index` of the functions that list gears is reserved.
fn check_reserved(index: usize) -> Result<(), Failure> {
    match index {
        usize::MAX => Ok(()),
        other => Err(Failure::invalid(format!("index is {other}, expected -1, since it is reserved"))),
    }
}
