//! Attention on tensor cores, where its tiles begin and end, held to the oracle; and what must be equal, by its bits.

use crate::edited;
use lockstep_conformance::judgement::Judgement;
use lockstep_conformance::one_op::{self, Argument};
use lockstep_conformance::oracle::{Oracle, Terms};
use lockstep_conformance::random::Random;
use lockstep_conformance::verdict::Verdict;
use lockstep_cuda_emulated::{EmulatedCuda, LaneOrder};
use lockstep_runtime::graph::{Attention, DType, Op, Operands, Sequences};
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Device, Fallback};
use std::sync::Arc;

const HALVES: [DType; 2] = [DType::F16, DType::Bf16];
/// About a warp's rows, a tile, and two.
const LENGTHS: [usize; 12] = [1, 0, 15, 16, 17, 63, 64, 65, 127, 128, 129, 2];

fn device(order: LaneOrder) -> Arc<dyn Device> {
    EmulatedCuda::new().lane_order(order).open(0).unwrap()
}

fn floats(shape: &[usize], dtype: DType, value: impl FnMut(usize) -> f64) -> HostTensor {
    let values: Vec<f64> = (0..shape.iter().product()).map(value).collect();
    HostTensor::from_f64(dtype, shape, &values).unwrap()
}

fn random(shape: &[usize], dtype: DType, seed: u64) -> HostTensor {
    let mut random = Random(seed);
    floats(shape, dtype, |_| 2.0 * random.value())
}

fn attention(heads: usize, operands: Operands, sequences: Sequences) -> Op {
    Op::Attention(Attention { heads, scale: 0.2, operands, sequences })
}

fn ends(lengths: &[usize]) -> HostTensor {
    let ends: Vec<i64> = (1..=lengths.len()).map(|n| lengths[..n].iter().sum::<usize>() as i64).collect();
    HostTensor::from_slice(&[ends.len()], &ends).unwrap()
}

/// The rows from the first dimension on.
fn rows(tensor: &HostTensor, from: usize, count: usize) -> HostTensor {
    let width: usize = tensor.shape()[1..].iter().product();
    let shape = [&[count], &tensor.shape()[1..]].concat();
    let values = tensor.to_f64();
    floats(&shape, tensor.dtype(), |at| values[from * width + at])
}

fn run(device: &Arc<dyn Device>, op: &Op, inputs: &[HostTensor]) -> HostTensor {
    let arguments: Vec<Argument> = inputs.iter().cloned().map(Argument::Given).collect();
    one_op::run(device, Fallback::Deny, "attention", op, &arguments).unwrap().swap_remove(0)
}

fn judged(device: &Arc<dyn Device>, op: &Op, inputs: &[HostTensor]) -> (HostTensor, Judgement) {
    let found = run(device, op, inputs);
    let arguments: Vec<Argument> = inputs.iter().cloned().map(Argument::Given).collect();
    let oracle = Oracle::new().unwrap();
    let truth = oracle.truth("attention", op, &arguments).unwrap().swap_remove(0);
    let terms = Terms { accumulate: DType::F32, profile: &device.info().numerics };
    let judgement = oracle.judge(op, &arguments, &truth, &found, terms).unwrap();
    (found, judgement)
}

/// The result, after the oracle has found it within what independent roundings give.
#[track_caller]
fn held(op: &Op, inputs: &[HostTensor], about: &str) -> HostTensor {
    let (found, judgement) = judged(&device(LaneOrder::Ascending), op, inputs);
    assert!(!judgement.verdict.accuses(), "{about}: {judgement:?}");
    found
}

#[test]
fn sequences_of_every_length_around_the_tiles_are_within_the_bound() {
    let tokens = LENGTHS.iter().sum();
    for dtype in HALVES {
        // Heads that fill a kernel's columns, that end within them, and that lie at no multiple of 16 bytes.
        for (heads, size) in [(2, 32), (1, 64), (1, 128), (1, 40), (2, 17)] {
            let qkv = random(&[tokens, 3 * heads * size], dtype, size as u64);
            let op = attention(heads, Operands::Merged, Sequences::Ends);
            held(&op, &[qkv, ends(&LENGTHS)], &format!("{dtype}, {heads} heads of {size}"));
        }
    }
}

