//! A program on a compiled model: its inputs and outputs by the model's names, its steps not at all.

use super::device::{Model, OfflineDevice};
use super::loaded::PortCopy;
use super::ports::{InputIndex, Port, Ports};
use crate::engine::Finished;
use crate::index::check_index;
use crate::memory::Pinned;
use lockstep_hal::graph::{DType, HostTensor};
use lockstep_hal::tensor::{AlignedBytes, Bytes};
use lockstep_hal::{Buffer, Cancel, Device, Error, Executable, Operand, Program, Result, Staged, Work};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What places in pinned memory are multiples of.
const ALIGNMENT: usize = 64;

/// A program that is run by a compiled model.
pub(crate) struct OfflineExecutable {
    device: Arc<OfflineDevice>,
    model: Arc<Model>,
    program: Arc<Program>,
    ports: Ports,
    indices: Vec<InputIndex>,
    /// Where each input and output is in pinned memory.
    places: Vec<Range<usize>>,
    pinned: Option<Pinned>,
    last: Finished,
}

impl OfflineExecutable {
    pub(crate) fn new(
        device: Arc<OfflineDevice>,
        model: Arc<Model>,
        program: Arc<Program>,
        ports: Ports,
        indices: Vec<InputIndex>,
    ) -> Self {
        let mut end = 0_usize;
        let mut place = |port: &Port| {
            let start = end.next_multiple_of(ALIGNMENT);
            end = start + port.bytes();
            start..end
        };
        let places = ports.inputs.iter().chain(&ports.outputs).map(&mut place).collect();
        Self { device, model, program, ports, indices, places, pinned: None, last: Finished::default() }
    }

    fn bytes(&self) -> usize {
        self.places.last().map_or(0, |place| place.end)
    }

    fn check(&self, inputs: &[&[u8]], outputs: &[&mut [u8]]) -> Result<()> {
        let sizes = self.program.io().iter().map(|&id| self.program.operand(id).bytes());
        let given = inputs.iter().map(|input| input.len()).chain(outputs.iter().map(|output| output.len()));
        if inputs.len() != self.program.input_count() || !given.eq(sizes) {
            return Err(Error::program("was given memory of other sizes than its inputs and outputs have"));
        }
        for InputIndex { node, slot, dtype, rows } in &self.indices {
            check_index(node, *dtype, inputs[*slot], *rows)?;
        }
        Ok(())
    }
}

/// An output as the program has it: a model that was compiled in mixed precision may give another float dtype.
fn converted(bytes: &[u8], from: DType, operand: &Operand, output: &mut [u8]) -> Result<()> {
    if from == operand.dtype {
        output.copy_from_slice(bytes);
        return Ok(());
    }
    let tensor = HostTensor::from_bytes(from, &operand.shape, Bytes::owned(AlignedBytes::copy_of(bytes)))?;
    output.copy_from_slice(tensor.cast(operand.dtype)?.bytes());
    Ok(())
}

impl Staged for OfflineExecutable {
    fn run(&mut self, inputs: &[&[u8]], outputs: &mut [&mut [u8]], cancel: &Cancel) -> Result<()> {
        self.last = Finished::default();
        cancel.check(&self.model.description.model.file)?;
        self.check(inputs, outputs)?;
        let bytes = self.bytes();
        let pinned = match &mut self.pinned {
            Some(pinned) => pinned,
            none => none.insert(Pinned::new(&self.model.thread, bytes)?),
        };
        for (place, input) in self.places.iter().zip(inputs) {
            pinned.bytes()[place.clone()].copy_from_slice(input);
        }
        let ports = self.ports.inputs.iter().chain(&self.ports.outputs);
        let copies = ports
            .zip(&self.places)
            .map(|(port, place)| PortCopy { port: port.clone(), host: pinned.address + place.start as u64 });
        let mut copies: Vec<PortCopy> = copies.collect();
        let from = copies.split_off(inputs.len());
        let (number, gear) = (self.model.number, self.ports.gear);
        self.last = self.model.thread.run(move |engine| engine.run_model(number, gear, &copies, &from))?;
        let operands = self.program.io()[inputs.len()..].iter().map(|&id| self.program.operand(id));
        let given = self.ports.outputs.iter().zip(&self.places[inputs.len()..]);
        for (((port, place), operand), output) in given.zip(operands).zip(outputs) {
            converted(&pinned.bytes()[place.clone()], port.dtype, operand, output)?;
        }
        Ok(())
    }
}

impl Executable for OfflineExecutable {
    /// By way of the host: a model's ports have memory of their own.
    fn submit(&mut self, io: &[Buffer], cancel: &Cancel) -> Result<()> {
        self.program.check_buffers(io)?;
        let program = self.program.clone();
        let (given, produced) = io.split_at(program.input_count());
        let sizes = program.io().iter().map(|&id| program.operand(id).bytes());
        let mut host: Vec<Vec<u8>> = sizes.map(|bytes| vec![0; bytes]).collect();
        for (buffer, bytes) in given.iter().zip(&mut host) {
            self.device.read(buffer, 0, bytes)?;
        }
        let (inputs, outputs) = host.split_at_mut(given.len());
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
        self.run(&inputs, &mut outputs, cancel)?;
        for (buffer, bytes) in produced.iter().zip(&outputs) {
            self.device.write(buffer, 0, bytes)?;
        }
        Ok(())
    }

    /// [`submit`](Self::submit) has waited.
    fn wait(&mut self) -> Result<()> {
        Ok(())
    }

    fn staged(&mut self) -> Option<&mut dyn Staged> {
        Some(self)
    }

    fn device_time(&self) -> Option<Duration> {
        self.last.time
    }

    fn work(&self) -> Option<Work> {
        self.last.work
    }

    /// What it pins on the host; the model's memory is the device's.
    fn resting_bytes(&self) -> Option<usize> {
        Some(self.bytes())
    }
}
