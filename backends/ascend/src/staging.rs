//! From host memory to host memory in one go: a program's inputs and outputs side by side in pinned memory, and in the same
//! order on the device, so that a run is one copy in, the operators, and one copy out.

use crate::kernels::padded;
use crate::memory::Pinned;
use lockstep_hal::{Error, Program, Result};
use std::ops::Range;

/// Where everything is, in bytes from the first of the inputs: inputs, then outputs and taps.
#[derive(Clone, Debug)]
pub(crate) struct StagingLayout {
    slots: Vec<Range<usize>>,
    inputs: usize,
    /// Where the outputs begin.
    outputs: usize,
    bytes: usize,
}

impl StagingLayout {
    pub(crate) fn new(program: &Program) -> Self {
        let (mut end, mut outputs) = (0_usize, 0);
        let mut slots = Vec::new();
        for (slot, &id) in program.io().iter().enumerate() {
            if slot == program.input_count() {
                outputs = end;
            }
            let bytes = program.operand(id).bytes();
            slots.push(end..end + bytes);
            end += padded(bytes);
        }
        if program.io().len() == program.input_count() {
            outputs = end;
        }
        Self { slots, inputs: program.input_count(), outputs, bytes: end }
    }

    /// How many bytes that is, here and there.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Inputs, which are copied in; outputs and taps, which are copied out.
    pub(crate) fn copies(&self) -> [Range<usize>; 2] {
        [0..self.outputs, self.outputs..self.bytes]
    }

    /// Where each of the caller's buffers begins.
    pub(crate) fn slots(&self) -> impl Iterator<Item = usize> {
        self.slots.iter().map(|slot| slot.start)
    }

    /// Puts the inputs where they are copied from.
    pub(crate) fn put(&self, pinned: &mut Pinned, inputs: &[&[u8]]) -> Result<()> {
        let slots = &self.slots[..self.inputs];
        fitting(slots, inputs.iter().map(|input| input.len()))?;
        let bytes = pinned.bytes();
        for (slot, input) in slots.iter().zip(inputs) {
            bytes[slot.clone()].copy_from_slice(input);
        }
        Ok(())
    }

    /// Takes the outputs from where they were copied to.
    pub(crate) fn get(&self, pinned: &mut Pinned, outputs: &mut [&mut [u8]]) -> Result<()> {
        let slots = &self.slots[self.inputs..];
        fitting(slots, outputs.iter().map(|output| output.len()))?;
        let bytes = pinned.bytes();
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
