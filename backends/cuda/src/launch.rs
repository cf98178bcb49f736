//! What a program becomes: kernel launches and copies in order, as plain data. Everything but addresses is decided
//! when a program is compiled; a run, on a GPU or emulated, does nothing else than what stands here.

use std::fmt;
use std::ops::Range;

/// Where an argument's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// So many bytes into the program's arena.
    Arena(usize),
    /// So many bytes into the caller's buffer of that number.
    Io {
        /// Which buffer.
        slot: usize,
        /// The offset in bytes.
        at: usize,
    },
    /// So many bytes into the constant of that number.
    Constant {
        /// Which of the constants that the list was made with.
        index: usize,
        /// The offset in bytes.
        at: usize,
    },
    /// The finding of a step that checks values, by number.
    Finding(usize),
    /// A null pointer.
    Null,
}

impl Place {
    /// The place so many bytes further on.
    pub fn plus(self, bytes: usize) -> Self {
        match self {
            Place::Arena(at) => Place::Arena(at + bytes),
            Place::Io { slot, at } => Place::Io { slot, at: at + bytes },
            Place::Constant { index, at } => Place::Constant { index, at: at + bytes },
            other => other,
        }
    }
}

/// The most dimensions that a [`Walk`] has.
pub const WALK_RANK: usize = 8;

/// How a kernel walks operands whose elements do not lie side by side; `Walk` of `walk.cuh`, byte for byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Walk {
    /// How many dimensions, at least 1.
    pub rank: u32,
    /// Nothing; keeps the strides aligned.
    pub padding: u32,
    /// Their extents, the innermost last.
    pub extents: [u32; WALK_RANK],
    /// The stride in elements of operands 0, 1 and 2 along each.
    pub strides: [[i64; WALK_RANK]; 3],
}

impl Walk {
    /// Its bytes, as a kernel takes it.
    pub fn bytes(&self) -> Vec<u8> {
        let words = [self.rank, self.padding].into_iter().chain(self.extents);
        let strides = self.strides.iter().flatten().flat_map(|stride| stride.to_ne_bytes());
        words.flat_map(u32::to_ne_bytes).chain(strides).collect()
    }
}

/// An argument of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A pointer.
    Pointer(Place),
    /// A 32-bit number.
    U32(u32),
    /// A 64-bit number.
    I64(i64),
    /// An f32.
    F32(f32),
    /// Extents and strides.
    Walk(Box<Walk>),
}

/// A kernel with its grid and arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The kernel's name.
    pub kernel: String,
    /// Blocks along x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: u32,
    /// Bytes of dynamic shared memory.
    pub shared_bytes: u32,
    /// What it is given, in order.
    pub arguments: Vec<Argument>,
}

/// One thing for the device to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Run a kernel.
    Launch(Launch),
    /// Copy bytes on the device.
    Copy {
        /// From here.
        from: Place,
        /// To there.
        to: Place,
        /// How many.
        bytes: usize,
    },
    /// Make bytes zero.
    Zero {
        /// From here on.
        at: Place,
        /// How many.
        bytes: usize,
    },
}

/// The commands of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepCommands {
    /// The node's name.
    pub node: String,
    /// Its op.
    pub op: String,
    /// Which of [`LaunchList::commands`].
    pub commands: Range<usize>,
}

/// What a finding is about, to say it in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// An index outside `0..rows`.
    Index {
        /// The rows there are.
        rows: usize,
    },
    /// Ends of sequences that do not ascend to the number of tokens.
    Ends {
        /// How many tokens there are.
        tokens: usize,
    },
    /// A divisor of 0.
    Divisor,
    /// An exponent that is negative or too large.
    Exponent,
}

impl Check {
    /// What is wrong with `value` at `position`, and what is allowed.
    pub fn reason(&self, position: u64, value: i64) -> String {
        match self {
            Check::Index { rows } => {
                format!("index {value} at position {position} is not in 0..{rows}")
            }
            Check::Ends { tokens } => format!(
                "the sequence end {value} at position {position} is wrong; ends must ascend to the {tokens} tokens"
            ),
            Check::Divisor => format!("the integer divisor at position {position} is 0"),
            Check::Exponent => {
                format!("the integer exponent {value} at position {position} is not in 0..=4294967295")
            }
        }
    }
}

/// A check that a step makes when it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingOf {
    /// The node's name.
    pub node: String,
    /// What is checked.
    pub check: Check,
}

/// A compiled program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaunchList {
    /// What to do, in order.
    pub commands: Vec<Command>,
    /// Which commands belong to which step, in order.
    pub steps: Vec<StepCommands>,
    /// The checks, by number.
    pub findings: Vec<FindingOf>,
}

/// A line per command: what runs, over how many blocks and threads.
impl fmt::Display for LaunchList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            for command in &self.commands[step.commands.clone()] {
                write!(f, "{} ({}): ", step.node, step.op)?;
                match command {
                    Command::Launch(launch) => {
                        let [x, y, z] = launch.grid;
                        writeln!(f, "{} <<<{x} x {y} x {z}, {}>>>", launch.kernel, launch.block)?;
                    }
                    Command::Copy { bytes, .. } => writeln!(f, "copy {bytes} bytes")?,
                    Command::Zero { bytes, .. } => writeln!(f, "zero {bytes} bytes")?,
                }
            }
        }
        Ok(())
    }
}

/// Bytes of a finding on the device: the first offending position (all ones: none), and the value there.
pub const FINDING_BYTES: usize = 16;
