//! The processor as a device.

use crate::buffer::Arenas;
use crate::executable::CpuExecutable;
use crate::kernels::custom::CustomKernel;
use crate::kernels::{Context, WeightKey};
use crate::pool::Pool;
use crate::{BuildError, support};
use lockstep_hal::graph::DType;
use lockstep_hal::{
    Backend, Buffer, Device, DeviceInfo, Error, Executable, HostBuffer, MemRules, NumericsProfile, OpQuery,
    Overflow, Program, Result, Support, Usage, WeightCache,
};
use lockstep_kernels::linear::PackedWeights;
use lockstep_kernels::{Isa, Parallel};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every offset of an arena is a multiple of a cache line, which is a whole AVX-512 register too.
const ALIGNMENT: usize = 64;

/// The CPU backend; its one device is the processor.
#[derive(Clone, Debug, Default)]
pub struct CpuBackend {
    threads: Option<usize>,
    isa: Option<Isa>,
    custom: BTreeMap<String, Arc<dyn CustomKernel>>,
}

/// Configures a [`CpuBackend`].
#[derive(Debug, Default)]
pub struct CpuBackendBuilder {
    threads: Option<usize>,
    isa: Option<Isa>,
    custom: Vec<Arc<dyn CustomKernel>>,
}

impl CpuBackendBuilder {
    /// How many threads a run uses; by default as many as the process may.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Which instruction-set path the kernels take, at most what the processor has; by default the best.
    pub fn isa(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// A kernel for a custom op.
    pub fn custom_kernel(mut self, kernel: Arc<dyn CustomKernel>) -> Self {
        self.custom.push(kernel);
        self
    }

    /// The backend.
    ///
    /// # Errors
    /// [`BuildError`] for no threads, or two kernels of one name.
    pub fn build(self) -> std::result::Result<CpuBackend, BuildError> {
        if self.threads == Some(0) {
            return Err(BuildError::NoThreads);
        }
        let mut custom = BTreeMap::new();
        for kernel in self.custom {
            let name = kernel.name().to_owned();
            if custom.insert(name.clone(), kernel).is_some() {
                return Err(BuildError::DuplicateKernel(name));
            }
        }
        Ok(CpuBackend { threads: self.threads, isa: self.isa, custom })
    }
}

impl CpuBackend {
    /// Configures threads, instruction set and custom kernels.
    pub fn builder() -> CpuBackendBuilder {
        CpuBackendBuilder::default()
    }

    fn isa(&self) -> Isa {
        self.isa.unwrap_or_else(Isa::detect).min(Isa::detect())
    }

    fn info(&self, threads: usize) -> DeviceInfo {
        DeviceInfo {
            id: "cpu:0".to_owned(),
            name: format!("{} ({}, {threads} threads)", processor_name(), self.isa().name()),
            driver: None,
            memory_bytes: memory_bytes(),
            dtypes: vec![DType::F32, DType::F16, DType::Bf16],
            default_dtype: DType::F32,
            prefers_packing: true,
            prefers_buckets: false,
            simulated: false,
            on_processor: true,
            numerics: NumericsProfile {
                version: 1,
                accumulate: [DType::F32, DType::F16, DType::Bf16].map(|dtype| (dtype, DType::F32)).to_vec(),
                reduced_f32_products: false,
                flushes_subnormals: false,
                overflow: Overflow::Infinity,
                // Measured and asserted by the tests of `lockstep_kernels::math`; the portable path is the worst.
                exp_ulp: 1.02,
                erf_ulp: 1.33,
                tanh_ulp: 1.34,
                deterministic: true,
                batch_invariant: true,
            },
        }
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>> {
        let threads =
            self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        Ok(vec![self.info(threads)])
    }

    fn open(&self, ordinal: usize) -> Result<Arc<dyn Device>> {
        if ordinal != 0 {
            return Err(Error::NoSuchDevice { backend: "cpu".into(), ordinal, count: 1 });
        }
        let pool = Arc::new(Pool::new(self.threads).map_err(|error| Error::Unavailable {
            backend: "cpu".into(),
            library: "a thread pool".into(),
            searched: vec!["the operating system".into()],
            hint: error.to_string(),
        })?);
        Ok(Arc::new(CpuDevice {
            info: self.info(pool.threads()),
            isa: self.isa(),
            pool,
            custom: self.custom.clone(),
            weights: WeightCache::default(),
            arenas: Arc::default(),
        }))
    }
}

#[derive(Debug)]
pub(crate) struct CpuDevice {
    info: DeviceInfo,
    pub(crate) isa: Isa,
    pub(crate) pool: Arc<Pool>,
    pub(crate) custom: BTreeMap<String, Arc<dyn CustomKernel>>,
    weights: WeightCache<WeightKey, PackedWeights>,
    arenas: Arc<Arenas>,
}

impl Device for CpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn mem_rules(&self) -> MemRules {
        MemRules { alignment: ALIGNMENT, padding: 0, largest_allocation: isize::MAX as usize }
    }

    fn support(&self, query: &OpQuery<'_>) -> Support {
        support::support(self, query)
    }

    fn alloc(&self, bytes: usize, _usage: Usage) -> Result<Buffer> {
        HostBuffer::allocate(&self.info.id, bytes)
    }

    fn write(&self, destination: &Buffer, at: usize, source: &[u8]) -> Result<()> {
        HostBuffer::of(destination)?.copy_in(at, source)
    }

    fn read(&self, source: &Buffer, at: usize, destination: &mut [u8]) -> Result<()> {
        HostBuffer::of(source)?.copy_out(at, destination)
    }

    fn compile(self: Arc<Self>, program: Arc<Program>) -> Result<Box<dyn Executable>> {
        if !program.alignment().is_multiple_of(ALIGNMENT) {
            return Err(Error::program(format!(
                "was laid out for {} bytes, the CPU takes {ALIGNMENT}",
                program.alignment()
            )));
        }
        program.check_steps(self.as_ref())?;
        let context = Context {
            program,
            isa: self.isa,
            pool: self.pool.clone(),
            weights: &self.weights,
            custom: &self.custom,
        };
        Ok(Box::new(CpuExecutable::new(&context, &self.arenas, &self.info.id)?))
    }
}

/// What the processor calls itself, where the system tells.
fn processor_name() -> String {
    let found = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    found.unwrap_or_else(|| format!("{} processor", std::env::consts::ARCH))
}

/// The machine's memory, where the system tells.
fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}
