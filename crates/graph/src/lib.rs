//! The intermediate representation: what a model computes, independent of where.
//!
//! A [`Graph`] is functional (SSA): every value is written once, by one node, and nothing is updated in place; whether
//! two values may share memory is for the planner and the device. Extents may be symbolic ([`Dim`]). The [`Op`] enum is
//! closed, so that every pass and backend matches it exhaustively; [`Op::Custom`] is the one way out. Every composite
//! op has exactly one [decomposition](decompose) into primitives, which is its fallback, its oracle and its fusion test.

mod bind;
mod build;
mod cost;
mod custom;
mod decompose;
mod dot;
mod error;
mod file;
mod graph;
mod infer;
mod op;
mod rewrite;

pub use build::GraphBuilder;
pub use cost::Cost;
pub use custom::{Custom, CustomOp};
pub use decompose::decompose;
pub use error::{Error, Result};
pub use file::CustomOps;
pub use graph::{Constant, ConstantKey, Graph, Node, NodeId, Origin, TensorType, Value, ValueId};
pub use infer::infer;
pub use lockstep_tensor as tensor;
pub use lockstep_tensor::{DType, Dim, HostTensor, Symbol, SymbolValues};
pub use op::{
    Activation, Attention, BinaryOp, CompareOp, GeluForm, Linear, Op, Operands, PoolKind, ReduceOp,
    Sequences, UnaryOp,
};
pub use rewrite::Rewriter;
