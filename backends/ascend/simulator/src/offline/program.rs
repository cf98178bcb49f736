//! What runs at one gear: kernels, and where among inputs, outputs, weights and work memory their operands lie.

use crate::meta::executor::{Described, Fault, Kernel, Launch, Tensors};
use crate::numerics::Settings;
use crate::offline::{data_type, lower};
use crate::view::{View, element_size};
use lockstep_ascend_abi::{aclDataType, aclFormat};
use lockstep_ascend_container::{Gear, Model, Operand, Place, Port, Step};

/// Where the kernels' own workspace begins behind the values: a multiple of so many bytes.
const WORKSPACE_ALIGNMENT: u64 = 512;

/// A gear, planned.
pub(crate) struct Program {
    /// What the gear is named by.
    pub(super) key: Vec<i64>,
    /// The inputs' extents.
    pub(super) input_dims: Vec<Vec<i64>>,
    /// The outputs' extents.
    pub(super) output_dims: Vec<Vec<i64>>,
    /// Bytes of each input.
    pub(super) input_bytes: Vec<usize>,
    /// Bytes of each output.
    pub(super) output_bytes: Vec<usize>,
    /// Bytes of work memory: values, then the kernels' workspace.
    pub(super) work_bytes: usize,
    workspace_offset: usize,
    steps: Vec<Planned>,
}

struct Planned {
    name: String,
    kernel: Kernel,
    operands: Vec<Option<Placed>>,
}

/// An operand: which memory, how many bytes from its beginning, and how it is seen.
struct Placed {
    origin: Origin,
    offset: usize,
    dtype: aclDataType,
    dims: Vec<i64>,
    strides: Vec<i64>,
}

#[derive(Clone, Copy)]
enum Origin {
    Input(usize),
    Output(usize),
    Weights,
    Work,
}

/// The addresses of one run's memory.
pub(super) struct Addresses {
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<usize>,
    pub(super) weights: usize,
    pub(super) work: usize,
}

impl Addresses {
    fn of(&self, origin: Origin) -> usize {
        match origin {
            Origin::Input(at) => self.inputs[at],
            Origin::Output(at) => self.outputs[at],
            Origin::Weights => self.weights,
            Origin::Work => self.work,
        }
    }
}

/// What the kernels of one run are run with.
pub(super) struct Conditions<'a> {
    pub(super) settings: &'a Settings,
    pub(super) is_deterministic: bool,
    pub(super) launch_number: u64,
}

