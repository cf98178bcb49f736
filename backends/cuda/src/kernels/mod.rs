//! Steps to commands: sizes are read, kernels chosen and places fixed once, when a program is compiled.

pub(crate) mod attention;
mod elementwise;
pub(crate) mod embed;
pub(crate) mod index;
mod movement;
pub(crate) mod norm;
pub(crate) mod product;
mod reduce;
mod walk;

use crate::device::ALIGNMENT;
use crate::error::unclaimed;
use crate::launch::{Argument, Check, Command, FindingOf, Launch, LaunchList, Place, StepCommands};
use lockstep_hal::graph::{Constant, ConstantKey, DType, Op};
use lockstep_hal::{Error, Location, Operand, OperandId, Program, Result, Step};
use std::collections::{HashMap, HashSet};

/// Threads of a block of the kernels with a thread per element.
const THREADS: usize = 256;

/// The commands of a program, and the constants they name, each with the dtype it is wanted in.
pub(crate) fn compile(program: &Program) -> Result<(LaunchList, Vec<(Constant, DType)>)> {
    let mut planner = Planner {
        program,
        list: LaunchList::default(),
        constants: Vec::new(),
        numbers: HashMap::new(),
        checked_ends: HashSet::new(),
    };
    for step in program.steps() {
        let from = planner.list.commands.len();
        StepPlan { planner: &mut planner, step, scratch: step.workspace.start }.plan()?;
        planner.list.steps.push(StepCommands {
            node: step.name.clone(),
            op: step.op.name().to_owned(),
            commands: from..planner.list.commands.len(),
        });
    }
    Ok((planner.list, planner.constants))
}

/// What a program does on a device, as data: for those who want to look.
///
/// # Errors
/// [`Error::Program`] for a step that no kernel runs, or of more blocks or dimensions than a kernel takes.
pub fn launch_list(program: &Program) -> Result<LaunchList> {
    compile(program).map(|(list, _)| list)
}

struct Planner<'a> {
    program: &'a Program,
    list: LaunchList,
    constants: Vec<(Constant, DType)>,
    numbers: HashMap<(ConstantKey, DType), usize>,
    /// The caller's ends of sequences that a step checks, with the tokens that there are.
    checked_ends: HashSet<(Place, usize)>,
}

impl Planner<'_> {
    fn constant(&mut self, constant: &Constant, dtype: DType) -> Place {
        let constants = &mut self.constants;
        let index = *self.numbers.entry((constant.key(), dtype)).or_insert_with(|| {
            constants.push((constant.clone(), dtype));
            constants.len() - 1
        });
        Place::Constant { index, at: 0 }
    }
}

/// A step on its way to commands.
struct StepPlan<'p, 'a> {
    planner: &'p mut Planner<'a>,
    step: &'a Step,
    /// Where its unused scratch begins, in the arena.
    scratch: usize,
}

