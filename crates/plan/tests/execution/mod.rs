//! Runs prepared graphs of fixed extents, without a session.
#![allow(dead_code, unreachable_pub, missing_docs)] // Each test binary uses its own part.

use lockstep_cpu::CpuBackend;
use lockstep_hal::graph::{Graph, HostTensor, SymbolValues};
use lockstep_hal::tensor::{AlignedBytes, Bytes};
use lockstep_hal::{Backend, Cancel, Device, Usage};
use lockstep_plan::{BoundProgram, PlanOptions, Prepared};
use lockstep_reference::ReferenceBackend;
use std::sync::Arc;

pub fn cpu() -> Arc<dyn Device> {
    CpuBackend::default().open(0).expect("the processor")
}

pub fn reference() -> Arc<dyn Device> {
    ReferenceBackend::new().open(0).expect("the reference")
}

pub fn prepared(graph: &Graph, device: Arc<dyn Device>, options: PlanOptions) -> Prepared {
    Prepared::new(graph, device, options).expect("the device runs the graph")
}

/// The program that gives every output and these checkpoints.
pub fn bound(prepared: &Prepared, taps: &[&str]) -> BoundProgram {
    let outputs: Vec<&str> = prepared.graph().outputs().iter().map(|(name, _)| name.as_str()).collect();
    prepared.bind(&SymbolValues::new(), &outputs, taps).expect("every extent is fixed")
}

/// Outputs, then taps.
pub fn run(prepared: &Prepared, inputs: &[(String, HostTensor)], taps: &[&str]) -> Vec<HostTensor> {
    let device = prepared.device();
    let bound = bound(prepared, taps);
    let buffers: Vec<_> = (bound.program.io().iter())
        .map(|&id| device.alloc(bound.program.operand(id).bytes(), Usage::Input).expect("memory"))
        .collect();
    for (name, buffer) in bound.inputs.iter().zip(&buffers) {
        let (_, tensor) = inputs.iter().find(|(given, _)| given == name).expect("every input is given");
        device.write(buffer, 0, tensor.bytes()).expect("it fits");
    }
    let mut executable = device.clone().compile(bound.program.clone()).expect("it compiles");
    executable.submit(&buffers, &Cancel::new()).and_then(|()| executable.wait()).expect("it runs");
    (bound.outputs.iter().chain(&bound.taps).zip(&buffers[bound.inputs.len()..]))
        .map(|((_, ty), buffer)| {
            let mut bytes = AlignedBytes::zeroed(buffer.bytes());
            device.read(buffer, 0, bytes.as_mut_slice()).expect("it was written");
            let shape = ty.fixed_shape().expect("every extent is fixed");
            HostTensor::from_bytes(ty.dtype, &shape, Bytes::owned(bytes)).expect("of its type")
        })
        .collect()
}
