//! Asking a device about nodes.

use lockstep_hal::graph::{Graph, Node, Op, TensorType, infer};
use lockstep_hal::{Device, OpQuery, Support};

/// The device's answer for a node of a graph.
pub(crate) fn support_of(device: &dyn Device, graph: &Graph, node: &Node) -> Support {
    let inputs: Vec<&TensorType> = node.inputs.iter().map(|&id| &graph.value(id).ty).collect();
    let outputs: Vec<TensorType> = node.outputs.iter().map(|&id| graph.value(id).ty.clone()).collect();
    device.support(&OpQuery { op: &node.op, inputs: &inputs, outputs: &outputs })
}

/// Whether the device would run `op` on such inputs by a kernel of its own.
pub(crate) fn is_native(device: &dyn Device, op: &Op, inputs: &[&TensorType]) -> bool {
    infer("", op, inputs).is_ok_and(|outputs| {
        matches!(device.support(&OpQuery { op, inputs, outputs: &outputs }), Support::Native(_))
    })
}
