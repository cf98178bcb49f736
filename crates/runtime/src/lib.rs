//! Running graphs: sessions, taps, and the registry of backends.
//!
//! The runtime knows no backend. The program that starts hands it `Arc<dyn Backend>`s (see [`Registry`]) or an open
//! device; a [`Session`] then runs one graph on one device, from any number of threads.
//!
//! ```no_run
//! # fn example(graph: lockstep_runtime::graph::Graph, device: std::sync::Arc<dyn lockstep_runtime::hal::Device>)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use lockstep_runtime::{Session, tensor::HostTensor};
//!
//! let session = Session::builder(graph).device(device).build()?;
//! let ids = HostTensor::from_slice(&[1, 3], &[2i64, 57, 3])?;
//! let result = session.run(&[("input_ids", &ids)])?;
//! println!("{:?}", result.output("logits")?.shape());
//! # Ok(())
//! # }
//! ```

mod error;
mod inputs;
mod registry;
mod session;

pub use error::{Error, Result};
pub use lockstep_plan as plan;
pub use lockstep_plan::hal;
pub use lockstep_plan::hal::graph;
pub use lockstep_plan::hal::tensor;
pub use lockstep_plan::hal::{Backend, Cancel, Device, DeviceInfo};
pub use lockstep_plan::{Extents, Fallback, Packing, PackingOutcome, PlanOptions};
pub use registry::{Probe, Registry};
pub use session::{RunOptions, RunResult, Session, SessionBuilder};