impl Program {
    /// Plans every step.
    ///
    /// # Errors
    /// Which step no kernel takes, and why.
    pub(super) fn of(model: &Model, gear: &Gear) -> Result<Self, String> {
        let steps = gear
            .steps
            .iter()
            .map(|step| {
                planned(model, gear, step).map_err(|reason| format!("step `{}`: {reason}", step.name))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let workspace = steps.iter().map(|(_, workspace)| *workspace).max().unwrap_or(0);
        let offset = gear.arena.checked_next_multiple_of(WORKSPACE_ALIGNMENT);
        let bytes = match workspace {
            0 => Some(gear.arena),
            workspace => offset.and_then(|offset| offset.checked_add(workspace)),
        };
        let too_much = || format!("gear {:?} needs more memory than there can be", gear.key);
        let address =
            |bytes: Option<u64>| usize::try_from(bytes.ok_or_else(too_much)?).map_err(|_| too_much());
        let sizes = |ports: &[Port], dims: &[Vec<i64>]| -> Result<Vec<usize>, String> {
            let of_port = |(port, dims): (&Port, &Vec<i64>)| address(bytes_of(port, dims));
            ports.iter().zip(dims).map(of_port).collect()
        };
        Ok(Self {
            key: gear.key.clone(),
            input_bytes: sizes(&model.inputs, &gear.inputs)?,
            output_bytes: sizes(&model.outputs, &gear.outputs)?,
            input_dims: gear.inputs.clone(),
            output_dims: gear.outputs.clone(),
            work_bytes: address(bytes)?,
            workspace_offset: address(offset)?,
            steps: steps.into_iter().map(|(step, _)| step).collect(),
        })
    }

    /// The gear, for messages; empty where there is only one.
    pub(super) fn name(&self) -> String {
        if self.key.is_empty() { String::new() } else { format!("{:?}", self.key) }
    }

    /// Runs every step, up to the first that faults.
    ///
    /// # Errors
    /// The step's fault, with its name.
    ///
    /// # Safety
    /// The memory at `addresses` is allocated and as large as this gear says.
    pub(super) unsafe fn run(&self, addresses: &Addresses, conditions: &Conditions<'_>) -> Result<(), Fault> {
        let work: *mut u8 = core::ptr::with_exposed_provenance_mut(addresses.work);
        if self.work_bytes > 0 {
            // SAFETY: the caller's promise. NaN in every float type, and no index: what a run leaves there, the next
            // one does not find.
            unsafe { work.write_bytes(0xFF, self.work_bytes) };
        }
        let workspace_bytes = self.work_bytes.saturating_sub(self.workspace_offset) as u64;
        for step in &self.steps {
            let views: Vec<Option<View>> = step
                .operands
                .iter()
                .map(|placed| placed.as_ref().map(|placed| placed.view(addresses)))
                .collect();
            let launch = Launch {
                views: &views,
                workspace: (work.wrapping_add(self.workspace_offset), workspace_bytes),
                settings: conditions.settings,
                is_deterministic: conditions.is_deterministic,
                launch_number: conditions.launch_number,
            };
            (step.kernel)(&launch)
                .map_err(|fault| Fault::new(fault.code, format!("step `{}`: {}", step.name, fault.text)))?;
        }
        Ok(())
    }
}

impl Placed {
    fn view(&self, addresses: &Addresses) -> View {
        let base: *mut u8 = core::ptr::with_exposed_provenance_mut(addresses.of(self.origin));
        View {
            dtype: self.dtype,
            dims: self.dims.clone(),
            strides: self.strides.clone(),
            data: base.wrapping_add(self.offset),
        }
    }
}

/// Bytes of an input or output with these extents; `None` where that is more than 64 bits hold.
fn bytes_of(port: &Port, dims: &[i64]) -> Option<u64> {
    let elements = dims.iter().try_fold(1u64, |count, dim| count.checked_mul(u64::try_from(*dim).ok()?));
    elements?.checked_mul(port.dtype.size())
}

/// A step's kernel and operands, and the workspace that the kernel wants.
fn planned(model: &Model, gear: &Gear, step: &Step) -> Result<(Planned, u64), String> {
    let names = lower::inputs(step.operator);
    if names.len() != step.inputs.len() {
        return Err(format!("{} inputs, expected {}: {names:?}", step.inputs.len(), names.len()));
    }
    let operands = || step.inputs.iter().chain([&step.output]);
    let described = names
        .iter()
        .copied()
        .chain(["out"])
        .zip(operands())
        .map(|(name, operand)| Some(described(gear, operand, name)))
        .chain(core::iter::repeat_with(|| None).take(lower::absent(step.operator)));
    let tensors = Tensors::of(described.collect());
    let plan = lower::plan(step.operator, &tensors).map_err(|refusal| refusal.text)?;
    let placed = operands()
        .map(|operand| placed(model, gear, operand).map(Some))
        .chain(core::iter::repeat_with(|| Ok(None)).take(lower::absent(step.operator)))
        .collect::<Result<_, _>>()?;
    Ok((Planned { name: step.name.clone(), kernel: plan.kernel, operands: placed }, plan.workspace))
}

fn described(gear: &Gear, operand: &Operand, name: &'static str) -> Described {
    let value = &gear.values[operand.value];
    Described {
        name,
        dtype: data_type(value.dtype),
        dims: operand.dims.clone(),
        strides: operand.strides.clone(),
        format: aclFormat::ND,
        storage_dims: vec![value.elements as i64],
    }
}

fn placed(model: &Model, gear: &Gear, operand: &Operand) -> Result<Placed, String> {
    let value = &gear.values[operand.value];
    let (origin, start) = match value.place {
        Place::Input(at) => (Origin::Input(at), 0),
        Place::Output(at) => (Origin::Output(at), 0),
        Place::Constant(at) => (Origin::Weights, model.constants[at].offset),
        Place::Arena(offset) => (Origin::Work, offset),
    };
    let dtype = data_type(value.dtype);
    let size = element_size(dtype).unwrap_or(1) as u64;
    // A view of no element may begin anywhere.
    let first = if operand.dims.contains(&0) { 0 } else { operand.offset as u64 };
    let offset = first.checked_mul(size).and_then(|first| first.checked_add(start));
    let offset = offset.and_then(|offset| usize::try_from(offset).ok());
    let offset = offset.ok_or_else(|| format!("value `{}` lies beyond all memory", value.name))?;
    Ok(Placed { origin, offset, dtype, dims: operand.dims.clone(), strides: operand.strides.clone() })
}
