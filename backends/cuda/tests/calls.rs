//! What the engine asks of a driver, in which order, and what becomes of the driver's refusals: on a stub, which runs no kernel.
//! Of results nothing is said here; the emulator says that.
#![cfg(target_os = "linux")]

mod stub;

use lockstep_cuda::CudaBackend;
use lockstep_runtime::graph::{DType, GraphBuilder, HostTensor, Linear, Op, TensorType};
use lockstep_runtime::{Backend, Device, Error, Session};
use std::sync::Arc;

const GPU: [(&str, &str); 3] = [("STUB_VERSION", "13000"), ("STUB_COUNT", "1"), ("STUB_CAPABILITY", "80")];

fn run(variables: &[(&str, &str)]) -> (String, Vec<String>) {
    stub::run("three_runs", &[&GPU, variables].concat())
}

/// A product named `product`, and a LayerNorm named `norm`.
fn session(device: Arc<dyn Device>) -> Result<Session, Error> {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(DType::F32, &[3, 8])).unwrap();
    let ones =
        |shape: &[usize]| HostTensor::from_slice(shape, &vec![1.0_f32; shape.iter().product()]).unwrap();
    let weight = b.constant("weight", ones(&[8, 8]));
    let (gamma, beta) = (b.constant("gamma", ones(&[8])), b.constant("beta", ones(&[8])));
    let linear = Op::Linear(Linear { bias: false, activation: None, residual: false });
    let product = b.single("product", linear, &[x, weight]).unwrap();
    let norm = b.single("norm", Op::LayerNorm { epsilon: 1e-5 }, &[product, gamma, beta]).unwrap();
    b.output("y", norm).unwrap();
    Session::builder(b.finish().unwrap()).device(device).build()
}

#[test]
#[allow(clippy::print_stdout, clippy::print_stderr)] // Read by the process that started this one.
fn three_runs() {
    if !stub::is_met() {
        return;
    }
    let device = match CudaBackend::new().open(0) {
        Ok(device) => device,
        Err(error) => return println!("said: {error}"),
    };
    let session = session(device).unwrap();
    let x = HostTensor::zeros(DType::F32, &[3, 8]).unwrap();
    for number in 1..=3 {
        eprintln!("call: run {number}");
        match session.run(&[("x", &x)]) {
            Ok(result) => println!("said: {:?}", result.device_time()),
            Err(error) => println!("said: {error}"),
        }
    }
    eprintln!("call: end");
    // On a thread that has called nothing: what is destroyed needs a context all the same.
    std::thread::spawn(move || drop(session)).join().unwrap();
}

/// Two products of one kernel, of which the second takes less shared memory than the first.
#[test]
#[allow(clippy::print_stdout)] // Read by the process that started this one.
fn a_kernel_keeps_the_shared_memory_that_another_launch_of_it_needs() {
    if !stub::is_met() {
        let test = "a_kernel_keeps_the_shared_memory_that_another_launch_of_it_needs";
        let (said, calls) = stub::run(test, &GPU);
        assert_eq!(said, "true\ntrue\ntrue", "{calls:#?}");
        return;
    }
    let mut b = GraphBuilder::new();
    let mut y = b.input("x", TensorType::fixed(DType::F32, &[3, 1024])).unwrap();
    for (name, [n, k]) in [("deep", [768, 1024]), ("shallow", [8, 768])] {
        let weight = HostTensor::from_slice(&[n, k], &vec![1.0_f32; n * k]).unwrap();
        let weight = b.constant(name, weight);
        let linear = Op::Linear(Linear { bias: false, activation: None, residual: false });
        y = b.single(name, linear, &[y, weight]).unwrap();
    }
    b.output("y", y).unwrap();
    let device = CudaBackend::new().open(0).unwrap();
    let session = Session::builder(b.finish().unwrap()).device(device).build().unwrap();
    let x = HostTensor::zeros(DType::F32, &[3, 1024]).unwrap();
    for _ in 0..3 {
        println!("said: {}", session.run(&[("x", &x)]).is_ok());
    }
}

