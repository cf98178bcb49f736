//! From a graph of known extents to a checked [`Program`]: places for every value, claims for every step.

use crate::memory::{Block, lay_out};
use crate::{Result, query::support_of};
use lockstep_hal::graph::{Dim, Graph, Op, Origin, ValueId};
use lockstep_hal::{
    Claim, Device, Error, Location, NodeReason, Operand, OperandId, Program, ProgramParts, Provenance, Step,
    Support,
};
use std::collections::{BTreeMap, HashMap};

/// Where a value's bytes will be, before the arena is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Io(usize),
    Constant,
    Arena,
}

/// Makes the program of a bound graph whose every node the device runs. Outputs come first, then checkpoints as taps.
///
/// # Errors
/// [`Error::Unsupported`] for nodes that the device refuses at these extents.
pub(crate) fn assemble(
    graph: &Graph,
    device: &dyn Device,
    provenance: &BTreeMap<String, Provenance>,
) -> Result<Program> {
    let mut assembly = Assembly::new(graph)?;
    assembly.place_inputs();
    assembly.add_nodes(device, provenance)?;
    assembly.place_outputs();
    let parts = assembly.laid_out(device)?;
    Ok(Program::new(parts)?)
}

/// What takes bytes of the arena.
struct Blocks {
    blocks: Vec<Block>,
    /// The block of each operand in the arena.
    block_of: HashMap<OperandId, usize>,
    /// The steps with scratch, and its blocks.
    workspaces: Vec<(usize, usize)>,
}

struct Assembly<'a> {
    graph: &'a Graph,
    operands: Vec<Operand>,
    places: Vec<Place>,
    /// The operand of each value.
    of_value: HashMap<ValueId, OperandId>,
    steps: Vec<Step>,
    io: Vec<OperandId>,
    io_names: Vec<String>,
    input_count: usize,
}

impl<'a> Assembly<'a> {
    fn new(graph: &'a Graph) -> Result<Self> {
        let mut assembly = Self {
            graph,
            operands: Vec::new(),
            places: Vec::new(),
            of_value: HashMap::new(),
            steps: Vec::new(),
            io: Vec::new(),
            io_names: Vec::new(),
            input_count: 0,
        };
        let uses = graph.use_counts();
        let pinned = graph.pinned();
        for (id, value) in graph.values() {
            // Inputs that nothing reads are not asked for.
            if matches!(value.origin, Origin::Input) && uses[id.0 as usize] == 0 && !pinned.contains(&id) {
                continue;
            }
            let shape = value.ty.fixed_shape().ok_or_else(|| {
                Error::program(format!("`{}` is {}; bind every extent first", value.name, value.ty))
            })?;
            let (location, place) = match &value.origin {
                Origin::Constant(constant) => (Location::Constant(constant.clone()), Place::Constant),
                _ => (Location::Arena(0..0), Place::Arena),
            };
            let operand =
                Operand { name: value.name.clone(), dtype: value.ty.dtype, shape, location, view_of: None };
            let operand = assembly.push(operand, place);
            assembly.of_value.insert(id, operand);
        }
        Ok(assembly)
    }

    fn push(&mut self, operand: Operand, place: Place) -> OperandId {
        self.operands.push(operand);
        self.places.push(place);
        OperandId(self.operands.len() - 1)
    }

    fn root(&self, id: OperandId) -> OperandId {
        self.operands[id.0].view_of.unwrap_or(id)
    }

    fn move_to_io(&mut self, id: OperandId, name: String) {
        self.io_names.push(name);
        self.operands[id.0].location = Location::Io(self.io.len());
        self.places[id.0] = Place::Io(self.io.len());
        self.io.push(id);
    }

    fn place_inputs(&mut self) {
        for id in self.graph.inputs() {
            if let Some(&operand) = self.of_value.get(id) {
                self.move_to_io(operand, self.graph.value(*id).name.clone());
            }
        }
        self.input_count = self.io.len();
    }