#[test]
fn heads_too_long_for_a_tile_are_within_the_bound_too() {
    for dtype in HALVES {
        let qkv = random(&[70, 3 * 160], dtype, 8);
        let op = attention(1, Operands::Merged, Sequences::Ends);
        held(&op, &[qkv, ends(&[5, 65])], &format!("{dtype}, a head of 160"));
    }
}

#[test]
fn a_sequence_alone_and_among_others_has_the_same_bits_in_both_orders_of_threads() {
    let tokens = LENGTHS.iter().sum();
    let op = attention(2, Operands::Merged, Sequences::Ends);
    for dtype in HALVES {
        let qkv = random(&[tokens, 3 * 64], dtype, 3);
        let all = run(&device(LaneOrder::Ascending), &op, &[qkv.clone(), ends(&LENGTHS)]);
        let descending = device(LaneOrder::Descending);
        assert!(run(&descending, &op, &[qkv.clone(), ends(&LENGTHS)]).bytes() == all.bytes(), "{dtype}");
        let mut from = 0;
        for length in LENGTHS {
            let alone = run(&descending, &op, &[rows(&qkv, from, length), ends(&[length])]);
            assert!(alone.bytes() == rows(&all, from, length).bytes(), "{dtype}, {length} tokens");
            from += length;
        }
    }
}

/// A warp looks for its sequence 32 at a time.
#[test]
fn more_sequences_than_a_warp_has_lanes_are_each_found() {
    let lengths: Vec<usize> = (0..70).map(|at| if at % 33 == 7 { 66 } else { at % 4 }).collect();
    let tokens = lengths.iter().sum();
    let op = attention(1, Operands::Merged, Sequences::Ends);
    for dtype in [DType::F32, DType::F16] {
        held(&op, &[random(&[tokens, 3 * 8], dtype, 4), ends(&lengths)], &format!("{dtype}, 70 sequences"));
    }
}

#[test]
fn wrong_ends_are_an_error_that_names_them() {
    let op = attention(1, Operands::Merged, Sequences::Ends);
    let device = device(LaneOrder::Ascending);
    for dtype in [DType::F32, DType::F16] {
        let qkv = random(&[70, 3 * 8], dtype, 4);
        for wrong in [vec![-1, 70], vec![5, 3, 70], vec![i64::MAX, 70], vec![i64::MIN, 70], vec![10, 71]] {
            let ends = HostTensor::from_slice(&[wrong.len()], &wrong).unwrap();
            let arguments = [qkv.clone(), ends].map(Argument::Given);
            let error = one_op::run(&device, Fallback::Deny, "attention", &op, &arguments).unwrap_err();
            assert!(format!("{error:?}").contains("sequence end"), "{dtype} {wrong:?}: {error:?}");
        }
    }
}

/// Whatever masked keys hold, and wherever they stand: the bits are those of the kept keys alone.
#[test]
fn keys_that_a_mask_leaves_out_leave_no_trace() {
    let (queries, keys, width) = (5, 150, 64);
    let mut places = Random(11);
    let mask: Vec<bool> = (0..keys).map(|_| places.below(3) > 0).collect();
    let kept: Vec<usize> = (0..keys).filter(|&at| mask[at]).collect();
    for dtype in HALVES {
        let q = random(&[1, queries, width], dtype, 1);
        let [k, v] = [2, 3].map(|seed| random(&[1, keys, width], dtype, seed));
        let alone = [&k, &v].map(|all| {
            let values = all.to_f64();
            floats(&[1, kept.len(), width], dtype, |at| values[kept[at / width] * width + at % width])
        });
        let [alone_k, alone_v] = alone;
        let dense = attention(2, Operands::Separate, Sequences::Dense);
        let expected = held(&dense, &[q.clone(), alone_k, alone_v], "kept keys alone");
        for hostile in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let [k, v] = [&k, &v].map(|all| {
                let values = all.to_f64();
                floats(all.shape(), dtype, |at| if mask[at / width] { values[at] } else { hostile })
            });
            let mask = HostTensor::from_bools(&[1, keys], &mask).unwrap();
            let op = attention(2, Operands::Separate, Sequences::KeyMask);
            let found = run(&device(LaneOrder::Ascending), &op, &[q.clone(), k, v, mask]);
            assert!(found.bytes() == expected.bytes(), "{dtype}, masked keys hold {hostile}");
        }
    }
}

