//! Kernels without tensor cores give the bits of their CPU sisters: the functions of `math` have one set of coefficients and one
//! order on both, and what is summed is summed in the order of the spec. CPUs without FMA round once more and are left out.

use lockstep_cpu::{CpuBackend, Isa};
use lockstep_cuda_emulated::EmulatedCuda;
use lockstep_runtime::graph::{
    Activation, Attention, DType, GeluForm, GraphBuilder, Linear, Op, Operands, Sequences, TensorType,
    UnaryOp,
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
    // Sequences about the tiles of 64 queries and keys, and beyond a block of 256 keys; heads that fill a kernel's columns, that
    // end within them, that lie at no multiple of 16 bytes, and that are too long for tiles.
    let lengths = [1, 300, 0, 33, 64, 65, 127, 256, 15, 513];
    let tokens: usize = lengths.iter().sum();
    let ends: Vec<i64> = (1..=lengths.len()).map(|n| lengths[..n].iter().sum::<usize>() as i64).collect();
    for (heads, size) in [(2, 64), (1, 32), (1, 128), (1, 100), (3, 17), (1, 160)] {
        let op = Op::Attention(Attention {
            heads,
            scale: 0.125,
            operands: Operands::Merged,
            sequences: Sequences::Ends,
        });
        let ends = HostTensor::from_slice(&[ends.len()], &ends).unwrap();
        let [cpu, cuda] = bits(&op, &[random(&[tokens, 3 * heads * size], 7), ends]);
        assert!(cpu == cuda, "{heads} heads of {size}");
    }
}

#[test]
fn attention_with_a_mask_has_the_same_bits() {
    if Isa::detect() == Isa::Portable {
        eprintln!("not run (this processor has no FMA)");
        return;
    }
    let (batch, queries, keys, size) = (3, 70, 400, 64);
    let op = Op::Attention(Attention {
        heads: 2,
        scale: 0.125,
        operands: Operands::Separate,
        sequences: Sequences::KeyMask,
    });
    // The first sequence keeps two keys of three, the second none, the third all.
    let mask: Vec<bool> = (0..batch * keys).map(|at| at / keys == 2 || (at < keys && at % 3 > 0)).collect();
    let inputs = [
        random(&[batch, queries, 2 * size], 1),
        random(&[batch, keys, 2 * size], 2),
        random(&[batch, keys, 2 * size], 3),
        HostTensor::from_bools(&[batch, keys], &mask).unwrap(),
    ];
    let [cpu, cuda] = bits(&op, &inputs);
    assert!(cpu == cuda);
}

/// Around the tiles, the columns of k that are in shared memory at a time, and the chains of 256 that are summed apart.
const PRODUCTS: [[usize; 3]; 14] = [
    [1, 1, 1],
    [3, 5, 0],
    [1, 2, 4096],
    [2, 12, 512],
    [31, 33, 7],
    [33, 32, 31],
    [32, 64, 256],
    [17, 40, 257],
    [5, 36, 1030],
    [9, 8, 2311],
    [1900, 461, 20],
    [1920, 452, 264],
    [3001, 1157, 11],
    [3012, 1152, 265],
];

#[test]
fn linear_has_the_same_bits() {
    if Isa::detect() == Isa::Portable {
        eprintln!("not run (this processor has no FMA)");
        return;
    }
    let activations = [None, Some(Activation::Gelu(GeluForm::Erf)), Some(Activation::Tanh)];
    for (at, [m, n, k]) in PRODUCTS.into_iter().enumerate() {
        let parts = Linear { bias: at % 4 > 0, activation: activations[at % 3], residual: at % 2 == 1 };
        let mut inputs = vec![random(&[m, k], 1), random(&[n, k], 2)];
        inputs.extend(parts.bias.then(|| random(&[n], 3)));
        inputs.extend(parts.residual.then(|| random(&[m, n], 4)));
        let [cpu, cuda] = bits(&Op::Linear(parts), &inputs);
        assert!(cpu == cuda, "[{m}, {k}] times [{n}, {k}]: {parts:?}");
    }
}

#[test]
fn matmul_has_the_same_bits() {
    if Isa::detect() == Isa::Portable {
        eprintln!("not run (this processor has no FMA)");
        return;
    }
    for [m, n, k] in PRODUCTS {
        for dtype in [DType::F32, DType::F16, DType::Bf16] {
            // Every tile in f32; in the other types what is read and written otherwise.
            if dtype != DType::F32 && m > 1000 {
                continue;
            }
            let inputs = [random(&[m, k], 1), random(&[k, n], 2)];
            let [cpu, cuda] = bits(&Op::MatMul, &inputs.map(|x| x.cast(dtype).unwrap()));
            assert!(cpu == cuda, "{dtype} [{m}, {k}] times [{k}, {n}]");
        }
    }
}

/// A batch in two dimensions, of which one factor has the first alone and the other the second.
#[test]
fn matmul_of_a_broadcast_batch_has_the_same_bits() {
    if Isa::detect() == Isa::Portable {
        eprintln!("not run (this processor has no FMA)");
        return;
    }
    for (m, n) in [(5, 7), (33, 8), (160, 192)] {
        let inputs = [random(&[3, 1, m, 9], 1), random(&[1, 20, 9, n], 2)];
        let [cpu, cuda] = bits(&Op::MatMul, &inputs);
        assert!(cpu == cuda, "20 x 3 of [{m}, 9] times [9, {n}]");
    }
}