    fn add_nodes(&mut self, device: &dyn Device, provenance: &BTreeMap<String, Provenance>) -> Result<()> {
        let mut refused = Vec::new();
        for node in self.graph.nodes() {
            let inputs: Vec<OperandId> = node.inputs.iter().map(|id| self.of_value[id]).collect();
            let outputs: Vec<OperandId> = node.outputs.iter().map(|id| self.of_value[id]).collect();
            if let Op::Reshape { .. } = node.op {
                // The same bytes in another shape: no step, no copy.
                let root = self.root(inputs[0]);
                self.operands[outputs[0].0].view_of = Some(root);
                continue;
            }
            match support_of(device, self.graph, node) {
                Support::Native(claim) => self.steps.push(Step {
                    name: node.name.clone(),
                    op: node.op.clone(),
                    inputs,
                    outputs,
                    claim,
                    workspace: 0..claim.workspace,
                    provenance: provenance.get(&node.name).cloned().unwrap_or(Provenance::Native),
                }),
                other => refused.push(NodeReason {
                    node: node.name.clone(),
                    op: node.op.name().to_owned(),
                    inputs: node.inputs.iter().map(|&id| self.graph.value(id).ty.to_string()).collect(),
                    reason: match other {
                        Support::No(reason) => reason.to_string(),
                        _ => "the device runs it natively for other extents only".to_owned(),
                    },
                    tried: "it was accepted before its extents were known".to_owned(),
                }),
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        Err(Error::Unsupported { device: device.info().id.clone(), nodes: refused }.into())
    }

    /// Outputs and taps lie in the caller's buffers: written there straight away where a step makes them, copied where
    /// they are an input, a constant, or asked for twice.
    fn place_outputs(&mut self) {
        let wanted: Vec<(String, ValueId)> =
            self.graph.outputs().iter().chain(self.graph.checkpoints()).cloned().collect();
        for (name, id) in wanted {
            let operand = self.of_value[&id];
            let root = self.root(operand);
            if self.places[root.0] == Place::Arena {
                self.move_to_io(root, name);
                continue;
            }
            let source = self.operands[operand.0].clone();
            let shape: Vec<Dim> = source.shape.iter().map(|&extent| Dim::from(extent)).collect();
            let copy = Operand { name: name.clone(), view_of: None, ..source };
            let copy = self.push(copy, Place::Arena);
            self.move_to_io(copy, name.clone());
            self.steps.push(Step {
                name: format!("{name}.copy"),
                op: Op::Reshape { shape },
                inputs: vec![operand],
                outputs: vec![copy],
                claim: Claim::fixed(self.operands[operand.0].dtype),
                workspace: 0..0,
                provenance: Provenance::Native,
            });
        }
    }

    fn laid_out(mut self, device: &dyn Device) -> Result<ProgramParts> {
        let rules = device.mem_rules();
        let Blocks { blocks, block_of, workspaces } = self.blocks();
        let layout = lay_out(&blocks, &rules, &device.info().id)?;
        for at in 0..self.operands.len() {
            let root = self.root(OperandId(at));
            self.operands[at].location = match (self.places[root.0], block_of.get(&root)) {
                (Place::Arena, Some(&block)) => {
                    Location::Arena(layout.offsets[block]..layout.offsets[block] + blocks[block].bytes)
                }
                _ => self.operands[root.0].location.clone(),
            };
        }
        for (step, block) in workspaces {
            self.steps[step].workspace = layout.offsets[block]..layout.offsets[block] + blocks[block].bytes;
        }
        Ok(ProgramParts {
            operands: self.operands,
            steps: self.steps,
            io: self.io,
            io_names: self.io_names,
            input_count: self.input_count,
            arena_bytes: layout.arena_bytes,
            alignment: rules.alignment,
        })
    }

    /// One block per value, fewer where a claim lets an output take its dying input's place, and one per step's scratch.
    fn blocks(&self) -> Blocks {
        let mut last_read: HashMap<OperandId, usize> = HashMap::new();
        for (at, step) in self.steps.iter().enumerate() {
            for &input in &step.inputs {
                last_read.insert(self.root(input), at);
            }
        }
        let mut blocks: Vec<Block> = Vec::new();
        let mut block_of: HashMap<OperandId, usize> = HashMap::new();
        let mut workspaces = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            for (index, &output) in step.outputs.iter().enumerate() {
                if self.places[output.0] != Place::Arena {
                    continue;
                }
                let last = last_read.get(&output).copied().unwrap_or(at);
                let bytes = self.operands[output.0].bytes();
                if let Some(block) = self.overwritten(step, at, index, &last_read, &block_of)
                    && blocks[block].bytes == bytes
                {
                    blocks[block].last = last;
                    block_of.insert(output, block);
                    continue;
                }
                block_of.insert(output, blocks.len());
                blocks.push(Block { bytes, first: at, last });
            }
            if step.claim.workspace > 0 {
                workspaces.push((at, blocks.len()));
                blocks.push(Block { bytes: step.claim.workspace, first: at, last: at });
            }
        }
        Blocks { blocks, block_of, workspaces }
    }

    /// The block of the input that this output may overwrite: claimed, read here for the last time and only once.
    fn overwritten(
        &self,
        step: &Step,
        at: usize,
        output: usize,
        last_read: &HashMap<OperandId, usize>,
        block_of: &HashMap<OperandId, usize>,
    ) -> Option<usize> {
        let (input, _) = step.claim.alias.filter(|(_, claimed)| *claimed == output)?;
        let root = self.root(*step.inputs.get(input)?);
        let reads = step.inputs.iter().filter(|&&id| self.root(id) == root).count();
        (self.places[root.0] == Place::Arena && last_read.get(&root) == Some(&at) && reads == 1)
            .then(|| block_of.get(&root).copied())
            .flatten()
    }
}
