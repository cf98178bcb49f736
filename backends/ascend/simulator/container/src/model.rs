//! What a compiled model consists of.

use crate::Step;
use serde::{Deserialize, Serialize};

/// A compiled model: what it takes and gives, its weights, and what runs at each of its gears.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The graph's name.
    pub name: String,
    /// The compiler and its version.
    pub producer: String,
    /// `--soc_version`, without the simulator's own mark.
    pub soc_version: String,
    /// `--precision_mode_v2`.
    pub precision_mode: String,
    /// What is fed, in order; the extents that gears choose are -1.
    pub inputs: Vec<Port>,
    /// What is given, in order, likewise.
    pub outputs: Vec<Port>,
    /// What of the inputs' extents is chosen when the model runs.
    pub dynamic: Dynamic,
    /// The weights and other constants, in the order of their bytes in the file.
    pub constants: Vec<Constant>,
    /// One where nothing is dynamic, else one per set of extents, the largest last.
    pub gears: Vec<Gear>,
}

/// An input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name in the graph.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// Its extents, -1 where a gear chooses.
    pub dims: Vec<i64>,
}

/// Which of ATC's flags chose the gears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dynamic {
    /// None: every extent is fixed.
    #[default]
    No,
    /// `--dynamic_batch_size`.
    Batch,
    /// `--dynamic_dims`.
    Dims,
}

/// Element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// 64-bit integers.
    I64,
    /// 32-bit integers.
    I32,
    /// Bytes of 0 and 1.
    Bool,
}

impl DType {
    /// Bytes of an element.
    pub fn size(self) -> u64 {
        match self {
            DType::Bool => 1,
            DType::F16 => 2,
            DType::F32 | DType::I32 => 4,
            DType::I64 => 8,
        }
    }
}

/// A constant's bytes, little-endian and row-major.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constant {
    /// Its name in the graph, or what it was made of.
    pub name: String,
    /// Where it begins among all constants' bytes; a multiple of 64.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}

/// What runs at one set of extents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gear {
    /// What `aclmdlSetDynamicBatchSize` or `aclmdlSetInputDynamicDims` name it by: the batch, or the extents of all inputs one
    /// after another. Empty where nothing is dynamic.
    pub key: Vec<i64>,
    /// The inputs' extents.
    pub inputs: Vec<Vec<i64>>,
    /// The outputs' extents.
    pub outputs: Vec<Vec<i64>>,
    /// Bytes of work memory.
    pub arena: u64,
    /// Memory that steps read and write, by number.
    pub values: Vec<Value>,
    /// What is computed, in order.
    pub steps: Vec<Step>,
}

/// A piece of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// The graph's name for what is in it.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// How many elements it has.
    pub elements: u64,
    /// Where it is.
    pub place: Place,
}

impl Value {
    /// How long it is; `None` where that is more than 64 bits hold.
    pub fn bytes(&self) -> Option<u64> {
        self.elements.checked_mul(self.dtype.size())
    }
}

/// Where a value's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// The input of that number.
    Input(usize),
    /// The output of that number.
    Output(usize),
    /// The constant of that number.
    Constant(usize),
    /// Work memory, from that byte on; a multiple of 64.
    Arena(u64),
}
