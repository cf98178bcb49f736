//! Batches that are filled up to a bucket give what they give at their own extents, and few programs serve them.

use crate::{devices, folders, models};
use devices::CountingDevice;
use folders::{bits, random_rows, told};
use lockstep_runtime::graph::{
    Attention, BinaryOp, DType, Dim, GraphBuilder, Op, Operands, ReduceOp, Sequences, TensorType, UnaryOp,
    ValueId,
};
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Device, Extents, Packing, RunOptions, Session};
use models::{Batch, bert_small, candle, cpu, load};
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn session(folder: &str, device: Arc<dyn Device>, dtype: DType, extents: Extents) -> Session {
    let graph = load(&bert_small(folder), dtype).graph().clone();
    let builder = Session::builder(graph).device(device).packing(Packing::Required).extents(extents);
    builder.build().expect("a session")
}

#[test]
fn a_batch_in_its_bucket_has_the_bits_of_its_own_extents() {
    let taps = RunOptions::new().taps(&["embeddings", "encoder.3.output"]);
    for (device, dtype) in [(cpu(), DType::F32), (cpu(), DType::Bf16), (candle(), DType::F32)] {
        for folder in ["document-classifier", "field-extractor"] {
            let bucketed = session(folder, device.clone(), dtype, Extents::Bucketed);
            let exact = session(folder, device.clone(), dtype, Extents::Exact);
            assert_eq!(bucketed.prepared().why_exact(), None);
            for lengths in [&[1][..], &[17], &[16, 16], &[3, 40, 9], &[5; 9]] {
                let batch = Batch::of(&random_rows(11, lengths));
                let (found, wanted) = (batch.run(&bucketed, &taps), batch.run(&exact, &taps));
                let what = format!("{folder} on {} in {dtype}, {lengths:?}", device.info().id);
                for (found, wanted) in found.outputs().iter().zip(wanted.outputs()) {
                    assert_eq!(found.1.shape(), wanted.1.shape(), "{what}: {}", found.0);
                }
                // candle's products do not promise a row's bits in a larger batch.
                if device.info().numerics.batch_invariant {
                    assert!(bits(&found) == bits(&wanted), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_mask_that_leaves_out_the_middle_of_a_row_or_all_of_it_is_as_ever() {
    let bucketed = session("field-extractor", cpu(), DType::F32, Extents::Bucketed);
    let exact = session("field-extractor", cpu(), DType::F32, Extents::Exact);
    let mut batch = Batch::of(&random_rows(12, &[6, 9]));
    let holes = [0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 1_i64];
    batch.mask = HostTensor::from_slice(&[2, 9], &holes).expect("a mask");
    assert!(bits(&batch.run(&bucketed, &RunOptions::new())) == bits(&batch.run(&exact, &RunOptions::new())));
    for row in [0, 1] {
        let mut none = holes;
        none[row * 9..][..9].fill(0);
        let mask = HostTensor::from_slice(&[2, 9], &none).expect("a mask");
        let inputs = [("input_ids", &batch.ids), ("token_type_ids", &batch.types), ("attention_mask", &mask)];
        let error = told(&bucketed.run(&inputs).expect_err("a row without a token"));
        assert!(error.contains(&format!("row {row} is all zeros")), "{error}");
    }
}

#[test]
fn a_wrong_id_is_found_in_its_own_place() {
    let bucketed = session("document-classifier", cpu(), DType::F32, Extents::Bucketed);
    let exact = session("document-classifier", cpu(), DType::F32, Extents::Exact);
    for row in [0, 2] {
        let mut rows = random_rows(13, &[4, 7, 3]);
        rows[row][0] = 1 << 40;
        let batch = Batch::of(&rows);
        let inputs =
            [("input_ids", &batch.ids), ("token_type_ids", &batch.types), ("attention_mask", &batch.mask)];
        let said = [&bucketed, &exact].map(|session| told(&session.run(&inputs).expect_err("a wrong id")));
        assert_eq!(said[0], said[1]);
    }
}

#[test]
fn batches_of_about_one_size_share_a_program() {
    let counting = CountingDevice::new(cpu());
    let bucketed = session("document-classifier", counting.clone(), DType::F32, Extents::Bucketed);
    let before = counting.compiles.load(Ordering::Relaxed);
    for lengths in [[33, 40], [36, 38], [40, 39], [34, 45]] {
        Batch::of(&random_rows(15, &lengths)).run(&bucketed, &RunOptions::new());
    }
    assert_eq!(counting.compiles.load(Ordering::Relaxed) - before, 1);
}

/// BERT-Small has 512 positions: a bucket for 500 is of 512, and one for 512 of no more.
#[test]
fn the_longest_sequences_run_too() {
    let bucketed = session("document-classifier", cpu(), DType::F32, Extents::Bucketed);
    let exact = session("document-classifier", cpu(), DType::F32, Extents::Exact);
    for length in [500, 512] {
        let batch = Batch::of(&random_rows(14, &[length]));
        let (found, wanted) =
            (batch.run(&bucketed, &RunOptions::new()), batch.run(&exact, &RunOptions::new()));
        assert!(bits(&found) == bits(&wanted), "{length}");
    }
}

/// Attention over packed sequences, then what `head` makes of its pooled rows.
fn pooled(head: impl Fn(&mut GraphBuilder, ValueId) -> ValueId) -> Session {
    let (batch, seq) = (Dim::symbol("batch"), Dim::symbol("seq"));
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::new(DType::F32, [batch.clone(), seq.clone(), Dim::from(8)])).expect("x");
    let mask = b.input("mask", TensorType::new(DType::Bool, [batch, seq])).expect("mask");
    let attention =
        Attention { heads: 2, scale: 0.5, operands: Operands::Separate, sequences: Sequences::KeyMask };
    let attended = b.single("attend", Op::Attention(attention), &[x, x, x, mask]).expect("attention");
    let first = b.slice("first", attended, 1, 0, 1.into()).expect("the first position");
    let rows = b.reshape("rows", first, &[Dim::symbol("batch"), Dim::from(8)]).expect("rows");
    let out = head(&mut b, rows);
    b.output("y", out).expect("an output");
    let builder = Session::builder(b.finish().expect("a graph")).device(cpu());
    builder.packing(Packing::Required).extents(Extents::Bucketed).build().expect("a session")
}

#[test]
fn heads_that_keep_rows_apart_are_filled_up_and_others_are_not() {
    let apart = pooled(|b, rows| {
        let weight = b.constant("w", HostTensor::from_slice(&[8, 3], &[0.25_f32; 24]).expect("w"));
        let product = b.single("product", Op::MatMul, &[rows, weight]).expect("a product");
        b.single("softmax", Op::Softmax { axis: 1 }, &[product]).expect("a softmax")
    });
    assert_eq!(apart.prepared().why_exact(), None);
    let over_rows = pooled(|b, rows| {
        let op = Op::Reduce { op: ReduceOp::Mean, axes: vec![0], keep_axes: true };
        let mean = b.single("mean", op, &[rows]).expect("a mean");
        b.single("centred", Op::Binary(BinaryOp::Sub), &[rows, mean]).expect("a difference")
    });
    let why = over_rows.prepared().why_exact().expect("rows know of each other");
    assert!(why.contains("mean (Reduce"), "{why}");
    let transposed = pooled(|b, rows| {
        let columns = b.single("t", Op::Transpose { permutation: vec![1, 0] }, &[rows]).expect("columns");
        b.single("similarity", Op::MatMul, &[rows, columns]).expect("all with all")
    });
    assert!(transposed.prepared().why_exact().is_some());
    // Whatever was decided, the result is right.
    let x = HostTensor::from_slice(&[3, 1, 8], &(0..24).map(|at| at as f32).collect::<Vec<_>>()).expect("x");
    let mask = HostTensor::from_bools(&[3, 1], &[true; 3]).expect("mask");
    let centred = over_rows.run(&[("x", &x), ("mask", &mask)]).expect("a run");
    let wanted: Vec<f64> = (0..24).map(|at| f64::from(at / 8 * 8 - 8)).collect();
    assert_eq!(centred.output("y").expect("y").to_f64(), wanted);
}

/// Positions of two rows that are not the batch's: filling them up would move the second.
#[test]
fn positions_of_other_rows_than_the_batch_s_keep_their_extents() {
    let (batch, seq) = (Dim::symbol("batch"), Dim::symbol("seq"));
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::new(DType::F32, [batch.clone(), seq.clone(), Dim::from(8)])).expect("x");
    let mask = b.input("mask", TensorType::new(DType::Bool, [batch, seq.clone()])).expect("mask");
    let two = b.input("two", TensorType::new(DType::F32, [Dim::from(2), seq])).expect("two");
    let attention =
        Attention { heads: 2, scale: 0.5, operands: Operands::Separate, sequences: Sequences::KeyMask };
    let attended = b.single("attend", Op::Attention(attention), &[x, x, x, mask]).expect("attention");
    let negated = b.single("negated", Op::Unary(UnaryOp::Neg), &[two]).expect("neg");
    b.output("y", attended).expect("an output");
    b.output("z", negated).expect("an output");
    let builder = Session::builder(b.finish().expect("a graph")).device(cpu());
    let session = builder.packing(Packing::Required).extents(Extents::Bucketed).build().expect("a session");
    let why = session.prepared().why_exact().expect("no buckets");
    assert!(why.starts_with("`two` is f32[2, seq]"), "{why}");
    let x = HostTensor::from_slice(&[1, 3, 8], &[0.0_f32; 24]).expect("x");
    let mask = HostTensor::from_bools(&[1, 3], &[true; 3]).expect("mask");
    let two = HostTensor::from_slice(&[2, 3], &[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("two");
    let found = session.run(&[("x", &x), ("mask", &mask), ("two", &two)]).expect("a run");
    assert_eq!(found.output("z").expect("z").to_f64(), [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0]);
}

#[test]
fn more_tokens_than_any_bucket_holds_run_at_their_own_extents() {
    let negated = pooled(|b, rows| b.single("negated", Op::Unary(UnaryOp::Neg), &[rows]).expect("neg"));
    let rows = (32 << 10) + 1;
    let values: Vec<f32> = (0..rows * 8).map(|at| (at % 1001) as f32).collect();
    let x = HostTensor::from_slice(&[rows, 1, 8], &values).expect("x");
    let mask = HostTensor::from_bools(&[rows, 1], &vec![true; rows]).expect("mask");
    let found = negated.run(&[("x", &x), ("mask", &mask)]).expect("a run");
    // A sequence of one token attends to itself alone.
    let wanted: Vec<f64> = values.iter().map(|&value| -f64::from(value)).collect();
    assert!(found.output("y").expect("y").to_f64() == wanted);
}
