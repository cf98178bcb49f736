//! The backend and its one device: host memory, an [`Interpreter`] over candle's tensors.

use crate::buffer::CandleTensor;
use crate::error::guarded;
use crate::{kernels, support};
use lockstep_hal::graph::ConstantKey;
use lockstep_hal::tensor::{DType, HostTensor};
use lockstep_hal::{
    Backend, Buffer, Device, DeviceInfo, Error, Executable, HostBuffer, Interpreted, Interpreter, MemRules,
    NumericsProfile, OpQuery, Operand, Overflow, Program, Result, Step, Support, Usage, WeightCache,
};
use std::sync::Arc;

const NAME: &str = "candle";
pub(crate) const DEVICE: &str = "candle:0";

/// candle-core on the CPU: `candle:0`, f32 and f64, available everywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct CandleBackend;

impl CandleBackend {
    /// The backend.
    pub fn new() -> Self {
        Self
    }
}

impl Backend for CandleBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>> {
        Ok(vec![info()])
    }

    fn open(&self, ordinal: usize) -> Result<Arc<dyn Device>> {
        if ordinal != 0 {
            return Err(Error::NoSuchDevice { backend: NAME.to_owned(), ordinal, count: 1 });
        }
        Ok(Arc::new(CandleDevice { info: info(), weights: WeightCache::default() }))
    }
}

fn info() -> DeviceInfo {
    DeviceInfo {
        id: DEVICE.to_owned(),
        name: "candle-core on the host's processor".to_owned(),
        driver: None,
        memory_bytes: None,
        dtypes: vec![DType::F32, DType::F64],
        default_dtype: DType::F32,
        prefers_packing: false,
        prefers_buckets: false,
        simulated: false,
        on_processor: true,
        numerics: numerics(),
    }
}

/// candle promises nothing of this. From its source: sums are carried in the operands' dtype; erf is the `libm` crate's
/// (the reference backend's too, so the two are no second opinion on erf); exp and tanh are the C library's, so they
/// vary with the platform. Measured on x86-64 Linux, f32 over a seventh of all values and f64 on 120,000 points: exp
/// 0.51, erf 0.91, tanh 2.17 units; declared are these, rounded up. GELU's erf form computes `erf(..) + 1` in the
/// operand's dtype, so its relative error grows without bound far below zero. `gemm` splits products by rows and columns
/// only, never within a sum, but takes another path for a single row, which is why a sequence's bits may depend on its
/// batch.
fn numerics() -> NumericsProfile {
    NumericsProfile {
        version: 1,
        accumulate: vec![(DType::F32, DType::F32), (DType::F64, DType::F64)],
        reduced_f32_products: false,
        flushes_subnormals: false,
        overflow: Overflow::Infinity,
        exp_ulp: 1.0,
        erf_ulp: 1.0,
        tanh_ulp: 2.5,
        deterministic: true,
        batch_invariant: false,
    }
}

#[derive(Debug)]
struct CandleDevice {
    info: DeviceInfo,
    weights: WeightCache<ConstantKey, CandleTensor>,
}

impl Device for CandleDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn mem_rules(&self) -> MemRules {
        MemRules { alignment: 64, padding: 0, largest_allocation: isize::MAX as usize }
    }

    fn support(&self, query: &OpQuery<'_>) -> Support {
        support::support(query)
    }

    fn alloc(&self, bytes: usize, _usage: Usage) -> Result<Buffer> {
        HostBuffer::allocate(DEVICE, bytes)
    }

    fn write(&self, destination: &Buffer, at: usize, source: &[u8]) -> Result<()> {
        HostBuffer::of(destination)?.copy_in(at, source)
    }

    fn read(&self, source: &Buffer, at: usize, destination: &mut [u8]) -> Result<()> {
        HostBuffer::of(source)?.copy_out(at, destination)
    }

    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>> {
        program.check_steps(self.as_ref())?;
        Ok(Box::new(Interpreted::new(Arc::new(Candle), &self.weights, program)?))
    }
}

#[derive(Debug)]
struct Candle;

impl Interpreter for Candle {
    type Tensor = CandleTensor;

    fn upload(&self, tensor: &HostTensor) -> Result<CandleTensor> {
        guarded("an upload", "Tensor::from_slice", || CandleTensor::from_host(tensor))
    }

    fn download(&self, tensor: &CandleTensor, operand: &Operand) -> Result<HostTensor> {
        guarded(&operand.name, "Tensor::to_vec1", || tensor.to_host(operand.dtype, &operand.shape))
    }

    fn reshape(&self, tensor: &CandleTensor, shape: &[usize]) -> Result<CandleTensor> {
        guarded("a view", "Tensor::reshape", || tensor.reshaped(shape))
    }

    fn run(&self, program: &Program, step: &Step, inputs: &[CandleTensor]) -> Result<Vec<CandleTensor>> {
        let [output] = step.outputs[..] else {
            return Err(Error::program(format!("{}: {} has one output", step.name, step.op)));
        };
        let output = program.operand(output);
        let tensor =
            guarded(&step.name, step.op.name(), || kernels::run(&step.name, &step.op, inputs, output))?;
        Ok(vec![tensor])
    }
}
