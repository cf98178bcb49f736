//! Runs small graphs of fixed shapes on a device without a planner: rewrites what the device asks for, gives every value
//! its own place, compiles, runs.
#![allow(dead_code, reason = "each test file uses its part")]

use lockstep_hal::graph::{
    Constant, Dim, Graph, GraphBuilder, Node, Op, Origin, Rewriter, TensorType, decompose,
};
use lockstep_hal::tensor::{AlignedBytes, Bytes, DType, HostTensor};
use lockstep_hal::{
    Buffer, Cancel, Claim, Device, Error, Executable, Location, OpQuery, Operand, OperandId, Program,
    ProgramParts, Provenance, Result, Step, Support, Usage,
};
use std::sync::Arc;

const ALIGNMENT: usize = 64;

/// What a graph of one node gives on a device.
pub(crate) fn apply(device: &Arc<dyn Device>, op: Op, inputs: &[HostTensor]) -> Result<HostTensor> {
    run(device, &graph_of(op, inputs)?, inputs).map(|mut outputs| outputs.remove(0))
}

/// The same with the inputs from number `from` on as constants of the graph.
pub(crate) fn apply_with_constants(
    device: &Arc<dyn Device>,
    op: Op,
    inputs: &[HostTensor],
    from: usize,
) -> Result<HostTensor> {
    let mut builder = GraphBuilder::new();
    let mut ids = Vec::new();
    for (at, tensor) in inputs.iter().enumerate() {
        let name = format!("input{at}");
        ids.push(match at < from {
            true => builder.input(&name, TensorType::fixed(tensor.dtype(), tensor.shape()))?,
            false => builder.shared_constant(&name, Constant::new(tensor.clone())),
        });
    }
    let outputs = builder.node("node", op, &ids)?;
    builder.output("out", outputs[0])?;
    run(device, &builder.finish()?, &inputs[..from]).map(|mut outputs| outputs.remove(0))
}

/// A graph of one node, called `node`, on inputs of those types.
pub(crate) fn graph_of(op: Op, inputs: &[HostTensor]) -> Result<Graph> {
    let mut builder = GraphBuilder::new();
    let mut ids = Vec::new();
    for (at, tensor) in inputs.iter().enumerate() {
        ids.push(builder.input(&format!("input{at}"), TensorType::fixed(tensor.dtype(), tensor.shape()))?);
    }
    for (at, id) in builder.node("node", op, &ids)?.into_iter().enumerate() {
        builder.output(&format!("out{at}"), id)?;
    }
    Ok(builder.finish()?)
}

/// A compiled graph with its buffers, inputs first, written.
pub(crate) struct Compiled {
    device: Arc<dyn Device>,
    program: Arc<Program>,
    buffers: Vec<Buffer>,
    executable: Box<dyn Executable>,
}

impl Compiled {
    /// Compiles a graph whose outputs are written by nodes; inputs in the graph's order.
    pub(crate) fn new(device: &Arc<dyn Device>, graph: &Graph, inputs: &[HostTensor]) -> Result<Self> {
        let program = Arc::new(lowered(&rewritten(device, graph)?)?);
        let mut buffers = Vec::new();
        for (slot, &id) in program.io().iter().enumerate() {
            let usage = if slot < inputs.len() { Usage::Input } else { Usage::Output };
            buffers.push(device.alloc(program.operand(id).bytes(), usage)?);
        }
        for (buffer, tensor) in buffers.iter().zip(inputs) {
            device.write(buffer, 0, tensor.bytes())?;
        }
        let executable = device.clone().compile(program.clone())?;
        Ok(Self { device: device.clone(), program, buffers, executable })
    }

    /// Runs it once and reads the outputs.
    pub(crate) fn run(&mut self, cancel: &Cancel) -> Result<Vec<HostTensor>> {
        self.executable.submit(&self.buffers, cancel)?;
        self.executable.wait()?;
        let io = self.buffers.iter().zip(self.program.io()).skip(self.program.input_count());
        io.map(|(buffer, &id)| {
            let operand = self.program.operand(id);
            let mut bytes = AlignedBytes::zeroed(operand.bytes());
            self.device.read(buffer, 0, bytes.as_mut_slice())?;
            Ok(HostTensor::from_bytes(operand.dtype, &operand.shape, Bytes::owned(bytes))?)
        })
        .collect()
    }
}

/// Compiles and runs a graph.
pub(crate) fn run(device: &Arc<dyn Device>, graph: &Graph, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
    Compiled::new(device, graph, inputs)?.run(&Cancel::new())
}