/// The calls between two marks.
fn between<'a>(calls: &'a [String], from: &str, to: &str) -> Vec<&'a str> {
    let inner = calls.iter().skip_while(|call| *call != from).skip(1).take_while(|call| *call != to);
    inner.map(String::as_str).collect()
}

#[test]
fn the_first_run_waits_for_each_node_the_second_is_captured_and_the_third_is_one_launch() {
    let (said, calls) = run(&[]);
    assert_eq!(said, "None\nSome(1.5ms)\nSome(1.5ms)", "{calls:#?}");
    let first = between(&calls, "run 1", "run 2");
    let ran: Vec<&str> = first.into_iter().skip_while(|call| !call.starts_with("cuMemcpyAsync")).collect();
    let wait = "cuStreamSynchronize";
    let wanted = [
        "cuMemcpyAsync",
        wait,
        "cuLaunchKernel product_16x32_abt",
        wait,
        "cuLaunchKernel layer_norm_f32",
        wait,
        "cuMemcpyAsync",
        wait,
        "cuEventRecord",
        "cuEventSynchronize",
    ];
    assert_eq!(ran, wanted);
    let wanted = [
        "cuStreamBeginCapture",
        "cuMemcpyAsync (captured)",
        "cuLaunchKernel product_16x32_abt (captured)",
        "cuLaunchKernel layer_norm_f32 (captured)",
        "cuMemcpyAsync (captured)",
        "cuStreamEndCapture",
        "cuGraphInstantiate",
        "cuGraphDestroy",
        "cuGraphUpload",
        "cuEventRecord",
        "cuGraphLaunch",
        "cuEventRecord",
        "cuEventRecord",
        "cuEventSynchronize",
    ];
    assert_eq!(between(&calls, "run 2", "run 3"), wanted);
    assert_eq!(
        between(&calls, "run 3", "end"),
        ["cuEventRecord", "cuGraphLaunch", "cuEventRecord", "cuEventRecord", "cuEventSynchronize"]
    );
    // Two modules were needed, and everything was given back.
    let count = |name: &str| calls.iter().filter(|call| *call == name).count();
    assert_eq!([count("cuModuleLoadData"), count("cuModuleUnload")], [2, 2]);
    assert_eq!([count("cuGraphExecDestroy"), count("cuEventDestroy"), count("cuStreamDestroy")], [1, 3, 1]);
}

#[test]
fn without_graphs_every_run_waits_for_each_node() {
    let (said, calls) = run(&[("LOCKSTEP_CUDA_GRAPH", "0")]);
    assert_eq!(said, "None\nNone\nNone");
    assert_eq!(calls.iter().filter(|call| *call == "cuLaunchKernel layer_norm_f32").count(), 3);
    assert!(!calls.iter().any(|call| call.contains("Graph") || call.contains("Capture")), "{calls:#?}");
}

#[test]
fn a_kernel_that_faults_names_node_kernel_and_the_driver_s_words_and_the_device_stays_lost() {
    let (said, _) = run(&[("STUB_FAULTS", "layer_norm_f32")]);
    let lines: Vec<&str> = said.lines().collect();
    let first = lines[0];
    assert!(first.contains("norm") && first.contains("layer_norm_f32"), "{first}");
    assert!(first.contains("unspecified launch failure") && first.contains("719"), "{first}");
    assert!(lines[1..].iter().all(|line| line.contains("lost (layer_norm_f32 at norm")), "{said}");
}

/// PTX that the driver refuses, or a cache of its own that is damaged, is the same to us.
#[test]
fn kernels_that_do_not_load_name_their_source_and_the_driver_s_cache() {
    let (said, _) = run(&[("STUB_LOAD", "218")]);
    let wanted = ["the kernels of product", "a PTX JIT compilation failed", "CUDA_CACHE_DISABLE=1"];
    assert!(wanted.iter().all(|part| said.contains(part)), "{said}");
}

#[test]
fn a_full_gpu_says_what_was_asked_for_and_what_is_free() {
    let memory = 100;
    let (said, _) = run(&[("STUB_MEMORY", &memory.to_string())]);
    assert!(said.contains("out of memory: 256 bytes requested, 100 free"), "{said}");
}
