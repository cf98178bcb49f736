//! One run of a model: what it uses is looked up when it is asked for, and held and checked when it runs.

use crate::meta::executor::Fault;
use crate::numerics::Settings;
use crate::offline::binding::{Asked, Half};
use crate::offline::config::Executing;
use crate::offline::dataset::Dataset;
use crate::offline::gears;
use crate::offline::model::Loaded;
use crate::offline::program::{Addresses, Conditions};
use crate::offline::turns::Turn;
use crate::runtime::context::Context;
use crate::runtime::errors::Failure;
use crate::runtime::stream::Stream;
use crate::runtime::uses::{self, Found};
use crate::runtime::{counts, faults, lock};
use std::sync::Arc;

/// What a run whose choice of gear was overwritten ends with; our reading.
const GEAR_OVERWRITTEN: i32 = 507_011;

/// A run that was asked for.
pub(super) struct Run {
    symbol: &'static str,
    model: Arc<Loaded>,
    gear: usize,
    addresses: Addresses,
    memory: Vec<Found>,
    choice: Option<Choice>,
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

/// Where a run is, and with whose settings.
pub(super) struct Site<'a> {
    /// Whose settings it has.
    pub(super) stream: &'a Stream,
    pub(super) context: &'a Context,
    /// Where it waits its turn; `None` is the calling thread.
    pub(super) queue: Option<&'a Stream>,
}

/// The choice of a gear as the device holds it, unless it was overwritten.
struct Choice {
    address: usize,
    bytes: Vec<u8>,
}

impl Run {
    /// # Errors
    /// 145003 if the model is being unloaded; as for [`Asked::bind`], and as for
    /// [`Brought::check`](crate::offline::memory::Brought::check) of work memory that the run brings.
    pub(super) fn new(
        symbol: &'static str,
        model: Arc<Loaded>,
        datasets: &Datasets,
        config: Executing,
        site: &Site<'_>,
    ) -> Result<Self, Failure> {
        let chosen = lock(&datasets.input.gears).get(&model.id).copied();
        let gear = chosen.unwrap_or(model.programs.len() - 1);
        let (program, description, device) = (&model.programs[gear], &model.description, model.device);
        let name = program.name();
        let input = Asked {
            half: Half::Input,
            ports: &description.inputs,
            dims: &program.input_dims,
            bytes: &program.input_bytes,
            gear: &name,
            device,
        };
        let output = Asked {
            half: Half::Output(symbol),
            ports: &description.outputs,
            dims: &program.output_dims,
            bytes: &program.output_bytes,
            gear: &name,
            device,
        };
        let work = match config.work.address {
            0 => model.work.address,
            address => {
                config.work.check(program.work_bytes, device, "work")?;
                address
            }
        };
        let mut memory = vec![
            model.weights.found(device, "weight memory"),
            uses::in_device_memory(work, program.work_bytes, device, "work memory"),
        ];
        let inputs = input.bind(&datasets.input, &mut memory)?;
        let choice = match (chosen, description.chooser()) {
            (Some(gear), Some(at)) => {
                let bytes = gears::to_bytes(&description.choices[gear]);
                let address = lock(&*datasets.input.buffer(at)?).address;
                memory.push(uses::in_device_memory(address, bytes.len(), device, &input.label(at)));
                Some(Choice { address, bytes })
            }
            _ => None,
        };
        let outputs = output.bind(&datasets.output, &mut memory)?;
        let turn = model.turns.take(site.queue.map(|stream| stream.number));
        Ok(Self {
            symbol,
            gear,
            addresses: Addresses { inputs, outputs, weights: model.weights.address, work },
            memory,
            choice,
            settings: site.stream.settings.clone(),
            is_deterministic: site.context.is_deterministic(),
            turn: turn.ok_or_else(|| Failure::new(145_003, "the model was unloaded meanwhile"))?,
            on: site.queue.map_or("this thread".to_owned(), |stream| format!("stream {}", stream.number)),
            model,
        })
    }

    /// Runs it, on the stream's thread or the caller's.
    pub(super) fn run(&self) -> Result<(), Fault> {
        let launch_number = counts::launch(self.symbol);
        let (id, name) = (self.model.id, &self.model.description.name);
        let program = &self.model.programs[self.gear];
        let gear = program.name();
        let gear = if gear.is_empty() { gear } else { format!(", gear {gear}") };
        let place =
            format!("{} (launch {launch_number}, {}) of model {id} `{name}`{gear}", self.symbol, self.on);
        let told = |fault: Fault| Fault::new(fault.code, format!("{place}: {}", fault.text));
        if let Some(code) = faults::injected_late(self.symbol) {
            return Err(told(Fault::new(code, "LOCKSTEP_ASCEND_SIM_LATE asked for this fault")));
        }
        self.turn.begin().map_err(told)?;
        uses::during(&self.memory, &place, || {
            if let Some(choice) = &self.choice {
                // SAFETY: found in device memory of as many bytes, which is held.
                unsafe { choice.check() }.map_err(told)?;
            }
            let conditions = Conditions {
                settings: &self.settings,
                is_deterministic: self.is_deterministic,
                launch_number,
            };
            // SAFETY: each address was found in device memory of as many bytes as the gear says, which is held.
            unsafe { program.run(&self.addresses, &conditions) }.map_err(told)
        })
    }
}

impl Choice {
    /// # Errors
    /// 507011 if the device holds another one.
    ///
    /// # Safety
    /// As many bytes at its address are valid for reads.
    unsafe fn check(&self) -> Result<(), Fault> {
        let at: *const u8 = core::ptr::with_exposed_provenance(self.address);
        // SAFETY: the caller's promise.
        let is_there = |(index, byte): (usize, &u8)| unsafe { at.add(index).read_volatile() } == *byte;
        if self.bytes.iter().enumerate().all(is_there) {
            return Ok(());
        }
        let text =
            "the buffer that holds the choice of the gear was written since it was chosen for this dataset";
        Err(Fault::new(GEAR_OVERWRITTEN, text))
    }
}
