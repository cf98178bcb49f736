//! One model on one device, ready to be measured.

use crate::backends;
use crate::failure::{Failure, Outcome};
use crate::inspect::load;
use crate::tokens::TokenBatch;
use lockstep_bert::BertModel;
use lockstep_runtime::tensor::DType;
use lockstep_runtime::{Packing, Session};
use std::path::Path;
use std::time::{Duration, Instant};

/// Compiled programs of all shapes stay, so that no run is of a program compiled again.
const CACHE_BYTES: usize = 4 << 30;

/// A model on a device.
#[derive(Debug)]
pub(super) struct Contender {
    model: BertModel,
    dtype: DType,
    session: Session,
}

impl Contender {
    /// Opens a device by name and loads the model in its dtype.
    ///
    /// # Errors
    /// An unknown device, a dtype it lacks, a model that cannot be loaded, nodes that it refuses.
    pub(super) fn open(
        folder: &Path,
        spec: &str,
        dtype: Option<DType>,
        threads: Option<usize>,
        packing: Packing,
    ) -> Outcome<Self> {
        let device = backends::open(spec, threads)?;
        let (model, dtype) = load(folder, device.as_ref(), dtype)?;
        let builder = Session::builder(model.graph().clone()).device(device).packing(packing);
        let session = builder.cache_bytes(CACHE_BYTES).build()?;
        Ok(Self { model, dtype, session })
    }

    pub(super) fn model(&self) -> &BertModel {
        &self.model
    }

    /// The device's id.
    pub(super) fn device(&self) -> &str {
        &self.session.prepared().device().info().id
    }

    /// The dtype that the model computes in.
    pub(super) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Runs a batch and gives the time that it took.
    ///
    /// # Errors
    /// A run that failed.
    pub(super) fn time(&self, batch: &TokenBatch) -> Outcome<Duration> {
        let start = Instant::now();
        let result = self.session.run(&batch.inputs()).map_err(|error| Failure::of(&error))?;
        std::hint::black_box(&result);
        Ok(start.elapsed())
    }
}