/// Applies the rewrites that the device declares until none is left; what it refuses stays and fails at compile.
fn rewritten(device: &Arc<dyn Device>, graph: &Graph) -> Result<Graph> {
    let asks = |graph: &Graph, node: &Node| {
        let inputs: Vec<&TensorType> = node.inputs.iter().map(|&id| &graph.value(id).ty).collect();
        let outputs: Vec<TensorType> = node.outputs.iter().map(|&id| graph.value(id).ty.clone()).collect();
        matches!(
            device.support(&OpQuery { op: &node.op, inputs: &inputs, outputs: &outputs }),
            Support::Rewrite(_)
        )
    };
    let mut graph = graph.clone();
    while graph.nodes().iter().any(|node| asks(&graph, node)) {
        let mut rewriter = Rewriter::new(&graph)?;
        for node in graph.nodes() {
            if !asks(&graph, node) {
                rewriter.copy(node)?;
                continue;
            }
            let inputs = rewriter.values(&node.inputs)?;
            let outputs = rewriter.builder.scoped(&node.name, |b| decompose(&node.op, b, &inputs))?;
            let outputs = outputs.ok_or_else(|| Error::program(format!("{} is a primitive", node.op)))?;
            node.outputs.iter().zip(outputs).for_each(|(&old, new)| rewriter.replace(old, new));
        }
        graph = rewriter.finish()?;
    }
    Ok(graph)
}

/// A program with a place of its own for every value.
fn lowered(graph: &Graph) -> Result<Program> {
    let mut parts =
        ProgramParts { alignment: ALIGNMENT, input_count: graph.inputs().len(), ..Default::default() };
    parts.io = graph
        .inputs()
        .iter()
        .chain(graph.outputs().iter().map(|(_, id)| id))
        .map(|id| OperandId(id.0 as usize))
        .collect();
    for (id, value) in graph.values() {
        let shape = value.ty.fixed_shape().ok_or_else(|| Error::program("these graphs have fixed shapes"))?;
        let slot = parts.io.iter().position(|io| io.0 == id.0 as usize);
        let location = match (&value.origin, slot) {
            (Origin::Constant(constant), _) => Location::Constant(constant.clone()),
            (_, Some(slot)) => Location::Io(slot),
            (_, None) => {
                let start = parts.arena_bytes;
                let end = start + shape.iter().product::<usize>() * value.ty.dtype.size();
                parts.arena_bytes = end.next_multiple_of(ALIGNMENT);
                Location::Arena(start..end)
            }
        };
        parts.operands.push(Operand {
            name: value.name.clone(),
            dtype: value.ty.dtype,
            shape,
            location,
            view_of: None,
        });
    }
    for node in graph.nodes() {
        let ids =
            |ids: &[lockstep_hal::graph::ValueId]| ids.iter().map(|id| OperandId(id.0 as usize)).collect();
        parts.steps.push(Step {
            name: node.name.clone(),
            op: node.op.clone(),
            inputs: ids(&node.inputs),
            outputs: ids(&node.outputs),
            claim: Claim::fixed(DType::F64),
            workspace: 0..0,
            provenance: Provenance::Native,
        });
    }
    Program::new(parts)
}

/// Extents without symbols.
pub(crate) fn dims(extents: &[usize]) -> Vec<Dim> {
    extents.iter().map(|&extent| Dim::from(extent)).collect()
}

/// An f64 tensor.
pub(crate) fn floats(shape: &[usize], values: &[f64]) -> HostTensor {
    HostTensor::from_slice(shape, values).expect("as many values as the shape holds")
}

/// An i64 tensor.
pub(crate) fn integers(shape: &[usize], values: &[i64]) -> HostTensor {
    HostTensor::from_slice(shape, values).expect("as many values as the shape holds")
}

/// A bool tensor.
pub(crate) fn truths(shape: &[usize], values: &[bool]) -> HostTensor {
    HostTensor::from_bools(shape, values).expect("as many values as the shape holds")
}

/// Reproducible numbers (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between -2 and 2.
    pub(crate) fn value(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 51) as f64 - 2.0
    }

    /// An f64 tensor of such values.
    pub(crate) fn tensor(&mut self, shape: &[usize]) -> HostTensor {
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| self.value()).collect();
        floats(shape, &values)
    }
}

/// Asserts that two lists agree within `bound`, relative to `scale` or to the value where that is larger; NaN agrees
/// with NaN, infinities with themselves.
pub(crate) fn assert_close(what: &str, actual: &[f64], expected: &[f64], bound: f64, scale: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}: count");
    for (at, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let close = a == e || (a.is_nan() && e.is_nan()) || (a - e).abs() <= bound * e.abs().max(scale);
        assert!(close, "{what}: element {at} is {a}, expected {e}");
    }
}