#[test]
fn a_sequence_whose_keys_are_all_masked_gives_zeros_beside_one_whose_are_not() {
    let (keys, width) = (70, 32);
    let op = attention(1, Operands::Merged, Sequences::KeyMask);
    let mask: Vec<bool> = (0..2 * keys).map(|at| at >= keys).collect();
    let mask = HostTensor::from_bools(&[2, keys], &mask).unwrap();
    for dtype in HALVES {
        let qkv = random(&[2, keys, 3 * width], dtype, 5);
        let found = held(&op, &[qkv, mask.clone()], "one of two masked").to_f64();
        assert!(found[..keys * width].iter().all(|&x| x == 0.0), "{dtype}");
        assert!(found[keys * width..].iter().any(|&x| x != 0.0), "{dtype}");
    }
}

/// An infinite value stays infinite under the smallest weight, and where it is not NaN comes to nobody else.
#[test]
fn a_value_that_is_not_finite_is_in_its_column_and_sequence_alone() {
    let (tokens, width) = (80, 32);
    for dtype in HALVES {
        for (hostile, about) in [(f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf"), (f64::NAN, "NaN")] {
            let mut values = random(&[2 * tokens, 3 * width], dtype, 9).to_f64();
            // Far below the others in every score: scores are about 0.2 * 32 * 60 apart.
            let row = 70 * 3 * width;
            for at in 0..2 * tokens {
                values[at * 3 * width] = 8.0;
            }
            values[row + width] = -24.0;
            values[row + 2 * width + 7] = hostile;
            let qkv = floats(&[2 * tokens, 3 * width], dtype, |at| values[at]);
            let op = attention(1, Operands::Merged, Sequences::Ends);
            let found = run(&device(LaneOrder::Ascending), &op, &[qkv, ends(&[tokens, tokens])]).to_f64();
            for (at, &x) in found.iter().enumerate() {
                let (row, column) = (at / width, at % width);
                let expected = row < tokens && column == 7;
                let same = x == hostile || (x.is_nan() && hostile.is_nan());
                assert!(
                    if expected { same } else { x.is_finite() },
                    "{dtype} {about}: {x} at {row}, {column}"
                );
            }
        }
    }
}

/// Two keys whose values cancel but for the 12th bit of a weight.
fn cancelling(dtype: DType) -> [HostTensor; 3] {
    let (batch, width) = (8, 32);
    let score = |sequence: usize| 0.25 + 0.125 * sequence as f64;
    // A scale of 0.2 is not a power of two; a query of 5 makes scores of about what `k` says.
    let q = floats(&[batch, 1, width], dtype, |at| if at % width == 0 { 5.0 } else { 0.0 });
    let k = floats(&[batch, 2, width], dtype, |at| {
        let (row, column) = (at / width, at % width);
        if row % 2 == 0 && column == 0 { -score(row / 2) } else { 0.0 }
    });
    let v = floats(&[batch, 2, width], dtype, |at| {
        let row = at / width;
        if row % 2 == 0 { 1.0 } else { -(-score(row / 2)).exp() }
    });
    [q, k, v]
}

#[test]
fn weights_are_not_rounded_to_16_bits() {
    let op = attention(1, Operands::Separate, Sequences::Dense);
    for dtype in HALVES {
        held(&op, &cancelling(dtype), "values that cancel");
    }
}

/// The same case, with the parts of a weight behind its first left out.
#[test]
fn weights_that_are_rounded_to_16_bits_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let edit = ["is_finite ? rest", "false ? rest"];
    let library = edited::library(folder.path(), "attention/attention_mma.cu", edit);
    // SAFETY: it was compiled just now, of the emulator and one source of ours.
    let device = unsafe { EmulatedCuda::new().with_kernels_of(&library) }.unwrap().open(0).unwrap();
    let op = attention(1, Operands::Separate, Sequences::Dense);
    for dtype in HALVES {
        let (_, judgement) = judged(&device, &op, &cancelling(dtype));
        assert_eq!(judgement.verdict, Verdict::Wrong, "{dtype}: {judgement:?}");
    }
}
