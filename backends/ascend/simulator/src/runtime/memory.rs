//! Allocating, freeing and asking about device and pinned memory.

use crate::exports::exports;
use crate::runtime::blocks::{self, Home, Place};
use crate::runtime::errors::Failure;
use crate::runtime::settings::Layout;
use crate::runtime::{context, device, process};
use core::ffi::c_void;
use lockstep_ascend_abi::{
    aclrtHostRegisterType, aclrtMallocAttrType, aclrtMallocConfig, aclrtMemAttr, aclrtMemLocation,
    aclrtMemLocationType, aclrtMemMallocPolicy, aclrtPtrAttributes,
};

/// Bytes that `aclrtMalloc` adds on Atlas A2.
const PADDING: usize = 32;
const PAGE_BYTES: u32 = 4096;

fn pointer(address: usize) -> *mut c_void {
    core::ptr::with_exposed_provenance_mut(address)
}

fn check_size(size: usize) -> Result<(), Failure> {
    match size {
        0 => Err(Failure::invalid("size is 0")),
        _ => Ok(()),
    }
}

fn check_policy(policy: aclrtMemMallocPolicy) -> Result<(), Failure> {
    const FLAGS: i32 = aclrtMemMallocPolicy::TYPE_LOW_BAND_WIDTH.0
        | aclrtMemMallocPolicy::TYPE_HIGH_BAND_WIDTH.0
        | aclrtMemMallocPolicy::ACCESS_USER_SPACE_READONLY.0;
    match aclrtMemMallocPolicy(policy.0 & !FLAGS).name() {
        Some(_) => Ok(()),
        None => Err(Failure::refused(format!("policy is {policy:?}"))),
    }
}

fn on_device(
    size: usize,
    policy: aclrtMemMallocPolicy,
    padding: usize,
    made_by: &'static str,
) -> Result<*mut c_void, Failure> {
    check_size(size)?;
    let device = context::current()?.device;
    check_policy(policy)?;
    blocks::allocate(Home::Device(device), size, padding, made_by).map(pointer)
}

/// Options that change nothing here, if they exist.
///
/// # Safety
/// ACL's contract: null, or a configuration with its attributes.
unsafe fn check_config(cfg: *const aclrtMallocConfig) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let Some(cfg) = (unsafe { cfg.as_ref() }) else { return Ok(()) };
    if cfg.num_attrs > 0 && cfg.attrs.is_null() {
        return Err(Failure::null("cfg->attrs"));
    }
    for at in 0..cfg.num_attrs {
        // SAFETY: the caller's promise.
        let attribute = unsafe { (*cfg.attrs.add(at)).attr };
        if aclrtMallocAttrType(attribute.0).name().is_none() {
            return Err(Failure::refused(format!("cfg holds attribute {attribute:?}")));
        }
    }
    Ok(())
}

fn free(dev_ptr: *mut c_void, is_host: bool) -> Result<(), Failure> {
    if dev_ptr.is_null() {
        return Err(Failure::null(if is_host { "hostPtr" } else { "devPtr" }));
    }
    context::current()?;
    blocks::free(dev_ptr.addr(), is_host)
}

