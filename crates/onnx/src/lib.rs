//! ONNX files: tensors, and graphs of this house as models that any ONNX runtime can run.
//!
//! A primitive that is one ONNX operator is written as that operator (`standard.rs`). Every other op is written as a node of
//! the domain `lockstep` that keeps the op itself, in JSON, as an attribute; the model brings a function of that name whose
//! body is the op's one decomposition into standard operators. So a runtime that has never heard of Lockstep inlines the
//! function, and Lockstep reads the very op back. No composite is written as the standard operator of its name: ONNX's
//! Softmax gives NaN for a row that is masked whole, its LayerNormalization takes weights in x's dtype only, and its
//! Attention knows no sequence ends; a pack that shows a fault must not be about such a difference.
//!
//! [`export`] writes a graph for compilers that know neither that domain nor functions, such as Huawei's ATC: in standard
//! operators alone, for any batch and length.
//!
//! Models of others are read as far as they consist of those operators; what is not is refused by name.

mod ascend;
mod attributes;
mod error;
mod export;
mod function;
pub mod messages;
mod primitives;
mod read;
mod standard;
mod tensor;
mod write;

pub use ascend::{ASCEND_OPSETS, check_ascend, lacking_on_ascend};
pub use error::{Error, Result};
pub use export::{EXPORT_OPSET, Export, Port, WEIGHTS_FILE, export};
pub use read::read_graph;
pub use tensor::{NamedTensor, read_tensor, tensor_bytes};
pub use write::graph_bytes;

/// The domain of nodes that hold an op of this house.
const DOMAIN: &str = "lockstep";

/// The version of that domain; ops of a newer one are refused.
const DOMAIN_VERSION: i64 = 1;

/// The attribute of such a node that holds the op.
const OP_ATTRIBUTE: &str = "op";

/// The version of ONNX's operators that models are written in: the first whose reductions all take their axes as an input,
/// and old enough for every runtime in use.
const OPSET: i64 = 18;

/// The version of ONNX's file format: the first that has functions.
const IR_VERSION: i64 = 8;
