//! Add an op that Lockstep does not know: its shape rule, its decomposition, its reference, and a CPU kernel.
//!
//! `cargo run -p lockstep-examples --example custom_op`

use lockstep_cpu::{CpuBackend, CustomKernel, TensorView, TensorViewMut};
use lockstep_runtime::graph::{
    self, BinaryOp, Custom, CustomOp, DType, GraphBuilder, TensorType, UnaryOp, ValueId,
};
use lockstep_runtime::{Backend, Fallback, Session, tensor::HostTensor};
use std::error::Error;
use std::sync::Arc;

/// `x * sigmoid(x)`.
#[derive(Debug)]
struct Swish;

impl CustomOp for Swish {
    fn name(&self) -> &str {
        "example.swish"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        match inputs {
            [x] if x.dtype.is_float() => Ok(vec![x.clone()]),
            _ => Err("takes one float tensor".into()),
        }
    }

    fn decompose(&self, builder: &mut GraphBuilder, inputs: &[ValueId]) -> graph::Result<Vec<ValueId>> {
        let gate = builder.unary("gate", UnaryOp::Sigmoid, inputs[0])?;
        Ok(vec![builder.binary("product", BinaryOp::Mul, inputs[0], gate)?])
    }

    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>, String> {
        let y: Vec<f64> = inputs[0].to_f64().iter().map(|x| x / (1.0 + (-x).exp())).collect();
        Ok(vec![HostTensor::from_slice(inputs[0].shape(), &y).map_err(|e| e.to_string())?])
    }
}

/// The same as one pass over f32.
#[derive(Debug)]
struct SwishKernel;

impl CustomKernel for SwishKernel {
    fn name(&self) -> &str {
        "example.swish"
    }

    fn supports(&self, inputs: &[DType]) -> bool {
        inputs == [DType::F32]
    }

    fn run(
        &self,
        _: &Custom,
        inputs: &[TensorView<'_>],
        outputs: &mut [TensorViewMut<'_>],
    ) -> Result<(), String> {
        let x = inputs[0].elements::<f32>().ok_or("takes f32")?;
        let y = outputs[0].elements::<f32>().ok_or("gives f32")?;
        for (y, x) in y.iter_mut().zip(x) {
            *y = x / (1.0 + (-x).exp());
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", TensorType::fixed(DType::F32, &[3]))?;
    let y = builder.custom("swish", Arc::new(Swish), &[x])?;
    builder.output("y", y[0])?;
    let graph = builder.finish()?;
    let x = HostTensor::from_slice(&[3], &[-1f32, 0., 2.])?;

    // Without a kernel the device refuses the op, unless its decomposition is allowed.
    let plain = CpuBackend::default().open(0)?;
    let refused = Session::builder(graph.clone()).device(plain.clone()).build();
    let decomposed = Session::builder(graph.clone()).device(plain).fallback(Fallback::Decompose).build()?;
    let kernel = CpuBackend::builder().custom_kernel(Arc::new(SwishKernel)).build()?;
    let native = Session::builder(graph).device(kernel.open(0)?).build()?;
    #[allow(clippy::print_stdout)]
    {
        println!("without a kernel: {}", refused.err().map(|e| e.to_string()).unwrap_or_default());
        println!("decomposed: {:?}", decomposed.run(&[("x", &x)])?.output("y")?.as_slice::<f32>()?);
        println!("with a kernel: {:?}", native.run(&[("x", &x)])?.output("y")?.as_slice::<f32>()?);
    }
    Ok(())
}
