//! One op as a graph of its own: how a single kernel of a device is run, apart from everything around it.

use lockstep_runtime::graph::tensor::HostTensor;
use lockstep_runtime::graph::{Constant, DType, Graph, GraphBuilder, Op, TensorType};
use lockstep_runtime::{Device, Fallback, Packing, Result, Session};
use std::sync::Arc;

/// What an op is applied to.
#[derive(Clone, Debug)]
pub enum Argument {
    /// Handed to the run. The copy is cheap: tensors share their bytes.
    Given(HostTensor),
    /// Part of the graph; devices prepare it once and know it again by its key.
    Constant(Constant),
}

impl Argument {
    /// Its elements.
    pub fn tensor(&self) -> &HostTensor {
        match self {
            Argument::Given(tensor) => tensor,
            Argument::Constant(constant) => constant.tensor(),
        }
    }

    /// The same elements in another dtype; as it is where it has that dtype already.
    ///
    /// # Errors
    /// Those of the cast.
    pub fn cast(&self, dtype: DType) -> Result<Argument> {
        if self.tensor().dtype() == dtype {
            return Ok(self.clone());
        }
        Ok(Argument::Given(self.tensor().cast(dtype)?))
    }
}

/// The graph of one node called `name`, with inputs `0`, `1`, .. and outputs likewise.
///
/// # Errors
/// Arguments that the op cannot take.
pub fn graph_of(name: &str, op: &Op, arguments: &[Argument]) -> Result<Graph> {
    let graph = || {
        let mut b = GraphBuilder::new();
        let mut ids = Vec::new();
        for (at, argument) in arguments.iter().enumerate() {
            ids.push(match argument {
                Argument::Given(x) => b.input(&at.to_string(), TensorType::fixed(x.dtype(), x.shape()))?,
                Argument::Constant(constant) => b.shared_constant(&at.to_string(), constant.clone()),
            });
        }
        for (at, id) in b.node(name, op.clone(), &ids)?.into_iter().enumerate() {
            b.output(&at.to_string(), id)?;
        }
        b.finish()
    };
    graph().map_err(|error| lockstep_runtime::hal::Error::from(error).into())
}

/// Runs one op on a device and gives its outputs.
///
/// # Errors
/// What the device says: that it refuses the op, values that the op cannot take, or a fault.
pub fn run(
    device: &Arc<dyn Device>,
    fallback: Fallback,
    name: &str,
    op: &Op,
    arguments: &[Argument],
) -> Result<Vec<HostTensor>> {
    let session = Session::builder(graph_of(name, op, arguments)?)
        .device(device.clone())
        .packing(Packing::Off)
        .fuse(false)
        .fallback(fallback)
        .build()?;
    let names: Vec<String> = (0..arguments.len()).map(|at| at.to_string()).collect();
    let given = names.iter().zip(arguments).filter_map(|(name, argument)| match argument {
        Argument::Given(tensor) => Some((name.as_str(), tensor)),
        Argument::Constant(_) => None,
    });
    let result = session.run(&given.collect::<Vec<_>>())?;
    Ok(result.outputs().iter().map(|(_, tensor)| tensor.clone()).collect())
}

/// Whether operand `at` of an op is a weight or table, which ops take in the dtype that it is stored in.
pub fn is_weight(op: &Op, at: usize) -> bool {
    match op {
        Op::Linear(parts) => at == 1 || (parts.bias && at == 2),
        Op::LayerNorm { .. } => at > 0,
        Op::AddLayerNorm { .. } => at > 1,
        Op::EmbedLayerNorm { .. } => true,
        Op::Gather { .. } => at == 0,
        _ => false,
    }
}

/// The op and its arguments with every float but weights in `dtype`: the same computation at another precision. A table that
/// rows are gathered from gives what it stores, so what is gathered is cast by whoever reads it.
///
/// # Errors
/// Those of casts.
pub fn in_dtype(op: &Op, arguments: &[Argument], dtype: DType) -> Result<(Op, Vec<Argument>)> {
    let op_in_dtype = match op {
        Op::Cast { to } if to.is_float() => Op::Cast { to: dtype },
        Op::EmbedLayerNorm { epsilon, .. } => Op::EmbedLayerNorm { dtype, epsilon: *epsilon },
        Op::Fill { dtype: stored, value, shape } if stored.is_float() => {
            // The fill's own rounding is part of what the graph means.
            let value = HostTensor::from_f64(*stored, &[1], &[*value])?.to_f64()[0];
            Op::Fill { dtype, value, shape: shape.clone() }
        }
        other => other.clone(),
    };
    let arguments = arguments.iter().enumerate().map(|(at, argument)| {
        let keeps = is_weight(op, at) || !argument.tensor().dtype().is_float();
        if keeps { Ok(argument.clone()) } else { argument.cast(dtype) }
    });
    Ok((op_in_dtype, arguments.collect::<Result<_>>()?))
}
