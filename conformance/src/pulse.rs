//! Tells a device that fails at one op from a device that is gone.
//!
//! After a failure its memory is written and read back, and an op that held before is run once more. If either fails, nothing
//! that follows would say anything about the ops that follow: they are NOT-RUN, and nobody is guilty. An op that brings the
//! device down looks the same, so the place where it happened is always named.

use crate::one_op::{self, Argument};
use lockstep_runtime::graph::Op;
use lockstep_runtime::hal::{Error as DeviceError, Usage};
use lockstep_runtime::plan;
use lockstep_runtime::{Device, Error, Fallback};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// What is written and read back.
const PATTERN: [u8; 16] = [0x5a; 16];

/// Where a device was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// The device.
    pub device: String,
    /// The node or case at which it failed.
    pub at: String,
    /// What it said.
    pub reason: String,
}

impl Stopped {
    /// Why something was not run.
    pub fn briefly(&self) -> String {
        format!("{} is gone since {}", self.device, self.at)
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.briefly(), self.reason)
    }
}

/// Whether a device failed, as against values that it cannot take or an op that it refuses.
pub(crate) fn is_of_device(error: &Error) -> bool {
    use DeviceError::{Cancelled, Unsupported, Value};
    match error {
        Error::Device(error) | Error::Plan(plan::Error::Device(error)) => {
            !matches!(error, Value { .. } | Unsupported { .. } | Cancelled { .. })
        }
        _ => false,
    }
}

/// The last op that a device is known to have run, and where it was lost, if it was.
#[derive(Debug)]
pub(crate) struct Pulse<'a> {
    device: &'a Arc<dyn Device>,
    held: Option<(Op, Vec<Argument>)>,
    stopped: Option<Stopped>,
}

impl<'a> Pulse<'a> {
    pub(crate) fn new(device: &'a Arc<dyn Device>) -> Self {
        Self { device, held: None, stopped: None }
    }

    /// Where the device was lost.
    pub(crate) fn stopped(&self) -> Option<&Stopped> {
        self.stopped.as_ref()
    }

    /// Remembers an op that the device just ran; tensors share their bytes, so this copies none.
    pub(crate) fn ran(&mut self, op: &Op, arguments: &[Argument]) {
        self.held = Some((op.clone(), arguments.to_vec()));
    }

    /// After `error` at `at`: where the device was lost, or `None` if it still answers.
    pub(crate) fn lost(&mut self, at: &str, error: &Error) -> Option<&Stopped> {
        if self.stopped.is_none() && !(self.memory_answers() && self.held_runs()) {
            let device = self.device.info().id.clone();
            self.stopped = Some(Stopped { device, at: at.to_owned(), reason: error.to_string() });
        }
        self.stopped()
    }

    fn memory_answers(&self) -> bool {
        let mut read = [0; PATTERN.len()];
        let mut round_trip = || {
            let buffer = self.device.alloc(PATTERN.len(), Usage::Input)?;
            self.device.write(&buffer, 0, &PATTERN)?;
            self.device.read(&buffer, 0, &mut read)
        };
        round_trip().is_ok() && read == PATTERN
    }

    /// Whether the op that held still runs; so it does where none has run yet.
    fn held_runs(&self) -> bool {
        self.held.as_ref().is_none_or(|(op, arguments)| {
            one_op::run(self.device, Fallback::Deny, "probe", op, arguments).is_ok()
        })
    }
}
