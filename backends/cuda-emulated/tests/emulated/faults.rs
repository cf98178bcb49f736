//! What goes wrong on a device: each is an error that names node and kernel, and nothing else goes down with it.

use crate::edited;
use edited::library;
use lockstep_cuda_emulated::EmulatedCuda;
use lockstep_runtime::graph::{DType, GraphBuilder, Op, TensorType};
use lockstep_runtime::hal::Error as HalError;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Device, Error, Session};
use std::error::Error as _;
use std::sync::Arc;

/// `LayerNorm(x)` over rows of 8, named `norm`.
fn layer_norm(device: Arc<dyn Device>, rows: usize) -> Result<Session, Error> {
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", TensorType::fixed(DType::F32, &[rows, 8])).unwrap();
    let gamma = builder.constant("gamma", HostTensor::from_slice(&[8], &[1.0_f32; 8]).unwrap());
    let beta = builder.constant("beta", HostTensor::from_slice(&[8], &[0.0_f32; 8]).unwrap());
    let out = builder.single("norm", Op::LayerNorm { epsilon: 1e-5 }, &[x, gamma, beta]).unwrap();
    builder.output("out", out).unwrap();
    Session::builder(builder.finish().unwrap()).device(device).build()
}

fn run(session: &Session, rows: usize) -> Result<Vec<f64>, Error> {
    let x: Vec<f32> = (0..rows * 8).map(|at| (at % 5) as f32).collect();
    let x = HostTensor::from_slice(&[rows, 8], &x).unwrap();
    Ok(session.run(&[("x", &x)])?.output("out")?.to_f64())
}

/// An error with its causes, as the command prints it.
fn said(error: &Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        said += &format!(": {next}");
        cause = next.source();
    }
    said
}

#[test]
fn a_kernel_that_faults_names_its_node_and_loses_its_device_alone() {
    let folder = tempfile::tempdir().unwrap();
    let edit = ["        if (row >= rows) return;", "        if (threadIdx.x < 3) __syncthreads();"];
    let library = library(folder.path(), "layer_norm/layer_norm.cu", edit);
    // SAFETY: it was compiled just now, of the emulator and one source of ours.
    let faulty = unsafe { EmulatedCuda::new().with_kernels_of(&library) }.unwrap().open(0).unwrap();
    let healthy = EmulatedCuda::new().open(0).unwrap();
    let session = layer_norm(faulty.clone(), 4).unwrap();
    let first = said(&run(&session, 4).unwrap_err());
    assert!(
        first.contains("norm") && first.contains("layer_norm_f32") && first.contains("block 0 hangs"),
        "{first}"
    );
    let second = said(&run(&session, 4).unwrap_err());
    assert!(second.contains("the device was lost (layer_norm_f32 at norm"), "{second}");
    let another = layer_norm(faulty, 4).and_then(|session| run(&session, 4));
    assert!(said(&another.unwrap_err()).contains("lost"));
    assert!(run(&layer_norm(healthy, 4).unwrap(), 4).is_ok());
}

#[test]
fn memory_that_is_not_there_is_an_error_with_what_was_asked_and_what_is_free() {
    let device = EmulatedCuda::new().memory_bytes(64 << 10).open(0).unwrap();
    assert!(run(&layer_norm(device.clone(), 16).unwrap(), 16).is_ok());
    let error = run(&layer_norm(device.clone(), 4096).unwrap(), 4096).unwrap_err();
    let Error::Device(HalError::OutOfMemory { requested, free: Some(free), .. }) = &error else {
        panic!("{}", said(&error))
    };
    assert!(*requested >= 4096 * 8 * 4 && *free <= 64 << 10, "{}", said(&error));
    // What was allocated before the refusal is free again.
    assert!(run(&layer_norm(device, 16).unwrap(), 16).is_ok());
}

/// Programs run one after another, so that they share their scratch: many take what the largest takes.
#[test]
fn many_programs_need_the_memory_of_the_largest() {
    let device = EmulatedCuda::new().memory_bytes(96 << 10).open(0).unwrap();
    let rows: Vec<usize> = (1..=20).rev().map(|count| 40 * count).collect();
    let sessions: Vec<Session> = rows.iter().map(|&rows| layer_norm(device.clone(), rows).unwrap()).collect();
    let once = || sessions.iter().zip(&rows).map(|(session, &rows)| run(session, rows).unwrap());
    let first: Vec<Vec<f64>> = once().collect();
    assert!(once().eq(first));
}

#[test]
fn an_index_outside_its_table_names_node_position_and_value() {
    let mut builder = GraphBuilder::new();
    let table = builder.constant("table", HostTensor::from_slice(&[3, 2], &[0.0_f32; 6]).unwrap());
    let ids = builder.input("ids", TensorType::fixed(DType::I64, &[4])).unwrap();
    let out = builder.single("embed", Op::Gather { axis: 0 }, &[table, ids]).unwrap();
    builder.output("out", out).unwrap();
    let device = EmulatedCuda::new().open(0).unwrap();
    let session = Session::builder(builder.finish().unwrap()).device(device).build().unwrap();
    let run = |ids: [i64; 4]| session.run(&[("ids", &HostTensor::from_slice(&[4], &ids).unwrap())]);
    for (ids, wrong) in [([0, 1, 3, -1], "index 3 at position 2"), ([0, -7, 2, 9], "index -7 at position 1")]
    {
        let error = said(&run(ids).unwrap_err());
        assert!(error.contains("embed") && error.contains(wrong), "{error}");
    }
    // A refused run leaves the device as good as before.
    assert!(run([0, 1, 2, 2]).is_ok());
}

#[test]
fn a_kernel_that_is_not_in_the_build_is_named_when_the_program_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path(), "softmax/softmax.cu", ["#define ROWS 8", "#define ROWS 8"]);
    // SAFETY: as above.
    let device = unsafe { EmulatedCuda::new().with_kernels_of(&library) }.unwrap().open(0).unwrap();
    let error = said(&run(&layer_norm(device, 4).unwrap(), 4).unwrap_err());
    assert!(error.contains("layer_norm_f32") && error.contains("no kernel of that name"), "{error}");
}
