//! The question "can you run this?" and its three answers.

use lockstep_graph::{DType, Op, TensorType};
use std::fmt;

/// An op with the types it would run on. Extents may still be symbolic while the planner chooses fusions; before a
/// program is compiled the question is asked again with every extent known.
#[derive(Clone, Copy, Debug)]
pub struct OpQuery<'a> {
    /// The op.
    pub op: &'a Op,
    /// Its inputs' types.
    pub inputs: &'a [&'a TensorType],
    /// Its outputs' types.
    pub outputs: &'a [TensorType],
}

/// What a device promises of a step that it runs natively.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// `(input, output)` that may share memory: the device can update in place. The planner uses it when that input is
    /// read by nothing later.
    pub alias: Option<(usize, usize)>,
    /// Whether the same operands give the same bits on every run.
    pub fixed_order: bool,
    /// The dtype that sums are carried in.
    pub accumulate: DType,
    /// Scratch bytes that the step needs while it runs. Asked for with known extents.
    pub workspace: usize,
}

impl Claim {
    /// A claim of fixed order and no alias, without scratch.
    pub fn fixed(accumulate: DType) -> Self {
        Self { alias: None, fixed_order: true, accumulate, workspace: 0 }
    }

    /// The same with `output` allowed to overwrite `input`.
    pub fn aliasing(self, input: usize, output: usize) -> Self {
        Self { alias: Some((input, output)), ..self }
    }

    /// The same with `bytes` of scratch.
    pub fn with_workspace(self, bytes: usize) -> Self {
        Self { workspace: bytes, ..self }
    }
}

/// How the planner may change a node that a device does not run as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// By the op's decomposition into primitives.
    Decompose,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Decompose => f.write_str("decomposition"),
        }
    }
}

/// Why a device does not run an op; words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// A reason.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device's answer for one op. A pure function of the query: asking twice gives the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// By a kernel of its own.
    Native(Claim),
    /// By a rewrite that the device declares as its own way; the planner applies and records it.
    Rewrite(Rule),
    /// Not at all.
    No(Reason),
}

impl Support {
    /// A refusal in words.
    pub fn no(reason: impl Into<String>) -> Self {
        Support::No(Reason::new(reason))
    }
}
