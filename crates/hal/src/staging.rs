//! Where a program's inputs and outputs lie side by side, for devices that copy all of them at once.

use crate::{Error, MemRules, Program, Result};
use std::ops::Range;

/// A place for each of a program's inputs, outputs and taps in one piece of memory, the same on the host and on the device.
#[derive(Clone, Debug)]
pub struct StagingLayout {
    slots: Vec<Range<usize>>,
    inputs: usize,
    /// Where the outputs begin.
    outputs: usize,
    bytes: usize,
}

impl StagingLayout {
    /// Places in the program's order, laid out by the device's rules.
    pub fn new(program: &Program, rules: MemRules) -> Self {
        let sizes = program.io().iter().map(|&id| program.operand(id).bytes());
        Self::of(sizes, program.input_count(), rules)
    }

    fn of(sizes: impl Iterator<Item = usize>, inputs: usize, rules: MemRules) -> Self {
        let mut bytes = 0_usize;
        let mut place = |size: usize| {
            let slot = bytes..bytes + size;
            bytes = (slot.end + rules.padding).next_multiple_of(rules.alignment);
            slot
        };
        let slots: Vec<Range<usize>> = sizes.map(&mut place).collect();
        let outputs = slots.get(inputs).map_or(bytes, |slot| slot.start);
        Self { slots, inputs, outputs, bytes }
    }

    /// How many bytes all of it takes; what a device adds of its own begins there.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where the inputs are.
    pub fn inputs(&self) -> Range<usize> {
        0..self.outputs
    }

    /// Where the outputs and taps are.
    pub fn outputs(&self) -> Range<usize> {
        self.outputs..self.bytes
    }

    /// Where each of the caller's buffers begins.
    pub fn starts(&self) -> impl Iterator<Item = usize> {
        self.slots.iter().map(|slot| slot.start)
    }

    /// Checks that a run was given each input, of its size.
    ///
    /// # Errors
    /// [`Error::Program`] says what the program takes.
    pub fn check_inputs(&self, inputs: &[&[u8]]) -> Result<()> {
        fitting(&self.slots[..self.inputs], inputs.iter().map(|input| input.len()))
    }

    /// Puts inputs in their places in `memory`.
    ///
    /// # Errors
    /// As [`StagingLayout::check_inputs`].
    pub fn put(&self, memory: &mut [u8], inputs: &[&[u8]]) -> Result<()> {
        self.check_inputs(inputs)?;
        for (slot, input) in self.slots.iter().zip(inputs) {
            memory[slot.clone()].copy_from_slice(input);
        }
        Ok(())
    }

    /// Takes outputs and taps from their places in `memory`.
    ///
    /// # Errors
    /// [`Error::Program`] for slices of other sizes.
    pub fn get(&self, memory: &[u8], outputs: &mut [&mut [u8]]) -> Result<()> {
        let slots = &self.slots[self.inputs..];
        fitting(slots, outputs.iter().map(|output| output.len()))?;
        for (slot, output) in slots.iter().zip(outputs) {
            output.copy_from_slice(&memory[slot.clone()]);
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

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: MemRules = MemRules { alignment: 64, padding: 32, largest_allocation: usize::MAX };

    #[test]
    fn places_are_aligned_padded_and_in_order() {
        let layout = StagingLayout::of([1, 40, 64].into_iter(), 2, RULES);
        assert_eq!(layout.starts().collect::<Vec<_>>(), [0, 64, 192]);
        assert_eq!((layout.inputs(), layout.outputs(), layout.bytes()), (0..192, 192..320, 320));
    }

    #[test]
    fn what_is_put_in_comes_out_and_other_sizes_are_refused() {
        // An output in the place of the first input, so that what was put there is got.
        let layout = StagingLayout::of([2, 2].into_iter(), 1, RULES);
        let mut memory = vec![0; layout.bytes()];
        layout.put(&mut memory, &[&[1, 2]]).unwrap();
        memory.copy_within(0..2, layout.outputs().start);
        let mut out = [0; 2];
        layout.get(&memory, &mut [&mut out]).unwrap();
        assert_eq!(out, [1, 2]);
        assert!(layout.put(&mut memory, &[&[1]]).is_err());
        assert!(layout.get(&memory, &mut []).is_err());
    }

    #[test]
    fn without_outputs_there_is_nothing_to_copy_out() {
        assert!(StagingLayout::of([8].into_iter(), 1, RULES).outputs().is_empty());
    }
}
