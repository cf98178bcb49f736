//! Whole models that Huawei's ATC compiled (`.om`), or its stand-in for the simulator: loaded once, run whole.
//!
//! A program is compiled for the names and extents of what goes in and out, and its steps are not run; what the model computes in
//! between shows only in outputs that it was exported with (`lockstep export --cut`), which are taps here.

mod description;
mod device;
mod executable;
mod loaded;
mod ports;

pub(crate) use description::Description;
pub(crate) use device::OfflineDevice;
pub(crate) use loaded::{Loaded, ModelFile, PortCopy};
