//! Options for loading and for executing a model. What is not simulated is refused when it is set, so that nobody
//! takes it for done.

use crate::exports::exports;
use crate::offline::load;
use crate::offline::memory::Brought;
use crate::registry::{Registry, as_pointer};
use crate::runtime::errors::Failure;
use crate::runtime::lock;
use core::ffi::{CStr, c_char, c_void};
use lockstep_ascend_abi::{
    aclmdlConfigAttr, aclmdlConfigHandle, aclmdlExecConfigAttr, aclmdlExecConfigHandle, load_type,
};
use std::borrow::Cow;
use std::sync::Mutex;

/// What was set for loading.
#[derive(Clone, Default)]
pub(super) struct Loading {
    load_type: Option<usize>,
    path: Option<String>,
    model: (usize, usize),
    weights: Brought,
    work: Brought,
}

/// What was set for executing.
#[derive(Clone, Copy)]
pub(super) struct Executing {
    /// Milliseconds that a synchronous run may take; -1 for any.
    pub(super) stream_timeout: i32,
    /// Work memory of this run, instead of the model's own.
    pub(super) work: Brought,
}

impl Default for Executing {
    fn default() -> Self {
        Self { stream_timeout: -1, work: Brought::default() }
    }
}

static LOADING: Registry<Mutex<Loading>> = Registry::new(24);
static EXECUTING: Registry<Mutex<Executing>> = Registry::new(25);

/// How many handles are live.
pub(super) fn count() -> usize {
    LOADING.count() + EXECUTING.count()
}

/// The live ones, one line each.
pub(super) fn leaks() -> Vec<String> {
    let loading = LOADING.all().into_iter().map(|_| "a configuration by aclmdlCreateConfigHandle".to_owned());
    let executing = EXECUTING.all().into_iter();
    loading.chain(executing.map(|_| "a configuration by aclmdlCreateExecConfigHandle".to_owned())).collect()
}

fn dead() -> Failure {
    Failure::invalid("handle is not a configuration that is alive")
}

/// What a handle says of loading.
pub(super) fn of_loading(handle: *const aclmdlConfigHandle) -> Result<Loading, Failure> {
    if handle.is_null() {
        return Err(Failure::null("handle"));
    }
    let config = LOADING.get(handle).ok_or_else(dead)?;
    let config = lock(&config).clone();
    Ok(config)
}

/// What a handle says of executing; null says nothing.
pub(super) fn of_executing(handle: *const aclmdlExecConfigHandle) -> Result<Executing, Failure> {
    if handle.is_null() {
        return Ok(Executing::default());
    }
    let config = EXECUTING.get(handle).ok_or_else(dead)?;
    let config = *lock(&config);
    Ok(config)
}

impl Loading {
    /// The model's bytes and what to call them.
    ///
    /// # Errors
    /// 100000 where the load type or what it needs was not set, 200006 for queues; as for [`load::read`].
    ///
    /// # Safety
    /// A model that was set by its address is valid for reads while the result lives.
    pub(super) unsafe fn source(&self) -> Result<(Cow<'_, [u8]>, String), Failure> {
        use load_type::*;
        let unset = |name: &str| Failure::invalid(format!("{name} was not set"));
        match self.load_type {
            Some(ACL_MDL_LOAD_FROM_FILE | ACL_MDL_LOAD_FROM_FILE_WITH_MEM) => {
                let path = self.path.as_ref().ok_or_else(|| unset("ACL_MDL_PATH_PTR"))?;
                let (bytes, what) = load::read(path)?;
                Ok((Cow::Owned(bytes), what))
            }
            Some(ACL_MDL_LOAD_FROM_MEM | ACL_MDL_LOAD_FROM_MEM_WITH_MEM) => {
                let (address, size) = self.model;
                if address == 0 || size == 0 {
                    return Err(unset("ACL_MDL_MEM_ADDR_PTR or ACL_MDL_MEM_SIZET"));
                }
                // SAFETY: the caller's promise.
                let bytes = unsafe { load::bytes(core::ptr::with_exposed_provenance(address), size) }?;
                Ok((Cow::Borrowed(bytes), load::IN_MEMORY.to_owned()))
            }
            Some(ACL_MDL_LOAD_FROM_FILE_WITH_Q | ACL_MDL_LOAD_FROM_MEM_WITH_Q) => {
                Err(Failure::new(200_006, "models that queues feed are not simulated"))
            }
            Some(other) => {
                Err(Failure::invalid(format!("ACL_MDL_LOAD_TYPE_SIZET is {other}, expected 1 to 6")))
            }
            None => Err(unset("ACL_MDL_LOAD_TYPE_SIZET")),
        }
    }

    /// Work memory, if the caller brings it.
    pub(super) fn work(&self) -> Brought {
        self.work
    }

    /// Weight memory, if the caller brings it.
    pub(super) fn weights(&self) -> Brought {
        self.weights
    }

