//! A sequence's results are its own: not its padding's, its neighbours', its place's, nor its threads'.

use crate::{folders, models};
use folders::{RandomModel, bits, random_rows, row_bits, told};
use lockstep_bert::fixtures::{Fixture, FixtureHead};
use lockstep_bert::{BertModel, Pooling};
use lockstep_conformance::rounding::exact_in_f64;
use lockstep_cpu::Isa;
use lockstep_runtime::graph::{Attention, DType, Dim, GraphBuilder, Op, Operands, Sequences, TensorType};
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Device, Packing, PackingOutcome, RunOptions, Session};
use models::{
    Batch, bert_small, candle, cpu, cpu_with, excerpt_ids, largest_difference, load, packings, reference,
    session, token_rows,
};
use std::sync::Arc;

const TAPS: [&str; 3] = ["embeddings", "encoder.0.intermediate", "encoder.3.output"];
const HALVES_AND_SINGLE: [DType; 3] = [DType::F32, DType::F16, DType::Bf16];

fn short_documents(count: usize, longest: usize) -> Vec<Vec<i64>> {
    let cut = |row: &Vec<i64>| row[..row.len().min(longest)].to_vec();
    excerpt_ids().iter().take(count).map(cut).collect()
}

fn run_all(session: &Session, batch: &Batch, taps: &[&str]) -> Vec<(String, HostTensor)> {
    let result = batch.run(session, &RunOptions::new().taps(taps));
    result.outputs().iter().chain(result.taps()).cloned().collect()
}

/// Every result's row `at` is the bits of the other's row `other`, over the tokens that there are.
fn assert_same_row(
    what: &str,
    a: (&[(String, HostTensor)], usize),
    b: (&[(String, HostTensor)], usize),
    length: usize,
) {
    assert_eq!(a.0.len(), b.0.len());
    for ((name, x), (_, y)) in a.0.iter().zip(b.0) {
        assert_eq!(row_bits(x, a.1, length), row_bits(y, b.1, length), "{what}: {name} differs");
    }
}

#[test]
fn packed_and_padded_give_the_same_bits_whatever_the_padding() {
    let rows = short_documents(4, 40);
    let longest = rows.iter().map(Vec::len).max().expect("rows");
    for folder in ["document-classifier", "field-extractor"] {
        for dtype in HALVES_AND_SINGLE {
            let model = load(&bert_small(folder), dtype);
            let packed = session(&model, cpu(), Packing::Required);
            assert_eq!(*packed.prepared().packing(), PackingOutcome::Packed);
            let padded = session(&model, cpu(), Packing::Off);
            let truth = run_all(&packed, &Batch::of(&rows), &TAPS);
            for extra in [0, 1, 37] {
                let batch = Batch::padded_to(&rows, longest + extra);
                for (how, session) in [("packed", &packed), ("padded", &padded)] {
                    let found = run_all(session, &batch, &TAPS);
                    for (at, row) in rows.iter().enumerate() {
                        let what = format!("{folder} {dtype}, {how} with {extra} more, row {at}");
                        assert_same_row(&what, (&found, at), (&truth, at), row.len());
                    }
                }
            }
        }
    }
}

