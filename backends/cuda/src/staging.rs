//! From host memory to host memory in one go: a program's inputs and outputs side by side in pinned memory, and in the same
//! order on the device, so that a run is one copy in, the commands, and one copy out.

use crate::device::ALIGNMENT;
use crate::engine::{Pinned, Replay};
use crate::launch::FINDING_BYTES;
use lockstep_hal::{Error, Program, Result};
use std::ops::Range;

/// Where everything is, in bytes from the first of the inputs: inputs, then outputs and taps, then findings.
#[derive(Clone, Debug)]
pub(crate) struct StagingLayout {
    slots: Vec<Range<usize>>,
    inputs: usize,
    results: Range<usize>,
    findings: usize,
}

impl StagingLayout {
    pub(crate) fn new(program: &Program, findings: usize) -> Self {
        let mut end = 0_usize;
        let mut results = 0;
        let mut slots = Vec::new();
        for (slot, &id) in program.io().iter().enumerate() {
            if slot == program.input_count() {
                results = end;
            }
            let bytes = program.operand(id).bytes();
            slots.push(end..end + bytes);
            end = (end + bytes).next_multiple_of(ALIGNMENT);
        }
        Self {
            slots,
            inputs: program.input_count(),
            results: results..end + findings * FINDING_BYTES,
            findings: end,
        }
    }

    /// How many bytes that is, here and there.
    pub(crate) fn bytes(&self) -> usize {
        self.results.end
    }

    /// Inputs, which are copied in; outputs, taps and findings, which are copied out.
    pub(crate) fn copies(&self) -> [Range<usize>; 2] {
        [0..self.results.start, self.results.clone()]
    }

    /// Where each of the caller's buffers begins.
    pub(crate) fn slots(&self) -> impl Iterator<Item = usize> {
        self.slots.iter().map(|slot| slot.start)
    }

    /// Where the findings begin.
    pub(crate) fn findings(&self) -> usize {
        self.findings
    }
}

/// The host's side, with the recording that reads and writes it. The replay comes first: it is dropped first.
pub(crate) struct Staging {
    pub(crate) replay: Box<dyn Replay>,
    pub(crate) pinned: Box<dyn Pinned>,
}

impl Staging {
    pub(crate) fn put(&mut self, layout: &StagingLayout, inputs: &[&[u8]]) -> Result<()> {
        let slots = &layout.slots[..layout.inputs];
        fitting(slots, inputs.iter().map(|input| input.len()))?;
        let bytes = self.pinned.bytes();
        for (slot, input) in slots.iter().zip(inputs) {
            bytes[slot.clone()].copy_from_slice(input);
        }
        Ok(())
    }

    pub(crate) fn get(&mut self, layout: &StagingLayout, outputs: &mut [&mut [u8]]) -> Result<()> {
        let slots = &layout.slots[layout.inputs..];
        fitting(slots, outputs.iter().map(|output| output.len()))?;
        let bytes = self.pinned.bytes();
        for (slot, output) in slots.iter().zip(outputs) {
            output.copy_from_slice(&bytes[slot.clone()]);
        }
        Ok(())
    }
}

fn fitting(slots: &[Range<usize>], given: impl ExactSizeIterator<Item = usize>) -> Result<()> {
    let wanted: Vec<usize> = slots.iter().map(ExactSizeIterator::len).collect();
    let given: Vec<usize> = given.collect();
    if wanted == given {
        return Ok(());
    }
    Err(Error::program(format!("was given memory of {given:?} bytes, and takes {wanted:?}")))
}
