//! One run of a model: what it uses is looked up when it is asked for, and held and checked when it runs.

use crate::meta::executor::Fault;
use crate::numerics::Settings;
use crate::offline::config::Executing;
use crate::offline::dataset::{Buffer, Bytes, Dataset};
use crate::offline::description::Described;
use crate::offline::gears;
use crate::offline::model::Loaded;
use crate::offline::program::{Addresses, Conditions, Program};
use crate::offline::turns::Turn;
use crate::runtime::blocks::{self, Home};
use crate::runtime::context::Context;
use crate::runtime::errors::Failure;
use crate::runtime::stream::Stream;
use crate::runtime::uses::{self, Found};
use crate::runtime::{counts, faults, lock};
use std::sync::Arc;

/// Our reading: a dataset that does not fit the model.
const INPUT_NOT_MATCH: i32 = 100_017;
/// The same of outputs.
const OUTPUT_NOT_MATCH: i32 = 100_018;
/// What a run whose choice of gear was overwritten ends with; our reading.
const GEAR_OVERWRITTEN: i32 = 507_011;
/// Bytes that the system adds to an output that it allocates.
const PADDING: usize = 32;

/// A run that was asked for.
pub(super) struct Run {
    symbol: &'static str,
    model: Arc<Loaded>,
    gear: usize,
    addresses: Addresses,
    memory: Vec<Found>,
    /// Where the choice of the gear is on the device, and what is there unless it was overwritten.
    choice: Option<(usize, Vec<u8>)>,
    settings: Arc<Settings>,
    is_deterministic: bool,
    turn: Turn,
    /// For messages.
    on: String,
}

/// Inputs and outputs.
pub(super) struct Datasets {
    pub(super) input: Arc<Dataset>,
    pub(super) output: Arc<Dataset>,
}

impl Run {
    /// A run with the settings of `stream`; `on` says where it runs.
    ///
    /// # Errors
    /// 145003 if the model is being unloaded; 100017 and 100018 for datasets that do not fit it; as for
    /// [`Brought::check`](crate::offline::memory::Brought::check) for work memory that the run brings.
    pub(super) fn new(
        symbol: &'static str,
        model: Arc<Loaded>,
        datasets: &Datasets,
        config: Executing,
        stream: &Stream,
        context: &Context,
        on: Option<&Stream>,
    ) -> Result<Self, Failure> {
        let description = model.description.clone();
        let chosen = lock(&datasets.input.gears).get(&model.id).copied();
        let gear = chosen.unwrap_or(model.programs.len() - 1);
        let program = &model.programs[gear];
        let inputs = Side { dataset: &datasets.input, name: "input", code: INPUT_NOT_MATCH };
        let outputs = Side { dataset: &datasets.output, name: "output", code: OUTPUT_NOT_MATCH };
        let given = inputs.buffers(&description.inputs)?;
        let taken = outputs.buffers(&description.outputs)?;
        let mut memory = Vec::new();
        let mut input_addresses = Vec::new();
        for (at, needed) in program.input_bytes.iter().enumerate() {
            let port = &description.inputs[at];
            inputs.check_desc(at, port, &program.input_dims[at])?;
            let bytes = *lock(&given[at]);
            inputs.check_size(at, port, bytes, *needed, program)?;
            memory.push(uses::aligned(bytes.address, *needed, model.device, &inputs.label(at, port)));
            input_addresses.push(bytes.address);
        }
        let choice = match (chosen, description.chooser()) {
            (Some(gear), Some(at)) => {
                let expected = gears::to_bytes(&description.choices[gear]);
                let address = lock(&given[at]).address;
                let name = inputs.label(at, &description.inputs[at]);
                memory.push(uses::in_device_memory(address, expected.len(), model.device, &name));
                Some((address, expected))
            }
            _ => None,
        };
        for (at, needed) in program.output_bytes.iter().enumerate() {
            let port = &description.outputs[at];
            outputs.check_desc(at, port, &program.output_dims[at])?;
            if !is_left_to_system(&taken[at]) {
                outputs.check_size(at, port, *lock(&taken[at]), *needed, program)?;
            }
        }
        if config.work.address != 0 {
            config.work.check(program.work_bytes, model.device, "work")?;
        }
        let turn = model.turns.take(on.map(|stream| stream.number));
        let turn = turn.ok_or_else(|| Failure::new(145_003, "the model was unloaded meanwhile"))?;
        let mut output_addresses = Vec::new();
        for (at, needed) in program.output_bytes.iter().enumerate() {
            let address = address_or_new(&taken[at], *needed, model.device, symbol)?;
            let name = outputs.label(at, &description.outputs[at]);
            memory.push(uses::aligned(address, *needed, model.device, &name));
            output_addresses.push(address);
        }
        let work = if config.work.address == 0 { model.work.address } else { config.work.address };
        memory.push(model.weights.found(model.device, "weight memory"));
        memory.push(uses::in_device_memory(work, program.work_bytes, model.device, "work memory"));
        let addresses = Addresses {
            inputs: input_addresses,
            outputs: output_addresses,
            weights: model.weights.address,
            work,
        };
        Ok(Self {
            symbol,
            gear,
            addresses,
            memory,
            choice,
            settings: stream.settings.clone(),
            is_deterministic: context.is_deterministic(),
            turn,
            on: on.map_or("this thread".to_owned(), |stream| format!("stream {}", stream.number)),
            model,
        })
    }

