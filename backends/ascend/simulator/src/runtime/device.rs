//! Devices: which there are, who uses them, and what they share.

use crate::exports::exports;
use crate::runtime::context::{self, CONTEXTS, Context};
use crate::runtime::errors::{Failure, record};
use crate::runtime::settings::Overflow;
use crate::runtime::stream::{self, STREAMS};
use crate::runtime::{blocks, capture, counts, lock, process, report};
use lockstep_ascend_abi::aclrtDeviceStatus;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Device {
    references: u64,
    default_context: Option<Arc<Context>>,
    overflow: Option<Overflow>,
    peers: BTreeSet<i32>,
}

static DEVICES: Mutex<BTreeMap<i32, Device>> = Mutex::new(BTreeMap::new());

/// Held while a device is set or reset: who sets it while another thread gives up the last reference gets it anew, not half gone.
static TRANSITION: Mutex<()> = Mutex::new(());

/// # Errors
/// 107001 if there is no such device.
pub(crate) fn check(device: i32) -> Result<(), Failure> {
    let devices = process::settings().devices;
    if u32::try_from(device).is_ok_and(|device| device < devices) {
        return Ok(());
    }
    Err(Failure::new(107_001, format!("deviceId is {device}, expected one of 0..{devices}")))
}

/// What streams that are created now do on overflow.
pub(crate) fn overflow(device: i32) -> Overflow {
    let set = lock(&DEVICES).get(&device).and_then(|device| device.overflow);
    set.unwrap_or(process::settings().overflow)
}

/// Changes [`overflow`].
pub(crate) fn set_overflow(device: i32, overflow: Overflow) {
    lock(&DEVICES).entry(device).or_default().overflow = Some(overflow);
}

/// Whether `device` may reach memory of `peer`.
pub(crate) fn reaches(device: i32, peer: i32) -> bool {
    device == peer || lock(&DEVICES).get(&device).is_some_and(|device| device.peers.contains(&peer))
}

/// Ends every context and stream of a device and frees its memory.
fn release(device: i32) {
    let left = stream::leaks(Some(device)).into_iter().chain(context::leaks(Some(device)));
    left.for_each(|left| report::note(format!("{left} was not destroyed before its device was reset")));
    for context in CONTEXTS.all().iter().filter(|context| context.device == device) {
        context::destroy(context);
    }
    blocks::release_device(device);
}

/// Ends all devices.
pub(crate) fn release_all() {
    for context in CONTEXTS.all() {
        context::destroy(&context);
    }
    blocks::release_everything();
    lock(&DEVICES).clear();
}

/// Takes a device away from `references`, or all of them.
fn reset(device: i32, all: bool) -> Result<(), Failure> {
    check(device)?;
    let _whole = lock(&TRANSITION);
    let is_last = {
        let mut devices = lock(&DEVICES);
        let entry = devices.get_mut(&device).filter(|entry| entry.references > 0);
        let entry = entry.ok_or_else(|| {
            Failure::new(107_001, format!("device {device} is not set in this process, or was reset before"))
        })?;
        entry.references = if all { 0 } else { entry.references - 1 };
        entry.references == 0
    };
    if is_last {
        release(device);
        lock(&DEVICES).remove(&device);
    }
    Ok(())
}

/// Waits for every stream of a device; several faults are told by the message, the first one by the code.
fn synchronize(timeout_ms: i32) -> Result<(), Failure> {
    let context = context::current()?;
    capture::refuse_synchronisation_of_device(context.device)?;
    counts::count(&counts::SYNCHRONISATIONS);
    let until = stream::deadline(timeout_ms)?;
    let mut streams = STREAMS.all();
    streams.retain(|stream| stream.device == context.device);
    if !streams.iter().all(|stream| stream.queue.wait(until)) {
        return Err(Failure::new(507_046, format!("the device is not done after {timeout_ms} ms")));
    }
    let faults: Vec<_> = streams.iter().filter_map(|stream| stream.take_fault()).collect();
    match faults.split_first() {
        None => Ok(()),
        Some((first, others)) => {
            for other in others.iter().rev() {
                record("aclrtSynchronizeDevice", &Failure::new(other.code, other.text.clone()));
            }
            Err(Failure::new(first.code, first.text.clone()))
        }
    }
}

exports! { runtime;
    fn aclrtSetDevice(device_id: i32) {
        process::require_init()?;
        check(device_id)?;
        let _whole = lock(&TRANSITION);
        let mut devices = lock(&DEVICES);
        let known = devices.get(&device_id).and_then(|device| device.default_context.clone());
        let context = match known {
            Some(context) => context,
            None => {
                // A stream asks for the device's overflow mode when it is created.
                drop(devices);
                let created = context::create(device_id, true)?;
                devices = lock(&DEVICES);
                let place = &mut devices.entry(device_id).or_default().default_context;
                match place {
                    Some(first) => {
                        context::destroy(&created);
                        first.clone()
                    }
                    None => place.insert(created).clone(),
                }
            }
        };
        devices.entry(device_id).or_default().references += 1;
        context::make_current(context.handle);
        Ok(())
    }

    fn aclrtResetDevice(device_id: i32) {
        reset(device_id, false)
    }

    fn aclrtResetDeviceForce(device_id: i32) {
        reset(device_id, true)
    }

    fn aclrtGetDevice(device_id: *mut i32) writes(device_id) {
        device_id.write(context::current()?.device);
        Ok(())
    }

    fn aclrtGetDeviceCount(count: *mut u32) writes(count) {
        count.write(process::settings().devices);
        Ok(())
    }

    fn aclrtSynchronizeDevice() {
        synchronize(-1)
    }

    fn aclrtSynchronizeDeviceWithTimeout(timeout: i32) {
        synchronize(timeout)
    }

    fn aclrtQueryDeviceStatus(device_id: i32, device_status: *mut aclrtDeviceStatus) writes(device_status) {
        check(device_id)?;
        device_status.write(aclrtDeviceStatus::NORMAL);
        Ok(())
    }

    fn aclrtDeviceCanAccessPeer(
        can_access_peer: *mut i32, device_id: i32, peer_device_id: i32,
    ) writes(can_access_peer) {
        check(device_id)?;
        check(peer_device_id)?;
        can_access_peer.write((device_id != peer_device_id).into());
        Ok(())
    }

    fn aclrtDeviceEnablePeerAccess(peer_device_id: i32, flags: u32) {
        let device = context::current()?.device;
        check(peer_device_id)?;
        if flags != 0 || device == peer_device_id {
            return Err(Failure::invalid(format!("device {device}, peer {peer_device_id}, flags {flags}")));
        }
        lock(&DEVICES).entry(device).or_default().peers.insert(peer_device_id);
        Ok(())
    }

    fn aclrtDeviceDisablePeerAccess(peer_device_id: i32) {
        let device = context::current()?.device;
        check(peer_device_id)?;
        match lock(&DEVICES).entry(device).or_default().peers.remove(&peer_device_id) {
            true => Ok(()),
            false => Err(Failure::invalid(format!("device {device} has no access to {peer_device_id}"))),
        }
    }
}