#[test]
fn a_sequence_does_not_depend_on_its_batch() {
    let mut rows = short_documents(33, 14);
    let target = rows[0].clone();
    for dtype in [DType::F32, DType::Bf16] {
        let model = load(&bert_small("field-extractor"), dtype);
        for packing in [Packing::Required, Packing::Off] {
            let session = session(&model, cpu(), packing);
            let alone = run_all(&session, &Batch::of(std::slice::from_ref(&target)), &TAPS);
            for place in [0, 16, 32] {
                rows.swap(0, place);
                let found = run_all(&session, &Batch::of(&rows), &TAPS);
                rows.swap(0, place);
                let what = format!("{dtype}, packing {packing:?}, at {place} of 33");
                assert_same_row(&what, (&found, place), (&alone, 0), target.len());
            }
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let rows = short_documents(6, 40);
    for dtype in [DType::F32, DType::F16] {
        let model = load(&bert_small("field-extractor"), dtype);
        for packing in [Packing::Required, Packing::Off] {
            let run = |threads| {
                let device = cpu_with(threads, Isa::detect());
                bits(&Batch::of(&rows).run(&session(&model, device, packing), &RunOptions::new().taps(&TAPS)))
            };
            let one = run(1);
            for threads in [2, 3] {
                assert_eq!(run(threads), one, "{dtype}, packing {packing:?}, {threads} threads");
            }
        }
    }
}

/// AVX2 and AVX-512 agree to the bit by the kernels' specs; of a processor without one of them there is nothing to test.
#[test]
fn the_vector_paths_agree_to_the_bit() {
    let available = Isa::available();
    if !available.contains(&Isa::Avx512) {
        eprintln!("not run: this processor has {available:?}");
        return;
    }
    let rows = short_documents(5, 40);
    for dtype in HALVES_AND_SINGLE {
        for folder in ["document-classifier", "field-extractor"] {
            let model = load(&bert_small(folder), dtype);
            let run = |isa| {
                let session = session(&model, cpu_with(2, isa), Packing::Auto);
                bits(&Batch::of(&rows).run(&session, &RunOptions::new().taps(&TAPS)))
            };
            assert_eq!(run(Isa::Avx2), run(Isa::Avx512), "{folder} {dtype}");
        }
    }
}

/// The portable path has the same order of summation and may only round products: it must be as near the truth as the best
/// path, within the factor of 2 that separates one rounding for a product and its sum from two.
#[test]
fn the_portable_path_is_as_accurate_as_the_best() {
    let rows = short_documents(3, 32);
    let batch = Batch::of(&rows);
    let model = load(&bert_small("field-extractor"), DType::F32);
    let graph = exact_in_f64(model.graph()).expect("the graph in f64");
    let truth = Session::builder(graph).device(candle()).build().expect("candle runs BERT in f64");
    let truth = token_rows(batch.run(&truth, &RunOptions::new()).output("logits").expect("logits"), &rows);
    let rms = |isa| {
        let session = session(&model, cpu_with(2, isa), Packing::Auto);
        let found =
            token_rows(batch.run(&session, &RunOptions::new()).output("logits").expect("logits"), &rows);
        let squares: f64 = found.iter().zip(&truth).map(|(a, b)| (a - b).powi(2)).sum();
        ((squares / truth.len() as f64).sqrt(), largest_difference(&found, &truth))
    };
    let (best, portable) = (rms(Isa::detect()), rms(Isa::Portable));
    eprintln!("rms and largest error: {best:?} with {}, {portable:?} portable", Isa::detect().name());
    assert!(portable.0 <= 2.0 * best.0, "rms {:.3e} against {:.3e}", portable.0, best.0);
    assert!(portable.1 <= 3e-5, "the limit of tag logits in f32");
}

/// A batch whose masks have holes and paddings on the left, and the same rows without what the masks leave out.
fn holed() -> (Batch, Vec<Vec<usize>>) {
    let masks: [[i64; 8]; 4] = [
        [1, 1, 0, 1, 0, 0, 1, 0],
        [0, 0, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0, 0, 1],
    ];
    let mut batch = Batch::of(&random_rows(21, &[8, 8, 8, 8]));
    batch.mask = HostTensor::from_slice(&[4, 8], &masks.concat()).expect("a mask");
    let kept = masks.map(|mask| (0..8).filter(|&at| mask[at] != 0).collect());
    (batch, kept.to_vec())
}

fn random_model(head: FixtureHead, dtype: DType) -> RandomModel {
    RandomModel::new(&Fixture { head, seed: 5, ..Fixture::default() }, dtype)
}

fn encoder_session(model: &BertModel, device: Arc<dyn Device>, packing: Packing) -> Session {
    session(model, device, packing)
}

#[test]
fn masks_with_holes_and_left_padding_pack_to_zeros_where_nothing_is() {
    let (batch, kept) = holed();
    for dtype in HALVES_AND_SINGLE {
        let random = random_model(FixtureHead::EncoderWithoutPooler, dtype);
        let packed = encoder_session(&random.model, cpu(), Packing::Required);
        let padded = encoder_session(&random.model, cpu(), Packing::Off);
        let taps = ["embeddings", "encoder.0.attention.self", "encoder.1.output"];
        let (packed, padded) = (run_all(&packed, &batch, &taps), run_all(&padded, &batch, &taps));
        for ((name, a), (_, b)) in packed.iter().zip(&padded) {
            let width = a.bytes().len() / (4 * 8);
            for (row, kept) in kept.iter().enumerate() {
                for position in 0..8 {
                    let range = (row * 8 + position) * width..(row * 8 + position + 1) * width;
                    let wanted = if kept.contains(&position) {
                        b.bytes()[range.clone()].to_vec()
                    } else {
                        vec![0; width]
                    };
                    assert_eq!(a.bytes()[range], wanted, "{dtype} {name}, row {row}, position {position}");
                }
            }
        }
    }
}

/// Poolings over tokens see the kept ones only; in any arrangement, packed or not.
#[test]
fn embeddings_see_the_kept_tokens_only() {
    let (batch, _) = holed();
    for pooling in [Pooling::Mean, Pooling::Max] {
        let random = random_model(FixtureHead::NormalizedEmbedding(pooling), DType::F32);
        let run = |packing, batch: &Batch| {
            bits(&batch.run(&session(&random.model, cpu(), packing), &RunOptions::new()))
        };
        let packed = run(Packing::Required, &batch);
        assert_eq!(packed, run(Packing::Off, &batch), "{pooling:?}");
        // Other ids where the mask is 0 change nothing.
        let mask = batch.mask.to_f64();
        let ids: Vec<i64> = batch
            .ids
            .to_f64()
            .iter()
            .zip(&mask)
            .map(|(&id, &kept)| if kept == 0.0 { 9 } else { id as i64 })
            .collect();
        let other = Batch { ids: HostTensor::from_slice(&[4, 8], &ids).expect("ids"), ..batch.clone() };
        assert_eq!(packed, run(Packing::Required, &other), "{pooling:?}, packed");
        assert_eq!(packed, run(Packing::Off, &other), "{pooling:?}, padded");
    }
}

#[test]
fn a_row_without_a_token_is_one_error_that_names_it() {
    let mut batch = Batch::of(&random_rows(8, &[5, 4, 3]));
    batch.mask =
        HostTensor::from_slice(&[3, 5], &[1i64, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0]).expect("a mask");
    let devices: [(Arc<dyn Device>, DType); 3] =
        [(cpu(), DType::F32), (reference(), DType::F64), (candle(), DType::F32)];
    for (device, dtype) in devices {
        for head in [FixtureHead::SequenceClassification(3), FixtureHead::Embedding(Pooling::Mean)] {
            let random = random_model(head, dtype);
            for &packing in packings(&device) {
                let session = session(&random.model, device.clone(), packing);
                let inputs = [
                    ("input_ids", &batch.ids),
                    ("token_type_ids", &batch.types),
                    ("attention_mask", &batch.mask),
                ];
                let text = told(&session.run(&inputs).unwrap_err());
                assert_eq!(
                    text,
                    "attention_mask: row 1 is all zeros; every sequence needs at least one token",
                    "{} {packing:?}",
                    device.info().id
                );
                let good = Batch::of(&random_rows(8, &[5, 4, 3]));
                good.run(&session, &RunOptions::new());
            }
        }
    }
}

/// The reference has no fused attention, and says so.
#[test]
fn packing_on_a_device_without_attention_is_refused() {
    let random = random_model(FixtureHead::SequenceClassification(3), DType::F64);
    let builder =
        Session::builder(random.model.graph().clone()).device(reference()).packing(Packing::Required);
    let text = told(&builder.build().unwrap_err());
    assert!(text.contains("no attention takes a key mask (was it recognised and fused?)"), "{text}");
}

#[test]
fn a_position_that_the_graph_reads_may_not_be_masked_out_when_packed() {
    let mut batch = Batch::of(&random_rows(8, &[4, 4]));
    batch.mask = HostTensor::from_slice(&[2, 4], &[1i64, 1, 1, 1, 0, 1, 1, 1]).expect("a mask");
    let random = random_model(FixtureHead::SequenceClassification(3), DType::F32);
    let inputs =
        [("input_ids", &batch.ids), ("token_type_ids", &batch.types), ("attention_mask", &batch.mask)];
    let packed = session(&random.model, cpu(), Packing::Required);
    let text = told(&packed.run(&inputs).unwrap_err());
    assert!(text.contains("attention_mask: row 1 masks out position 0"), "{text}");
    assert!(text.contains("turn packing off"), "{text}");
    session(&random.model, cpu(), Packing::Off).run(&inputs).expect("a padded run has every position");
}

/// A graph that reads a fixed position, beyond the end of shorter rows: what lies there is the next row's.
#[test]
fn a_position_beyond_the_batch_is_an_error_and_not_the_next_row() {
    let mut b = GraphBuilder::new();
    let (batch, seq) = (Dim::symbol("batch"), Dim::symbol("seq"));
    let x = b.input("x", TensorType::new(DType::F32, [batch.clone(), seq.clone(), Dim::from(4)])).expect("x");
    let mask = b.input("mask", TensorType::new(DType::Bool, [batch, seq])).expect("mask");
    let attention =
        Attention { heads: 1, scale: 0.5, operands: Operands::Separate, sequences: Sequences::KeyMask };
    let y = b.single("attention", Op::Attention(attention), &[x, x, x, mask]).expect("attention");
    let third = b.slice("third", y, 1, 2, Dim::from(1)).expect("a slice");
    b.output("third", third).expect("an output");
    let graph = b.finish().expect("a graph");
    for packing in [Packing::Required, Packing::Off] {
        let session =
            Session::builder(graph.clone()).device(cpu()).packing(packing).build().expect("a session");
        let run = |length: usize| {
            let x = HostTensor::zeros(DType::F32, &[3, length, 4]).expect("x");
            let mask = HostTensor::from_bools(&[3, length], &vec![true; 3 * length]).expect("mask");
            session.run(&[("x", &x), ("mask", &mask)])
        };
        run(3).expect("three positions are there");
        let text = told(&run(2).err().unwrap_or_else(|| panic!("{packing:?}: position 2 of 2 is not there")));
        let wanted = match packing {
            Packing::Required => "mask: the graph reads position 2 of each row, and the rows have 2",
            _ => "third (Slice): 1 positions from 2 do not lie in an axis of 2",
        };
        assert!(text.contains(wanted), "{packing:?}: {text}");
    }
}
