//! The backends that this binary was built with, and devices by name.

use crate::failure::{Failure, Outcome};
use lockstep_ascend::AscendBackend;
use lockstep_candle::CandleBackend;
use lockstep_cpu::CpuBackend;
use lockstep_cuda::CudaBackend;
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::{Backend, Device, Registry};
use std::sync::Arc;

/// Which backends are asked for their devices where none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Simulators {
    /// Those of simulators too.
    Listed,
    /// They run where they are named, and only there.
    Named,
}

/// Every backend, none of them open. `threads` sizes the cpu backend's pool, and rayon's global one: that is where
/// candle and the matrix products under it run, which have no setting of their own. A global pool can be sized only
/// once, and before its first use.
pub(crate) fn registry(threads: Option<usize>, simulators: Simulators) -> Outcome<Registry> {
    let mut cpu = CpuBackend::builder();
    if let Some(threads) = threads {
        cpu = cpu.threads(threads);
    }
    let cpu = cpu.build().map_err(|error| Failure::of(&error))?;
    let mut backends: Vec<Arc<dyn Backend>> = vec![
        Arc::new(cpu),
        Arc::new(CudaBackend::new()),
        #[cfg(feature = "cuda-emulated")]
        Arc::new(lockstep_cuda_emulated::EmulatedCuda::new()),
        Arc::new(AscendBackend::new()),
        Arc::new(CandleBackend::new()),
        Arc::new(ReferenceBackend::new()),
    ];
    if simulators == Simulators::Listed {
        backends.push(Arc::new(AscendBackend::simulator()));
        backends.push(Arc::new(AscendBackend::naive()));
    }
    Ok(Registry::new(backends))
}

/// Opens a device, and nothing but it.
pub(crate) fn open(spec: &str, threads: Option<usize>) -> Outcome<Arc<dyn Device>> {
    let registry = registry(threads, Simulators::Listed)?;
    if let Some(threads) = threads
        && spec.split(':').next() == Some("candle")
    {
        // Fails only where a pool of this process is in use already, with this command's own number of threads.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    Ok(registry.open(spec)?)
}