    /// # Safety
    /// The address of a path is that of a text that ends in NUL.
    unsafe fn set(&mut self, attr: aclmdlConfigAttr, value: &Value) -> Result<(), Failure> {
        type Attr = aclmdlConfigAttr;
        match attr {
            Attr::LOAD_TYPE_SIZET => self.load_type = Some(value.word()?),
            Attr::PATH_PTR => {
                let path: *const c_char = core::ptr::with_exposed_provenance(value.word()?);
                if path.is_null() {
                    return Err(Failure::null("*attrValue"));
                }
                // SAFETY: the caller's promise.
                self.path = Some(unsafe { CStr::from_ptr(path) }.to_string_lossy().into_owned());
            }
            Attr::MEM_ADDR_PTR => self.model.0 = value.word()?,
            Attr::MEM_SIZET => self.model.1 = value.word()?,
            Attr::WEIGHT_ADDR_PTR => self.weights.address = value.word()?,
            Attr::WEIGHT_SIZET => self.weights.bytes = value.word()?,
            Attr::WORKSPACE_ADDR_PTR => self.work.address = value.word()?,
            Attr::WORKSPACE_SIZET => self.work.bytes = value.word()?,
            // These change nothing here, as long as they exist.
            Attr::PRIORITY_INT32 => {
                let priority = value.int()?;
                if !(0..=7).contains(&priority) {
                    return Err(Failure::invalid(format!(
                        "ACL_MDL_PRIORITY_INT32 is {priority}, expected 0 to 7"
                    )));
                }
            }
            Attr::WORKSPACE_MEM_OPTIMIZE | Attr::MEM_MALLOC_POLICY_SIZET => drop(value.word()?),
            _ => return Err(unsimulated(attr.name(), attr.0)),
        }
        Ok(())
    }
}

impl Executing {
    fn set(&mut self, attr: aclmdlExecConfigAttr, value: &Value) -> Result<(), Failure> {
        type Attr = aclmdlExecConfigAttr;
        match attr {
            Attr::STREAM_SYNC_TIMEOUT => self.stream_timeout = value.int()?,
            // Nothing in a model here waits for an event.
            Attr::EVENT_SYNC_TIMEOUT => drop(value.int()?),
            Attr::WORK_ADDR_PTR => self.work.address = value.word()?,
            Attr::WORK_SIZET => self.work.bytes = value.word()?,
            _ => return Err(unsimulated(attr.name(), attr.0)),
        }
        Ok(())
    }
}

fn unsimulated(name: Option<&str>, number: i32) -> Failure {
    match name {
        Some(name) => Failure::new(200_006, format!("{name} is not simulated")),
        None => Failure::invalid(format!("attr is {number}, which does not exist")),
    }
}

/// The bytes of an option's value, which C hands over by its address; that a pointer is handed over by the pointer's own
/// address is our reading of the documents' examples.
struct Value(Vec<u8>);

impl Value {
    /// # Errors
    /// 100000 for null, and for a size that no option has.
    ///
    /// # Safety
    /// If not null, `at` is valid for reads of `size` bytes.
    unsafe fn read(at: *const c_void, size: usize) -> Result<Self, Failure> {
        if at.is_null() {
            return Err(Failure::null("attrValue"));
        }
        if size > size_of::<usize>() {
            return Err(Failure::invalid(format!("valueSize is {size}, expected that of the option's type")));
        }
        // SAFETY: the caller's promise.
        Ok(Self(unsafe { core::slice::from_raw_parts(at.cast::<u8>(), size) }.to_vec()))
    }

    fn exactly<const N: usize>(&self) -> Result<[u8; N], Failure> {
        let bytes = self.0.as_slice().try_into();
        bytes.map_err(|_| Failure::invalid(format!("valueSize is {}, expected {N}", self.0.len())))
    }

    /// A `size_t` or an address.
    fn word(&self) -> Result<usize, Failure> {
        self.exactly().map(usize::from_ne_bytes)
    }

    /// An `int32_t`.
    fn int(&self) -> Result<i32, Failure> {
        self.exactly().map(i32::from_ne_bytes)
    }
}

exports! { model;
    fn aclmdlCreateConfigHandle() -> *mut aclmdlConfigHandle, or core::ptr::null_mut(), {
        Ok(as_pointer(LOADING.add(Mutex::default())))
    }

    fn aclmdlSetConfigOpt(
        handle: *mut aclmdlConfigHandle, attr: aclmdlConfigAttr, attr_value: *const c_void,
        value_size: usize,
    ) {
        if handle.is_null() {
            return Err(Failure::null("handle"));
        }
        let config = LOADING.get(handle).ok_or_else(dead)?;
        // SAFETY: ACL's contract on the value.
        let value = unsafe { Value::read(attr_value, value_size) }?;
        // SAFETY: ACL's contract on a path.
        unsafe { lock(&config).set(attr, &value) }
    }

    fn aclmdlDestroyConfigHandle(handle: *mut aclmdlConfigHandle) {
        LOADING.remove(handle).map(drop).ok_or_else(dead)
    }

    fn aclmdlCreateExecConfigHandle() -> *mut aclmdlExecConfigHandle, or core::ptr::null_mut(), {
        Ok(as_pointer(EXECUTING.add(Mutex::default())))
    }

    fn aclmdlSetExecConfigOpt(
        handle: *mut aclmdlExecConfigHandle, attr: aclmdlExecConfigAttr, attr_value: *const c_void,
        value_size: usize,
    ) {
        if handle.is_null() {
            return Err(Failure::null("handle"));
        }
        let config = EXECUTING.get(handle).ok_or_else(dead)?;
        // SAFETY: ACL's contract on the value.
        let value = unsafe { Value::read(attr_value, value_size) }?;
        lock(&config).set(attr, &value)
    }

    fn aclmdlDestroyExecConfigHandle(handle: *const aclmdlExecConfigHandle) {
        EXECUTING.remove(handle).map(drop).ok_or_else(dead)
    }
}
