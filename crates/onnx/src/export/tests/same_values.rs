//! The graph that is written computes what the graph that was given does: both on the reference, in f64.

use crate::export::portable;
use lockstep_graph::{
    Attention, DType, Dim, GeluForm, Graph, GraphBuilder, HostTensor, Op, Operands, PoolKind, Sequences,
    TensorType, ValueId,
};
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::{Backend, Fallback, Session};

/// Numbers in -2..2 that follow from a seed, by a linear congruence.
fn numbers(shape: &[usize], seed: u64) -> HostTensor {
    let mut state = seed;
    let values: Vec<f64> = (0..shape.iter().product())
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 11) as f64 / (1u64 << 51) as f64 - 2.0
        })
        .collect();
    HostTensor::from_slice(shape, &values).unwrap()
}

fn run(graph: Graph, inputs: &[(&str, &HostTensor)]) -> HostTensor {
    let device = ReferenceBackend::new().open(0).unwrap();
    let session = Session::builder(graph).device(device).fallback(Fallback::Decompose).build().unwrap();
    session.run(inputs).unwrap().output("y").unwrap().clone()
}

/// Builds a graph on inputs of these tensors' dtypes, all extents but the last symbolic where `symbols` names them.
fn agrees(
    inputs: &[(&str, &[&str], &HostTensor)],
    build: impl Fn(&mut GraphBuilder, &[ValueId]) -> lockstep_graph::Result<ValueId>,
) {
    let mut b = GraphBuilder::new();
    let mut ids = Vec::new();
    for (name, symbols, tensor) in inputs {
        let dims = tensor.shape().iter().enumerate().map(|(axis, &extent)| match symbols.get(axis) {
            Some(symbol) if !symbol.is_empty() => Dim::symbol(symbol),
            _ => Dim::from(extent),
        });
        ids.push(b.input(name, TensorType::new(tensor.dtype(), dims.collect::<Vec<_>>())).unwrap());
    }
    let y = build(&mut b, &ids).unwrap();
    b.output("y", y).unwrap();
    let graph = b.finish().unwrap();
    let given: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, _, tensor)| (*name, *tensor)).collect();
    let expected = run(graph.clone(), &given);
    let found = run(portable(&graph).unwrap(), &given);
    assert_eq!(found.shape(), expected.shape());
    for (found, expected) in found.to_f64().iter().zip(expected.to_f64()) {
        // Some dozens of roundings of values around 1, of 1.1e-16 each.
        assert!((found - expected).abs() <= 1e-13, "{found} for {expected}");
    }
}

const DATA: &[&str] = &["batch", "seq"];

#[test]
fn norms_and_activations_keep_their_values() {
    let x = numbers(&[2, 3, 8], 1);
    let (gamma, beta) = (numbers(&[8], 2), numbers(&[8], 3));
    let norm: [(&str, &[&str], &HostTensor); 3] =
        [("x", DATA, &x), ("gamma", &[], &gamma), ("beta", &[], &beta)];
    agrees(&norm, |b, ids| b.layer_norm("norm", ids[0], ids[1], ids[2], 1e-12));
    agrees(&norm, |b, ids| {
        b.single("norm", Op::AddLayerNorm { epsilon: 1e-5 }, &[ids[0], ids[0], ids[1], ids[2]])
    });
    for form in [GeluForm::Erf, GeluForm::Tanh] {
        agrees(&norm[..1], |b, ids| b.gelu("gelu", ids[0], form));
    }
    agrees(&norm[..1], |b, ids| b.softmax("softmax", ids[0], 2));
}

#[test]
fn masked_attention_keeps_its_values() {
    let x = numbers(&[2, 4, 8], 4);
    let mask = HostTensor::from_bools(&[2, 4], &[true, true, true, true, true, true, false, false]).unwrap();
    let (heads, scale, operands) = (2, 0.5, Operands::Separate);
    agrees(&[("x", DATA, &x), ("mask", DATA, &mask)], |b, ids| {
        let op = Attention { heads, scale, operands, sequences: Sequences::KeyMask };
        b.single("attention", Op::Attention(op), &[ids[0], ids[0], ids[0], ids[1]])
    });
    let packed = numbers(&[5, 8], 5);
    let ends = HostTensor::from_slice(&[2], &[2i64, 5]).unwrap();
    agrees(&[("x", &["tokens"], &packed), ("ends", &["batch"], &ends)], |b, ids| {
        let op = Attention { heads, scale, operands, sequences: Sequences::Ends };
        b.single("attention", Op::Attention(op), &[ids[0], ids[0], ids[0], ids[1]])
    });
}

#[test]
fn pooled_sequences_keep_their_values() {
    let (x, ends) = (numbers(&[5, 3], 6), HostTensor::from_slice(&[2], &[2i64, 5]).unwrap());
    for kind in [PoolKind::Mean, PoolKind::Max] {
        agrees(&[("x", &["tokens"], &x), ("ends", &["batch"], &ends)], |b, ids| {
            b.single("pooled", Op::Pool { kind, sequences: Sequences::Ends }, ids)
        });
    }
}

#[test]
fn an_index_add_along_every_axis_becomes_the_same_sum() {
    let index = HostTensor::from_slice(&[5], &[2i64, 0, 2, 2, 1]).unwrap();
    let narrow = HostTensor::from_slice(&[5], &[2i32, 0, 2, 2, 1]).unwrap();
    let shapes: [(&[usize], usize); 5] =
        [(&[4], 0), (&[4, 3], 0), (&[3, 4], 1), (&[2, 4, 3], 1), (&[2, 3, 4], 2)];
    for (shape, axis) in shapes {
        let mut rows = shape.to_vec();
        rows[axis] = 5;
        let (base, source) = (numbers(shape, 7), numbers(&rows, 8));
        for index in [&index, &narrow] {
            let mut base_symbols = vec![""; shape.len()];
            base_symbols[axis] = "rows";
            let mut source_symbols = vec![""; shape.len()];
            source_symbols[axis] = "picked";
            let inputs: [(&str, &[&str], &HostTensor); 3] = [
                ("base", &base_symbols, &base),
                ("index", &["picked"], index),
                ("source", &source_symbols, &source),
            ];
            agrees(&inputs, |b, ids| b.index_add("scattered", axis, ids[0], ids[1], ids[2]));
        }
    }
}

#[test]
fn rows_with_a_key_weigh_hidden_ones_with_zero() {
    let mut b = GraphBuilder::new();
    let ty = TensorType::fixed(DType::F64, &[1, 3]);
    let x = b.input("x", ty).unwrap();
    let mask = b.input("mask", TensorType::fixed(DType::Bool, &[1, 3])).unwrap();
    let lowest = b.scalar("lowest", DType::F64, f64::NEG_INFINITY).unwrap();
    let masked = b.select("masked", mask, x, lowest).unwrap();
    let y = b.softmax("weights", masked, 1).unwrap();
    b.output("y", y).unwrap();
    let graph = portable(&b.finish().unwrap()).unwrap();
    let scores = HostTensor::from_slice(&[1, 3], &[-20.0f64, 10000.0, -20.0]).unwrap();
    let mask = HostTensor::from_bools(&[1, 3], &[true, false, true]).unwrap();
    assert_eq!(run(graph, &[("x", &scores), ("mask", &mask)]).to_f64(), [0.5, 0.0, 0.5]);
}