impl<'a> StepPlan<'_, 'a> {
    fn plan(mut self) -> Result<()> {
        match &self.step.op {
            Op::Unary(op) => elementwise::unary(&mut self, *op),
            Op::Binary(op) => elementwise::binary(&mut self, *op),
            Op::Compare(op) => elementwise::compare(&mut self, *op),
            Op::Select => elementwise::select(&mut self),
            Op::Cast { .. } => elementwise::cast(&mut self),
            Op::Gelu(form) => elementwise::gelu(&mut self, *form),
            Op::MatMul => product::matmul(&mut self),
            Op::Linear(parts) => product::linear(&mut self, *parts),
            Op::Transpose { permutation } => movement::transpose(&mut self, permutation),
            Op::Reshape { .. } => movement::copy(&mut self),
            Op::Expand { .. } => movement::expand(&mut self),
            Op::Slice { axis, start, step, .. } => movement::slice(&mut self, *axis, *start, *step),
            Op::Concat { axis } => movement::concat(&mut self, *axis),
            Op::Fill { dtype, value, .. } => movement::fill(&mut self, *dtype, *value),
            Op::Iota { .. } => movement::iota(&mut self),
            Op::Gather { axis } => index::gather(&mut self, *axis),
            Op::IndexAdd { axis } => index::index_add(&mut self, *axis),
            Op::Reduce { op, axes, .. } => reduce::reduce(&mut self, *op, axes),
            Op::Softmax { .. } => norm::softmax(&mut self),
            Op::LayerNorm { epsilon } | Op::AddLayerNorm { epsilon } => norm::layer_norm(&mut self, *epsilon),
            Op::EmbedLayerNorm { epsilon, .. } => embed::embed_layer_norm(&mut self, *epsilon),
            Op::Attention(attention) => attention::attention(&mut self, attention),
            Op::Pool { kind, sequences } => attention::pool(&mut self, *kind, *sequences),
            Op::Custom(_) => Err(unclaimed(self.step)),
        }
    }

    fn operand(&self, id: OperandId) -> &'a Operand {
        self.planner.program.operand(id)
    }

    fn input(&self, at: usize) -> &'a Operand {
        self.operand(self.step.inputs[at])
    }

    /// Whether an input is the caller's, which nothing writes.
    fn is_callers(&self, at: usize) -> bool {
        let inputs = self.planner.program.input_count();
        matches!(self.input(at).location, Location::Io(slot) if slot < inputs)
    }

    fn output(&self) -> Result<&'a Operand> {
        self.step.outputs.first().map(|&id| self.operand(id)).ok_or_else(|| unclaimed(self.step))
    }

    fn place(&mut self, operand: &Operand) -> Place {
        match &operand.location {
            Location::Arena(range) => Place::Arena(range.start),
            Location::Io(slot) => Place::Io { slot: *slot, at: 0 },
            Location::Constant(constant) => self.planner.constant(constant, operand.dtype),
        }
    }

    fn input_place(&mut self, at: usize) -> Place {
        let operand = self.input(at);
        self.place(operand)
    }

    fn output_place(&mut self) -> Result<Place> {
        let operand = self.output()?;
        Ok(self.place(operand))
    }

    /// An input in another dtype: a constant as it is uploaded, anything else by a cast into scratch.
    fn input_as(&mut self, at: usize, dtype: DType) -> Result<Place> {
        let operand = self.input(at);
        if operand.dtype == dtype {
            return Ok(self.place(operand));
        }
        if let Location::Constant(constant) = &operand.location {
            return Ok(self.planner.constant(constant, dtype));
        }
        let count = count(operand);
        let to = self.scratch(count * dtype.size())?;
        let from = self.place(operand);
        elementwise::cast_launch(self, [operand.dtype, dtype], from, to, count)?;
        Ok(to)
    }

    /// So many bytes of the step's scratch.
    fn scratch(&mut self, bytes: usize) -> Result<Place> {
        let at = self.scratch;
        self.scratch += aligned(bytes);
        if self.scratch > self.step.workspace.end {
            return Err(Error::program(format!(
                "{} ({}) has less scratch than its commands need",
                self.step.name, self.step.op
            )));
        }
        Ok(Place::Arena(at))
    }

    /// A new finding for a check of this step.
    fn finding(&mut self, check: Check) -> Place {
        let findings = &mut self.planner.list.findings;
        findings.push(FindingOf { node: self.step.name.clone(), check });
        Place::Finding(findings.len() - 1)
    }

    fn push(&mut self, command: Command) {
        self.planner.list.commands.push(command);
    }

    fn launch(
        &mut self,
        kernel: impl Into<String>,
        [x, y]: [usize; 2],
        block: usize,
        shared_bytes: usize,
        arguments: Vec<Argument>,
    ) -> Result<()> {
        // What a grid may have along x and y.
        if x > i32::MAX as usize || y > 65_535 {
            return Err(Error::program(format!(
                "{} ({}) needs {x} x {y} blocks, more than a grid has; run it in smaller batches, or in parts of its columns",
                self.step.name, self.step.op
            )));
        }
        self.push(Command::Launch(Launch {
            kernel: kernel.into(),
            grid: [x as u32, y as u32, 1],
            block: block as u32,
            shared_bytes: shared_bytes as u32,
            arguments,
        }));
        Ok(())
    }

    /// A kernel with a thread per element; nothing for no elements.
    fn launch_elements(
        &mut self,
        kernel: impl Into<String>,
        count: usize,
        arguments: Vec<Argument>,
    ) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.launch(kernel, [count.div_ceil(THREADS), 1], THREADS, 0, arguments)
    }
}

fn count(operand: &Operand) -> usize {
    operand.shape.iter().product()
}

/// As scratch is handed out.
fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

fn pointer(place: Place) -> Argument {
    Argument::Pointer(place)
}

fn number(value: usize) -> Argument {
    Argument::I64(value as i64)
}

/// Extents before an axis, at it, and after it.
fn around(shape: &[usize], axis: usize) -> [usize; 3] {
    [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()]
}
