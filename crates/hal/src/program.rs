//! What a device compiles: steps in order over operands with known shapes and places.

use crate::{Buffer, Claim, Error, Result, Rule, validate::validate};
use lockstep_graph::tensor::element_count;
use lockstep_graph::{Constant, DType, Op};
use std::fmt;
use std::ops::Range;

/// The index of an operand in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperandId(pub usize);

/// Where an operand's bytes are during a run.
#[derive(Clone, Debug)]
pub enum Location {
    /// In the caller's buffer of that number: inputs first, then outputs, then taps.
    Io(usize),
    /// In the program itself.
    Constant(Constant),
    /// In the program's arena, at these bytes.
    Arena(Range<usize>),
}

/// A tensor that steps read or write.
#[derive(Clone, Debug)]
pub struct Operand {
    /// The graph value's name.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// Its extents; row-major and contiguous.
    pub shape: Vec<usize>,
    /// Where it is.
    pub location: Location,
    /// The operand whose bytes these are, where this is the same memory in another shape.
    pub view_of: Option<OperandId>,
}

impl Operand {
    /// Its size.
    pub fn bytes(&self) -> usize {
        element_count(&self.shape) * self.dtype.size()
    }
}

/// How a step came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// The device runs the graph's node itself.
    Native,
    /// Part of a rewrite that the device declared for a node.
    Rewritten {
        /// The node.
        node: String,
        /// The rule.
        rule: Rule,
    },
    /// Part of a decomposition that the caller allowed, since the device refused the node.
    Decomposed {
        /// The node.
        node: String,
    },
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Provenance::Native => f.write_str("native"),
            Provenance::Rewritten { rule, .. } => write!(f, "rewritten ({rule})"),
            Provenance::Decomposed { .. } => f.write_str("decomposed (allowed by the caller)"),
        }
    }
}

/// One op of a program.
#[derive(Clone, Debug)]
pub struct Step {
    /// The node's name.
    pub name: String,
    /// What it computes; every extent in it is known.
    pub op: Op,
    /// What it reads, in the op's order.
    pub inputs: Vec<OperandId>,
    /// What it writes.
    pub outputs: Vec<OperandId>,
    /// What the device promised for it.
    pub claim: Claim,
    /// Its scratch, in the arena.
    pub workspace: Range<usize>,
    /// How it came to be.
    pub provenance: Provenance,
}

/// The parts of a program, to be checked by [`Program::new`].
#[derive(Clone, Debug, Default)]
pub struct ProgramParts {
    /// The operands, indexed by [`OperandId`].
    pub operands: Vec<Operand>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The operands in the caller's buffers: inputs, then outputs, then taps.
    pub io: Vec<OperandId>,
    /// What the graph calls each of `io`: an output's name may be another than its value's. Empty: as their operands.
    pub io_names: Vec<String>,
    /// How many of `io` are inputs.
    pub input_count: usize,
    /// The arena's size.
    pub arena_bytes: usize,
    /// What every arena offset is a multiple of.
    pub alignment: usize,
}

/// A checked program: every step reads what was written, and no step writes over what is still to be read. Devices may
/// rely on it.
#[derive(Clone, Debug)]
pub struct Program {
    parts: ProgramParts,
}

impl Program {
    /// Checks the parts.
    ///
    /// # Errors
    /// [`Error::Program`] names the step and operand that break a rule.
    pub fn new(parts: ProgramParts) -> Result<Self> {
        validate(&parts)?;
        Ok(Self { parts })
    }

    /// The operands, indexed by [`OperandId`].
    pub fn operands(&self) -> &[Operand] {
        &self.parts.operands
    }

    /// The operand of that id.
    pub fn operand(&self, id: OperandId) -> &Operand {
        &self.parts.operands[id.0]
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.parts.steps
    }

    /// The operands in the caller's buffers: inputs, then outputs, then taps.
    pub fn io(&self) -> &[OperandId] {
        &self.parts.io
    }

    /// What the graph calls the input, output or tap of that number.
    pub fn io_name(&self, slot: usize) -> &str {
        match self.parts.io_names.get(slot) {
            Some(name) => name,
            None => &self.operand(self.parts.io[slot]).name,
        }
    }

    /// How many of [`Program::io`] are inputs.
    pub fn input_count(&self) -> usize {
        self.parts.input_count
    }

    /// What every arena offset is a multiple of.
    pub fn alignment(&self) -> usize {
        self.parts.alignment
    }

    /// The arena's size in bytes.
    pub fn arena_bytes(&self) -> usize {
        self.parts.arena_bytes
    }

    /// Checks that a run was given a buffer for each of [`Program::io`], large enough.
    ///
    /// # Errors
    /// [`Error::Program`] names the first that is not.
    pub fn check_buffers(&self, io: &[Buffer]) -> Result<()> {
        if io.len() != self.io().len() {
            return Err(Error::program(format!("takes {} buffers, got {}", self.io().len(), io.len())));
        }
        for (buffer, &id) in io.iter().zip(self.io()) {
            let (operand, given) = (self.operand(id), buffer.bytes());
            if given < operand.bytes() {
                let reason =
                    format!("`{}` takes {} bytes, its buffer has {given}", operand.name, operand.bytes());
                return Err(Error::program(reason));
            }
        }
        Ok(())
    }
}
