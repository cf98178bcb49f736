//! The time that a device measures of its own runs: handed out, and used where there is one.

use crate::devices;
use devices::ClockedDevice;
use lockstep_benches::rates::{Effort, measure};
use lockstep_cpu::CpuBackend;
use lockstep_runtime::graph::{DType, GraphBuilder, HostTensor, TensorType};
use lockstep_runtime::{Backend, Device, Session};
use std::sync::Arc;
use std::time::Duration;

fn cpu() -> Arc<dyn Device> {
    CpuBackend::builder().threads(1).build().unwrap().open(0).unwrap()
}

#[test]
fn a_run_carries_the_time_that_the_device_measured_and_no_other() {
    let time_on = |device: Arc<dyn Device>| {
        let mut b = GraphBuilder::new();
        let x = b.input("x", TensorType::fixed(DType::F32, &[2])).unwrap();
        let y = b.add("y", x, x).unwrap();
        b.output("y", y).unwrap();
        let session = Session::builder(b.finish().unwrap()).device(device).build().unwrap();
        session.run(&[("x", &HostTensor::from_slice(&[2], &[1.0f32, 2.0]).unwrap())]).unwrap().device_time()
    };
    assert_eq!(
        time_on(ClockedDevice::device(cpu(), Duration::from_millis(7))),
        Some(Duration::from_millis(7))
    );
    assert_eq!(time_on(cpu()), None);
}

/// The smallest copy has 8 MiB, read and written, and the smallest product 256 x 1024 x 256; in 1 ms each they are large
/// enough, and so are not grown.
#[test]
fn rates_are_by_the_device_s_own_clock() {
    let run = Duration::from_millis(1);
    let effort = Effort { time: run, copy: run, product: run };
    let rates = measure(&ClockedDevice::device(cpu(), run), DType::F32, effort).unwrap();
    assert!(rates.by_device);
    let is = |rate: f64, per_run: usize| (rate * 1e-3 / per_run as f64 - 1.0).abs() < 1e-12;
    assert!(is(rates.copy_bytes, 2 * (8 << 20)), "{rates:?}");
    assert!(is(rates.product_flops, 2 * 256 * 1024 * 256), "{rates:?}");
}
