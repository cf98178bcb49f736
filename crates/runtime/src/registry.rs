//! The backends that a program was started with, and devices by specification (`cpu`, `cuda:1`).

use crate::{Backend, Device, DeviceInfo, Error, Result};
use std::path::Path;
use std::sync::Arc;

/// What a backend answered when it was asked for its devices.
#[derive(Debug)]
pub struct Probe {
    /// The backend's name.
    pub backend: &'static str,
    /// Its devices, or why there are none.
    pub devices: lockstep_plan::hal::Result<Vec<DeviceInfo>>,
}

/// Backends by name. Nothing is opened until asked, and there is no default that stands in for a device that is missing.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    backends: Vec<Arc<dyn Backend>>,
}

impl Registry {
    /// A registry of these backends, in order of preference for listings.
    pub fn new(backends: Vec<Arc<dyn Backend>>) -> Self {
        Self { backends }
    }

    /// Asks every backend for its devices.
    pub fn probe(&self) -> Vec<Probe> {
        self.backends.iter().map(|b| Probe { backend: b.name(), devices: b.devices() }).collect()
    }

    /// Opens the device of a specification: a backend's name, or a name and a number (`cuda:1`); behind an `@` the file of a
    /// compiled model that it runs whole (`ascend:0@model.om`).
    ///
    /// # Errors
    /// [`Error::UnknownDevice`] lists the backends there are; [`Error::Device`] is what the backend says.
    pub fn open(&self, spec: &str) -> Result<Arc<dyn Device>> {
        let unknown = |reason: &str| Error::UnknownDevice {
            spec: spec.to_owned(),
            reason: reason.to_owned(),
            known: self.backends.iter().map(|backend| backend.name().to_owned()).collect(),
        };
        let (device, model) = match spec.split_once('@') {
            None => (spec, None),
            Some((_, "")) => return Err(unknown("after the @ comes the file of a compiled model")),
            Some((device, file)) => (device, Some(Path::new(file))),
        };
        let (name, ordinal) = match device.split_once(':') {
            None => (device, 0),
            Some((name, number)) => {
                (name, number.parse().map_err(|_| unknown("after the colon comes a device number"))?)
            }
        };
        let backend = self
            .backends
            .iter()
            .find(|b| b.name() == name)
            .ok_or_else(|| unknown("no such backend is compiled in"))?;
        Ok(match model {
            None => backend.open(ordinal)?,
            Some(file) => backend.open_model(ordinal, file)?,
        })
    }
}
