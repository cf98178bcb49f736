//! Launch lists on host memory: addresses are pointers, and every command says which memory it may touch by lying in it.

use crate::LaneOrder;
use crate::emulator::{Fault, Kernel, Kernels};
use lockstep_cuda::engine::{Engine, Memory, Pinned, Recording, Replay, Resolved};
use lockstep_hal::tensor::AlignedBytes;
use lockstep_hal::{DeviceInfo, Error, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What a GPU aligns memory to.
const ALIGNMENT: usize = 256;

/// What is known of an allocation.
#[derive(Clone, Copy, Debug)]
struct Allocation {
    bytes: usize,
    /// Pinned memory is the host's, and takes none of the device's.
    is_pinned: bool,
}

/// The emulator as an engine. One command at a time: its lock is the stream.
#[derive(Debug)]
pub(crate) struct EmulatedEngine {
    info: DeviceInfo,
    order: LaneOrder,
    kernels: Kernels,
    /// Every allocation by its first byte, for the checks of addresses that copies make.
    allocated: Arc<Mutex<BTreeMap<u64, Allocation>>>,
    stream: Mutex<()>,
    /// What the first fault was that no CUDA context survives.
    lost: OnceLock<String>,
}

impl EmulatedEngine {
    pub(crate) fn new(info: DeviceInfo, order: LaneOrder, kernels: Kernels) -> Self {
        Self {
            info,
            order,
            kernels,
            allocated: Arc::default(),
            stream: Mutex::new(()),
            lost: OnceLock::new(),
        }
    }

    /// The stream, refused once the device is lost, as a driver does.
    fn enter(&self, node: &str) -> Result<MutexGuard<'_, ()>> {
        if let Some(first) = self.lost.get() {
            let text = format!("the device was lost ({first}); open it again. Other devices go on");
            return Err(self.fault(node, "any call", 709, text));
        }
        Ok(self.stream.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fault(&self, node: &str, call: &str, code: i64, text: impl Into<String>) -> Error {
        Error::Device {
            device: self.info.id.clone(),
            node: node.to_owned(),
            call: call.to_owned(),
            code,
            driver_text: text.into(),
        }
    }

    /// Refuses a range that lies in no allocation.
    fn check(&self, node: &str, call: &str, at: u64, bytes: usize) -> Result<()> {
        let allocated = self.allocated.lock().unwrap_or_else(PoisonError::into_inner);
        let within = allocated.range(..=at).next_back().is_some_and(|(&first, allocation)| {
            ((at - first) as usize).checked_add(bytes).is_some_and(|end| end <= allocation.bytes)
        });
        if within || bytes == 0 {
            return Ok(());
        }
        Err(self.fault(node, call, 700, format!("{bytes} bytes at {at:#x} lie in no allocation")))
    }

    fn execute(&self, node: &str, command: &Resolved) -> Result<()> {
        match command {
            Resolved::Launch { kernel, grid, block, shared_bytes, arguments } => {
                let found = self.resolve(node, kernel, arguments)?;
                // SAFETY: the sizes were checked when the kernel was resolved; the program's checks hold that its operands
                // do not overlap, and the stream's lock is held.
                let ran = unsafe { found.run(*grid, *block, *shared_bytes, arguments, self.order) };
                ran.map_err(|fault| match fault {
                    Fault::Hangs(at) => {
                        let text =
                            format!("block {at} hangs: not all of its threads come to the same barrier");
                        let _ = self.lost.set(format!("{kernel} at {node}: {text}"));
                        self.fault(node, kernel, 719, text)
                    }
                    Fault::Refused => {
                        self.fault(node, kernel, 2, format!("no room for blocks of {block} threads"))
                    }
                })
            }
            Resolved::Copy { from, to, bytes } => {
                self.check(node, "copy", *from, *bytes)?;
                self.check(node, "copy", *to, *bytes)?;
                // SAFETY: both ranges lie in live allocations; `copy` allows them to overlap.
                unsafe { std::ptr::copy(*from as *const u8, *to as *mut u8, *bytes) };
                Ok(())
            }
            Resolved::Fill { at, value, bytes } => {
                self.check(node, "fill", *at, *bytes)?;
                // SAFETY: the range lies in a live allocation.
                unsafe { std::ptr::write_bytes(*at as *mut u8, *value, *bytes) };
                Ok(())
            }
        }
    }

    fn host_memory(&self, bytes: usize, is_pinned: bool) -> Option<HostMemory> {
        let mut storage = AlignedBytes::try_zeroed(bytes.checked_add(ALIGNMENT)?)?;
        let address = (storage.as_mut_slice().as_mut_ptr() as u64).next_multiple_of(ALIGNMENT as u64);
        let allocation = Allocation { bytes, is_pinned };
        self.allocated.lock().unwrap_or_else(PoisonError::into_inner).insert(address, allocation);
        Some(HostMemory { storage, address, bytes, allocated: self.allocated.clone() })
    }

    fn resolve(&self, node: &str, kernel: &str, arguments: &[Vec<u8>]) -> Result<Kernel> {
        let found = (self.kernels.find(kernel))
            .ok_or_else(|| self.fault(node, kernel, 500, "there is no kernel of that name"))?;
        let sizes: Vec<usize> = arguments.iter().map(Vec::len).collect();
        let wanted: Vec<usize> = found.parameters().iter().map(|&size| size as usize).collect();
        if sizes != wanted {
            let text = format!("its parameters take {wanted:?} bytes, the launch gives {sizes:?}");
            return Err(self.fault(node, kernel, 1, text));
        }
        Ok(found)
    }
}

impl Engine for EmulatedEngine {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn allocate(&self, bytes: usize) -> Result<Arc<dyn Memory>> {
        let free = self.info.memory_bytes.map(|all| {
            let allocated = self.allocated.lock().unwrap_or_else(PoisonError::into_inner);
            let on_device = allocated.values().filter(|allocation| !allocation.is_pinned);
            (all as usize).saturating_sub(on_device.map(|allocation| allocation.bytes).sum())
        });
        let out_of_memory = || Error::OutOfMemory { device: self.info.id.clone(), requested: bytes, free };
        if free.is_some_and(|free| bytes > free) {
            return Err(out_of_memory());
        }
        Ok(Arc::new(self.host_memory(bytes, false).ok_or_else(out_of_memory)?))
    }

    fn allocate_pinned(&self, bytes: usize) -> Result<Box<dyn Pinned>> {
        let memory = self.host_memory(bytes, true).ok_or_else(|| {
            self.fault("an allocation of pinned memory", "allocate", 2, "the host has no such memory")
        })?;
        Ok(Box::new(memory))
    }

    fn copy_in(&self, memory: &dyn Memory, at: usize, source: &[u8]) -> Result<()> {
        let _stream = self.enter("a copy to the device")?;
        let address = memory.address() + at as u64;
        self.check("a copy to the device", "write", address, source.len())?;
        // SAFETY: the range lies in a live allocation, and the stream's lock is held.
        unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), address as *mut u8, source.len()) };
        Ok(())
    }

    fn copy_out(&self, memory: &dyn Memory, at: usize, destination: &mut [u8]) -> Result<()> {
        let _stream = self.enter("a copy from the device")?;
        let address = memory.address() + at as u64;
        self.check("a copy from the device", "read", address, destination.len())?;
        // SAFETY: as above.
        unsafe {
            std::ptr::copy_nonoverlapping(address as *const u8, destination.as_mut_ptr(), destination.len())
        };
        Ok(())
    }

    fn record(self: Arc<Self>, recording: Recording) -> Result<Box<dyn Replay>> {
        for (node, command) in &recording {
            if let Resolved::Launch { kernel, arguments, .. } = command {
                self.resolve(node, kernel, arguments)?;
            }
        }
        Ok(Box::new(EmulatedReplay { engine: self, recording }))
    }
}

/// Host memory as the device's, aligned as a GPU's is.
#[derive(Debug)]
struct HostMemory {
    storage: AlignedBytes,
    address: u64,
    bytes: usize,
    allocated: Arc<Mutex<BTreeMap<u64, Allocation>>>,
}

impl Pinned for HostMemory {
    fn address(&self) -> u64 {
        self.address
    }

    fn bytes(&mut self) -> &mut [u8] {
        let storage = self.storage.as_mut_slice();
        let from = (self.address - storage.as_ptr() as u64) as usize;
        &mut storage[from..from + self.bytes]
    }
}

impl Memory for HostMemory {
    fn address(&self) -> u64 {
        self.address
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for HostMemory {
    fn drop(&mut self) {
        self.allocated.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.address);
    }
}

struct EmulatedReplay {
    engine: Arc<EmulatedEngine>,
    recording: Recording,
}

impl Replay for EmulatedReplay {
    fn start(&mut self) -> Result<()> {
        let _stream = self.engine.enter("the start of a run")?;
        self.recording.iter().try_for_each(|(node, command)| self.engine.execute(node, command))
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }
}
