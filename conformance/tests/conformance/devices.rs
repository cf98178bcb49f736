//! A device that counts, and an op that stops a run.

use lockstep_cpu::{CustomKernel, TensorView, TensorViewMut};
use lockstep_runtime::graph::{self, Custom, CustomOp, DType, GraphBuilder, Op, TensorType, ValueId};
use lockstep_runtime::hal::{Buffer, Error, Executable, MemRules, OpQuery, Program, Result, Support, Usage};
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Cancel, Device, DeviceInfo};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// All of a device but how it compiles, as its `inner` does it.
macro_rules! as_inner_does {
    () => {
        fn info(&self) -> &DeviceInfo {
            self.inner.info()
        }

        fn mem_rules(&self) -> MemRules {
            self.inner.mem_rules()
        }

        fn support(&self, query: &OpQuery<'_>) -> Support {
            self.inner.support(query)
        }

        fn alloc(&self, bytes: usize, usage: Usage) -> Result<Buffer> {
            self.inner.alloc(bytes, usage)
        }

        fn write(&self, destination: &Buffer, at: usize, source: &[u8]) -> Result<()> {
            self.inner.write(destination, at, source)
        }

        fn read(&self, source: &Buffer, at: usize, destination: &mut [u8]) -> Result<()> {
            self.inner.read(source, at, destination)
        }
    };
}

/// A device that counts how often it compiles.
#[derive(Debug)]
pub(crate) struct CountingDevice {
    inner: Arc<dyn Device>,
    pub(crate) compiles: AtomicUsize,
}

impl CountingDevice {
    pub(crate) fn new(inner: Arc<dyn Device>) -> Arc<Self> {
        Arc::new(Self { inner, compiles: AtomicUsize::new(0) })
    }
}

impl Device for CountingDevice {
    as_inner_does!();

    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>> {
        self.compiles.fetch_add(1, Ordering::Relaxed);
        self.inner.clone().compile(program)
    }
}

/// A device whose every run takes as long as it says, by a clock of its own.
#[derive(Debug)]
pub(crate) struct ClockedDevice {
    inner: Arc<dyn Device>,
    run: Duration,
}

struct Clocked {
    inner: Box<dyn Executable>,
    run: Duration,
}

impl ClockedDevice {
    pub(crate) fn device(inner: Arc<dyn Device>, run: Duration) -> Arc<dyn Device> {
        Arc::new(Self { inner, run })
    }
}

impl Device for ClockedDevice {
    as_inner_does!();

    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>> {
        Ok(Box::new(Clocked { inner: self.inner.clone().compile(program)?, run: self.run }))
    }
}

impl Executable for Clocked {
    fn submit(&mut self, io: &[Buffer], cancel: &Cancel) -> Result<()> {
        self.inner.submit(io, cancel)
    }

    fn wait(&mut self) -> Result<()> {
        self.inner.wait()
    }

    fn device_time(&self) -> Option<Duration> {
        Some(self.run)
    }
}

/// The identity; when armed, it cancels the run that it is in.
#[derive(Debug, Default)]
pub(crate) struct Stop(Mutex<Option<Cancel>>);

impl Stop {
    /// A flag that the op's next run sets.
    pub(crate) fn arm(&self) -> Cancel {
        let cancel = Cancel::new();
        *self.0.lock().expect("no test panicked in here") = Some(cancel.clone());
        cancel
    }

    fn fire(&self) {
        if let Some(cancel) = self.0.lock().expect("no test panicked in here").take() {
            cancel.cancel();
        }
    }
}

impl CustomOp for Stop {
    fn name(&self) -> &str {
        "test.stop"
    }

    fn infer(&self, inputs: &[TensorType]) -> std::result::Result<Vec<TensorType>, String> {
        match inputs {
            [x] => Ok(vec![x.clone()]),
            _ => Err(format!("takes one input, got {}", inputs.len())),
        }
    }

    fn decompose(&self, builder: &mut GraphBuilder, inputs: &[ValueId]) -> graph::Result<Vec<ValueId>> {
        let permutation: Vec<usize> = (0..builder.ty(inputs[0]).shape.len()).collect();
        builder.node("same", Op::Transpose { permutation }, &inputs[..1])
    }

    fn reference(&self, inputs: &[HostTensor]) -> std::result::Result<Vec<HostTensor>, String> {
        self.fire();
        Ok(inputs.to_vec())
    }
}

impl CustomKernel for Stop {
    fn name(&self) -> &str {
        "test.stop"
    }

    fn supports(&self, inputs: &[DType]) -> bool {
        inputs == [DType::F32]
    }

    fn run(
        &self,
        _: &Custom,
        inputs: &[TensorView<'_>],
        outputs: &mut [TensorViewMut<'_>],
    ) -> std::result::Result<(), String> {
        self.fire();
        let x = inputs[0].elements::<f32>().ok_or("takes f32")?;
        outputs[0].elements::<f32>().ok_or("gives f32")?.copy_from_slice(x);
        Ok(())
    }
}

/// A device whose driver fails at one op, and at nothing else.
#[derive(Debug)]
pub(crate) struct FailingAt {
    inner: Arc<dyn Device>,
    op: &'static str,
}

impl FailingAt {
    pub(crate) fn device(inner: Arc<dyn Device>, op: &'static str) -> Arc<dyn Device> {
        Arc::new(Self { inner, op })
    }
}

impl Device for FailingAt {
    as_inner_does!();

    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>> {
        if let Some(step) = program.steps().iter().find(|step| step.op.name() == self.op) {
            return Err(Error::Device {
                device: self.info().id.clone(),
                node: step.name.clone(),
                call: "launch".to_owned(),
                code: 700,
                driver_text: "illegal address".to_owned(),
            });
        }
        self.inner.clone().compile(program)
    }
}