    /// Runs it, on the stream's thread or the caller's.
    pub(super) fn run(&self) -> Result<(), Fault> {
        let launch_number = counts::launch(self.symbol);
        let (id, name) = (self.model.id, &self.model.description.name);
        let program = &self.model.programs[self.gear];
        let gear = if program.key.is_empty() { String::new() } else { format!(", gear {:?}", program.key) };
        let place =
            format!("{} (launch {launch_number}, {}) of model {id} `{name}`{gear}", self.symbol, self.on);
        let told = |fault: Fault| Fault::new(fault.code, format!("{place}: {}", fault.text));
        if let Some(code) = faults::injected_late(self.symbol) {
            return Err(told(Fault::new(code, "LOCKSTEP_ASCEND_SIM_LATE asked for this fault")));
        }
        self.turn.begin().map_err(told)?;
        uses::during(&self.memory, &place, || {
            self.check_choice().map_err(told)?;
            let conditions = Conditions {
                settings: &self.settings,
                is_deterministic: self.is_deterministic,
                launch_number,
            };
            // SAFETY: each address was found in device memory of as many bytes as the gear says, which is held.
            unsafe { program.run(&self.addresses, &conditions) }.map_err(told)
        })
    }

    fn check_choice(&self) -> Result<(), Fault> {
        let Some((address, expected)) = &self.choice else { return Ok(()) };
        let found: *const u8 = core::ptr::with_exposed_provenance(*address);
        // SAFETY: device memory of as many bytes, which is held; it is copied, so that whoever writes it meanwhile
        // changes nothing that was compared.
        let found: Vec<u8> = (0..expected.len()).map(|at| unsafe { found.add(at).read_volatile() }).collect();
        if found == *expected {
            return Ok(());
        }
        let text =
            "the buffer that holds the choice of the gear was written since it was chosen for this dataset";
        Err(Fault::new(GEAR_OVERWRITTEN, text))
    }
}

/// A dataset, as inputs or as outputs.
struct Side<'a> {
    dataset: &'a Dataset,
    name: &'static str,
    code: i32,
}

impl Side<'_> {
    fn label(&self, at: usize, port: &Described) -> String {
        format!("{} {at} `{}`", self.name, port.name.to_string_lossy())
    }

    fn refuse(&self, text: String) -> Failure {
        Failure::new(self.code, text)
    }

    /// A buffer for each of the model's.
    fn buffers(&self, ports: &[Described]) -> Result<Vec<Arc<Buffer>>, Failure> {
        if self.dataset.len() != ports.len() {
            let names: Vec<_> = ports.iter().map(|port| port.name.to_string_lossy()).collect();
            let (found, expected) = (self.dataset.len(), ports.len());
            return Err(
                self.refuse(format!("{} has {found} buffers, expected {expected}: {names:?}", self.name))
            );
        }
        (0..ports.len()).map(|at| self.dataset.buffer(at)).collect()
    }

    fn check_size(
        &self,
        at: usize,
        port: &Described,
        bytes: Bytes,
        needed: usize,
        program: &Program,
    ) -> Result<(), Failure> {
        if bytes.size >= needed {
            return Ok(());
        }
        let gear = if program.key.is_empty() { String::new() } else { format!(" at gear {:?}", program.key) };
        let label = self.label(at, port);
        Err(self.refuse(format!("{label}: the buffer has {} bytes, {needed} are needed{gear}", bytes.size)))
    }

    /// A description that the caller set must be that of the gear.
    fn check_desc(&self, at: usize, port: &Described, dims: &[i64]) -> Result<(), Failure> {
        match self.dataset.desc(at) {
            Some(desc) if desc.dtype != port.dtype || desc.dims != dims => Err(self.refuse(format!(
                "{}: its tensor's description is {:?} {:?}, expected {:?} {dims:?}",
                self.label(at, port),
                desc.dtype,
                desc.dims,
                port.dtype
            ))),
            _ => Ok(()),
        }
    }
}

/// Null and 0: an output that the system shall allocate.
fn is_left_to_system(buffer: &Buffer) -> bool {
    *lock(buffer) == Bytes { address: 0, size: 0 }
}

/// Where an output goes. What the system allocates stays in the buffer, and is the caller's to free with `aclrtFree`.
fn address_or_new(
    buffer: &Buffer,
    needed: usize,
    device: i32,
    made_by: &'static str,
) -> Result<usize, Failure> {
    let mut bytes = lock(buffer);
    if *bytes == (Bytes { address: 0, size: 0 }) && needed > 0 {
        let address = blocks::allocate(Home::Device(device), needed, PADDING, made_by)?;
        *bytes = Bytes { address, size: needed };
    }
    Ok(bytes.address)
}
