//! Which of a model's inputs and outputs a program's are.

use super::description::Description;
use lockstep_hal::graph::{DType, Op};
use lockstep_hal::{CompiledPort, Error, Gear, Location, Operand, Program, Result};

/// A program's values at a model's ports, in the program's order.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    pub(crate) inputs: Vec<Port>,
    /// Outputs, then taps.
    pub(crate) outputs: Vec<Port>,
    /// The gear of the program's extents.
    pub(crate) gear: usize,
}

/// One value.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    /// The model's port.
    pub(crate) index: usize,
    /// The model's dtype.
    pub(crate) dtype: DType,
    /// Elements.
    pub(crate) elements: usize,
}

impl Port {
    /// Bytes that the model takes or gives.
    pub(crate) fn bytes(&self) -> usize {
        self.elements * self.dtype.size()
    }
}

/// An input that indexes a table.
#[derive(Clone, Debug)]
pub(crate) struct InputIndex {
    pub(crate) node: String,
    /// The program's input.
    pub(crate) slot: usize,
    pub(crate) dtype: DType,
    /// The table's rows.
    pub(crate) rows: usize,
}

impl Ports {
    /// Finds a program's inputs, outputs and taps by name.
    ///
    /// # Errors
    /// [`Error::CompiledModel`] for a name or a dtype that the model lacks, and for extents that are no gear's, with those there are.
    pub(crate) fn find(program: &Program, description: &Description) -> Result<Self> {
        let model = &description.model;
        let given = program.input_count();
        let found = (0..given).map(|slot| input(program, slot, description)).collect::<Result<Vec<_>>>()?;
        let extents = program.io()[..given].iter().map(|&id| program.operand(id).shape.as_slice());
        let fits = |gear: &Gear| {
            found.iter().zip(extents.clone()).all(|(port, extents)| gear.inputs[port.index] == extents)
        };
        let gear = model.gears.iter().position(fits).ok_or_else(|| {
            let given: Vec<String> =
                extents.clone().enumerate().map(|(slot, shape)| format!("{} {shape:?}", program.io_name(slot))).collect();
            let reason = format!(
                "it was not compiled for {}; it runs {}. Compile it for more (lockstep export --batches, --seq)",
                given.join(", "),
                model.gears_in_words()
            );
            Error::compiled_model(&model.file, reason)
        })?;
        let outputs = (given..program.io().len()).map(|slot| output(program, slot, description));
        let given = outputs.collect::<Result<Vec<_>>>()?;
        Ok(Self { inputs: found, outputs: given, gear })
    }
}

fn input(program: &Program, slot: usize, description: &Description) -> Result<Port> {
    let (model, name, operand) =
        (&description.model, program.io_name(slot), program.operand(program.io()[slot]));
    let port = port(name, operand, &model.inputs).ok_or_else(|| {
        Error::compiled_model(&model.file, format!("it has no input `{name}`, only {}", names(&model.inputs)))
    })?;
    if port.dtype != operand.dtype {
        let reason = format!(
            "it takes `{name}` in {}, the graph has it in {}; was another model compiled?",
            port.dtype, operand.dtype
        );
        return Err(Error::compiled_model(&model.file, reason));
    }
    Ok(port)
}

fn output(program: &Program, slot: usize, description: &Description) -> Result<Port> {
    let (model, name, operand) =
        (&description.model, program.io_name(slot), program.operand(program.io()[slot]));
    let port = port(name, operand, &model.outputs).ok_or_else(|| {
        let given = names(&model.outputs);
        let reason = format!(
            "it does not give `{name}`, only {given}; checkpoints are there if they were cut (lockstep export --cut)"
        );
        Error::compiled_model(&model.file, reason)
    })?;
    if port.dtype != operand.dtype && !(port.dtype.is_float() && operand.dtype.is_float()) {
        let reason = format!("it gives `{name}` in {}, the graph in {}", port.dtype, operand.dtype);
        return Err(Error::compiled_model(&model.file, reason));
    }
    let (bytes, room) = (port.bytes(), description.output_bytes[port.index]);
    if bytes > room {
        let reason = format!(
            "its output `{name}` has {room} bytes, and the graph's {bytes}; was another model compiled?"
        );
        return Err(Error::compiled_model(&model.file, reason));
    }
    Ok(port)
}

/// The port of a name.
fn port(name: &str, operand: &Operand, ports: &[CompiledPort]) -> Option<Port> {
    let index = ports.iter().position(|port| port.name == name)?;
    Some(Port { index, dtype: ports[index].dtype, elements: operand.shape.iter().product() })
}

fn names(ports: &[CompiledPort]) -> String {
    ports.iter().map(|port| format!("`{}`", port.name)).collect::<Vec<_>>().join(", ")
}

/// The inputs that tables are read by: a device does not look whether they are in range.
pub(crate) fn input_indices(program: &Program) -> Vec<InputIndex> {
    let mut found = Vec::new();
    for step in program.steps() {
        let (Op::Gather { axis }, &[table, index]) = (&step.op, step.inputs.as_slice()) else { continue };
        let index = program.operand(index);
        if let Location::Io(slot) = index.location
            && slot < program.input_count()
        {
            let rows = program.operand(table).shape[*axis];
            found.push(InputIndex { node: step.name.clone(), slot, dtype: index.dtype, rows });
        }
    }
    found
}
