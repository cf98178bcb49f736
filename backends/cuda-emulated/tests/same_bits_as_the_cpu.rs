//! Kernels without products give the bits of their CPU sisters: the functions of `math` have one set of coefficients and one
//! order on both, and what is summed is summed in the order of the spec. CPUs without FMA round once more and are left out.

use lockstep_cpu::{CpuBackend, Isa};
use lockstep_cuda_emulated::EmulatedCuda;
use lockstep_runtime::graph::{
    Attention, DType, GeluForm, GraphBuilder, Op, Operands, Sequences, TensorType, UnaryOp,
};
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Device, Session};
use std::sync::Arc;

/// The bits of an op's output on both devices.
fn bits(op: &Op, inputs: &[HostTensor]) -> [Vec<u8>; 2] {
    let devices: [Arc<dyn Device>; 2] =
        [CpuBackend::default().open(0).unwrap(), EmulatedCuda::new().open(0).unwrap()];
    devices.map(|device| {
        let mut builder = GraphBuilder::new();
        let names: Vec<String> = (0..inputs.len()).map(|at| format!("x{at}")).collect();
        let values: Vec<_> = (names.iter().zip(inputs))
            .map(|(name, tensor)| builder.input(name, TensorType::fixed(tensor.dtype(), tensor.shape())))
            .map(Result::unwrap)
            .collect();
        let out = builder.single("op", op.clone(), &values).unwrap();
        builder.output("out", out).unwrap();
        let session = Session::builder(builder.finish().unwrap()).device(device).build().unwrap();
        let given: Vec<(&str, &HostTensor)> = names.iter().map(String::as_str).zip(inputs).collect();
        session.run(&given).unwrap().output("out").unwrap().bytes().to_vec()
    })
}

/// Every 4099th f32 there is; NaN apart, whose bits are nobody's promise.
fn sweep() -> HostTensor {
    let values: Vec<f32> =
        (0..=u32::MAX).step_by(65_537).map(f32::from_bits).filter(|value| !value.is_nan()).collect();
    HostTensor::from_slice(&[values.len()], &values).unwrap()
}

fn random(shape: &[usize], seed: u32) -> HostTensor {
    let mut state = seed;
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 22) as f32 - 2.0
        })
        .collect();
    HostTensor::from_slice(shape, &values).unwrap()
}

#[test]
fn functions_have_the_same_bits() {
    if Isa::detect() == Isa::Portable {
        eprintln!("not run (this processor has no FMA)");
        return;
    }
    let x = sweep();
    let ops = [UnaryOp::Exp, UnaryOp::Log, UnaryOp::Erf, UnaryOp::Tanh, UnaryOp::Sigmoid, UnaryOp::Sqrt]
        .map(Op::Unary)
        .into_iter()
        .chain([Op::Gelu(GeluForm::Erf), Op::Gelu(GeluForm::Tanh)]);
    for op in ops {
        let [cpu, cuda] = bits(&op, std::slice::from_ref(&x));
        let values = |bytes: &[u8]| -> Vec<f32> {
            bytes.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect()
        };
        for ((a, b), x) in values(&cpu).iter().zip(values(&cuda)).zip(x.to_f64()) {
            assert!(a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()), "{op} of {x:e}: {a:e}, {b:e}");
        }
    }
}

#[test]
fn casts_have_the_same_bits() {
    let x = sweep();
    for to in [DType::F16, DType::Bf16, DType::I64, DType::I32, DType::Bool] {
        let [cpu, cuda] = bits(&Op::Cast { to }, std::slice::from_ref(&x));
        assert!(cpu == cuda, "{to}");
    }
}

#[test]
fn attention_has_the_same_bits() {
    if Isa::detect() == Isa::Portable {
        eprintln!("not run (this processor has no FMA)");
        return;
    }
    // Sequences of 1, 300 and 33 tokens: about a warp, and beyond a block of 256 keys.
    let (heads, hidden, ends) = (2, 128, [1_i64, 301, 334]);
    let op = Op::Attention(Attention {
        heads,
        scale: 0.125,
        operands: Operands::Merged,
        sequences: Sequences::Ends,
    });
    let inputs = [random(&[334, 3 * hidden], 7), HostTensor::from_slice(&[3], &ends).unwrap()];
    let [cpu, cuda] = bits(&op, &inputs);
    assert!(cpu == cuda);
}