exports! { runtime;
    fn aclrtMalloc(dev_ptr: *mut *mut c_void, size: usize, policy: aclrtMemMallocPolicy) writes(dev_ptr) {
        dev_ptr.write(on_device(size, policy, PADDING, "aclrtMalloc")?);
        Ok(())
    }

    fn aclrtMallocAlign32(
        dev_ptr: *mut *mut c_void, size: usize, policy: aclrtMemMallocPolicy,
    ) writes(dev_ptr) {
        dev_ptr.write(on_device(size, policy, 0, "aclrtMallocAlign32")?);
        Ok(())
    }

    fn aclrtMallocCached(
        dev_ptr: *mut *mut c_void, size: usize, policy: aclrtMemMallocPolicy,
    ) writes(dev_ptr) {
        dev_ptr.write(on_device(size, policy, PADDING, "aclrtMallocCached")?);
        Ok(())
    }

    fn aclrtMallocWithCfg(
        dev_ptr: *mut *mut c_void, size: usize, policy: aclrtMemMallocPolicy, cfg: *mut aclrtMallocConfig,
    ) writes(dev_ptr) {
        // SAFETY: ACL's contract.
        unsafe { check_config(cfg) }?;
        dev_ptr.write(on_device(size, policy, PADDING, "aclrtMallocWithCfg")?);
        Ok(())
    }

    fn aclrtFree(dev_ptr: *mut c_void) {
        free(dev_ptr, false)
    }

    fn aclrtFreeWithDevSync(dev_ptr: *mut c_void) {
        let context = context::current()?;
        for stream in crate::runtime::stream::STREAMS.all() {
            if stream.device == context.device {
                stream.queue.wait(None);
            }
        }
        free(dev_ptr, false)
    }

    fn aclrtMallocHost(host_ptr: *mut *mut c_void, size: usize) writes(host_ptr) {
        check_size(size)?;
        context::current()?;
        host_ptr.write(pointer(blocks::allocate(Home::Host, size, 0, "aclrtMallocHost")?));
        Ok(())
    }

    fn aclrtMallocHostWithCfg(ptr: *mut *mut c_void, size: u64, cfg: *mut aclrtMallocConfig) writes(ptr) {
        // SAFETY: ACL's contract.
        unsafe { check_config(cfg) }?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        check_size(size)?;
        context::current()?;
        ptr.write(pointer(blocks::allocate(Home::Host, size, 0, "aclrtMallocHostWithCfg")?));
        Ok(())
    }

    fn aclrtFreeHost(host_ptr: *mut c_void) {
        free(host_ptr, true)
    }

    fn aclrtHostRegister(
        ptr: *mut c_void, size: u64, kind: aclrtHostRegisterType, dev_ptr: *mut *mut c_void,
    ) writes(dev_ptr) {
        if ptr.is_null() {
            return Err(Failure::null("ptr"));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        check_size(size)?;
        context::current()?;
        if kind.name().is_none() {
            return Err(Failure::refused(format!("type is {kind:?}")));
        }
        if !matches!(blocks::place(ptr.addr(), size), Place::Pageable) || !blocks::register(ptr.addr(), size) {
            return Err(Failure::refused(format!("{ptr:?} is registered, or ACL's own memory, already")));
        }
        dev_ptr.write(ptr);
        Ok(())
    }

    fn aclrtHostUnregister(ptr: *mut c_void) {
        if ptr.is_null() {
            return Err(Failure::null("ptr"));
        }
        context::current()?;
        match blocks::unregister(ptr.addr()) {
            true => Ok(()),
            false => Err(Failure::refused(format!("{ptr:?} is not registered"))),
        }
    }

    fn aclrtGetMemInfo(attr: aclrtMemAttr, free: *mut usize, total: *mut usize) writes(free, total) {
        let device = context::current()?.device;
        let has_it = match attr {
            aclrtMemAttr::DDR_MEM | aclrtMemAttr::DDR_MEM_HUGE | aclrtMemAttr::DDR_MEM_NORMAL
            | aclrtMemAttr::DDR_MEM_P2P_HUGE | aclrtMemAttr::DDR_MEM_P2P_NORMAL => false,
            _ if attr.name().is_some() => true,
            _ => return Err(Failure::refused(format!("attr is {attr:?}"))),
        };
        let memory = if has_it { process::settings().memory } else { 0 };
        free.write(memory.saturating_sub(blocks::used(device)) as usize);
        total.write(memory as usize);
        Ok(())
    }

    fn aclrtPointerGetAttributes(
        ptr: *const c_void, attributes: *mut aclrtPtrAttributes,
    ) writes(attributes) {
        if ptr.is_null() {
            return Err(Failure::null("ptr"));
        }
        context::current()?;
        let unknown = match process::settings().layout {
            Layout::Cann8 => aclrtMemLocationType::HOST,
            Layout::Cann9 => aclrtMemLocationType::UNREGISTERED,
        };
        let (id, kind) = match blocks::place(ptr.addr(), 1) {
            Place::Block(block) => match block.home {
                Home::Device(device) => (device as u32, aclrtMemLocationType::DEVICE),
                Home::Host => (0, aclrtMemLocationType::HOST),
            },
            Place::Registered => (0, aclrtMemLocationType::HOST),
            Place::Pageable => (0, unknown),
            Place::Wrong(text) => return Err(Failure::refused(text)),
        };
        let location = aclrtMemLocation { id, kind };
        attributes.write(aclrtPtrAttributes { location, page_size: PAGE_BYTES, rsv: [0; 4] });
        Ok(())
    }
}

/// Whether `device` may use `block`.
///
/// # Errors
/// Which device has it.
pub(crate) fn check_reach(device: i32, block: &blocks::Block) -> Result<(), String> {
    match block.home {
        Home::Device(owner) if !device::reaches(device, owner) => {
            Err(format!("{} cannot be reached from device {device}", block.describe()))
        }
        _ => Ok(()),
    }
}
