//! A device that is there for a while: it wraps another and fails for good after so many calls, as one that is unplugged, reset
//! or taken by its driver.
//!
//! Compiled only with the feature `mutants`, and in no registry: nothing can run on it by mistake.

use lockstep_runtime::hal::{
    Buffer, Cancel, Device, DeviceInfo, Error, Executable, MemRules, OpQuery, Program, Result, Support, Usage,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A device that computes as another until it is gone.
#[derive(Debug)]
pub struct Vanishing {
    info: DeviceInfo,
    inner: Arc<dyn Device>,
    left: Arc<Calls>,
}

/// Allocations, copies and submissions that are still answered.
#[derive(Debug)]
struct Calls {
    device: String,
    left: AtomicUsize,
}

impl Vanishing {
    /// `inner`, which answers so many allocations, writes, reads and submissions, and none after them.
    pub fn device(inner: Arc<dyn Device>, calls: usize) -> Arc<dyn Device> {
        let mut info = inner.info().clone();
        info.id = "vanishing:0".to_owned();
        info.name = format!("{}, gone after {calls} calls", info.name);
        info.simulated = true;
        let left = Arc::new(Calls { device: info.id.clone(), left: AtomicUsize::new(calls) });
        Arc::new(Self { info, inner, left })
    }
}

impl Calls {
    fn count(&self, call: &str) -> Result<()> {
        let one_less = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Device {
                device: self.device.clone(),
                node: "any node".to_owned(),
                call: call.to_owned(),
                code: 46,
                driver_text: "the device is gone".to_owned(),
            }),
        }
    }
}

impl Device for Vanishing {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn mem_rules(&self) -> MemRules {
        self.inner.mem_rules()
    }

    fn support(&self, query: &OpQuery<'_>) -> Support {
        self.inner.support(query)
    }

    fn alloc(&self, bytes: usize, usage: Usage) -> Result<Buffer> {
        self.left.count("alloc")?;
        self.inner.alloc(bytes, usage)
    }

    fn write(&self, destination: &Buffer, at: usize, source: &[u8]) -> Result<()> {
        self.left.count("write")?;
        self.inner.write(destination, at, source)
    }

    fn read(&self, source: &Buffer, at: usize, destination: &mut [u8]) -> Result<()> {
        self.left.count("read")?;
        self.inner.read(source, at, destination)
    }

    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>> {
        let inner = self.inner.clone().compile(program)?;
        Ok(Box::new(Running { inner, left: self.left.clone() }))
    }
}

struct Running {
    inner: Box<dyn Executable>,
    left: Arc<Calls>,
}

impl Executable for Running {
    fn submit(&mut self, io: &[Buffer], cancel: &Cancel) -> Result<()> {
        self.left.count("submit")?;
        self.inner.submit(io, cancel)
    }

    fn wait(&mut self) -> Result<()> {
        self.inner.wait()
    }
}
