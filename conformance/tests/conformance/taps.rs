//! Looking must not change what is seen: taps and the choice of outputs leave every bit as it is.

use crate::{folders, models};
use folders::{RandomModel, bits, random_rows, told};
use lockstep_bert::fixtures::{Fixture, FixtureHead};
use lockstep_runtime::graph::DType;
use lockstep_runtime::{Device, Packing, RunOptions, Session};
use models::{Batch, bert_small, candle, cpu, excerpt_ids, load, packings, reference, session};
use std::collections::BTreeMap;
use std::sync::Arc;

const LENGTHS: [usize; 3] = [7, 1, 12];

/// A small encoder with two outputs on every backend, in every dtype it computes in, packed and padded.
fn sessions() -> Vec<(String, Session)> {
    let fixture = Fixture { head: FixtureHead::Encoder, seed: 11, ..Fixture::default() };
    let devices: [(Arc<dyn Device>, &[DType]); 3] = [
        (cpu(), &[DType::F32, DType::F16, DType::Bf16]),
        (candle(), &[DType::F32, DType::F64]),
        (reference(), &[DType::F64]),
    ];
    let mut all = Vec::new();
    for (device, dtypes) in devices {
        for &dtype in dtypes {
            let model = RandomModel::new(&fixture, dtype);
            for &packing in packings(&device) {
                let what = format!("{} {dtype}, packing {packing:?}", device.info().id);
                all.push((what, session(&model.model, device.clone(), packing)));
            }
        }
    }
    all
}

fn checkpoints(session: &Session) -> Vec<String> {
    session.prepared().graph().checkpoints().iter().map(|(name, _)| name.clone()).collect()
}

#[test]
fn tapping_any_checkpoint_or_all_leaves_the_output_bits() {
    let batch = Batch::of(&random_rows(3, &LENGTHS));
    for (what, session) in sessions() {
        let plain = bits(&batch.run(&session, &RunOptions::new()));
        assert_eq!(plain.len(), 2, "{what}");
        let names = checkpoints(&session);
        assert_eq!(names.len(), 1 + 2 * 4 + 1 + 2, "{what}: {names:?}");
        let mut alone: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for name in &names {
            let result = batch.run(&session, &RunOptions::new().taps(&[name]));
            let mut found = bits(&result);
            let (_, tap) = found.pop().expect("a tap");
            assert_eq!(found, plain, "{what}: tapping {name} changed an output");
            assert!(tap.iter().any(|&byte| byte != 0), "{what}: {name} is all zeros");
            alone.insert(name, tap);
        }
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let every_other: Vec<&str> = all.iter().rev().copied().step_by(2).collect();
        for taps in [all, every_other] {
            let found = bits(&batch.run(&session, &RunOptions::new().taps(&taps)));
            let (outputs, tapped) = found.split_at(plain.len());
            assert_eq!(outputs, plain, "{what}: tapping {taps:?} changed an output");
            for (name, tap) in tapped {
                assert_eq!(*tap, alone[name.as_str()], "{what}: {name} depends on what else is tapped");
            }
        }
    }
}

#[test]
fn choosing_outputs_leaves_their_bits() {
    let batch = Batch::of(&random_rows(4, &LENGTHS));
    for (what, session) in sessions() {
        let plain: BTreeMap<String, Vec<u8>> =
            bits(&batch.run(&session, &RunOptions::new())).into_iter().collect();
        for outputs in
            [&["pooler_output"][..], &["last_hidden_state"], &["pooler_output", "last_hidden_state"]]
        {
            let found = bits(&batch.run(&session, &RunOptions::new().outputs(outputs)));
            assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), outputs, "{what}");
            for (name, output) in &found {
                assert_eq!(output, &plain[name], "{what}: {name} alone differs");
            }
            let options = RunOptions::new().outputs(outputs).taps(&["encoder.0.output", "pooler"]);
            assert_eq!(
                bits(&batch.run(&session, &options))[..found.len()],
                found,
                "{what}: {outputs:?} with taps"
            );
        }
    }
}

/// At the sizes where kernels cut their work in blocks, and with the weights of a real model.
#[test]
fn tapping_every_layer_of_the_trained_model_leaves_the_logits() {
    for dtype in [DType::F32, DType::F16, DType::Bf16] {
        let model = load(&bert_small("field-extractor"), dtype);
        let batch = Batch::of(&excerpt_ids()[..4]);
        for packing in [Packing::Auto, Packing::Off] {
            let session = session(&model, cpu(), packing);
            let plain = bits(&batch.run(&session, &RunOptions::new()));
            let names = checkpoints(&session);
            let taps: Vec<&str> = names.iter().map(String::as_str).collect();
            let tapped = bits(&batch.run(&session, &RunOptions::new().taps(&taps)));
            assert_eq!(tapped[..1], plain, "{dtype}, {packing:?}");
            assert_eq!(tapped.len(), 1 + taps.len());
        }
    }
}

#[test]
fn unknown_names_list_what_there_is() {
    let batch = Batch::of(&random_rows(5, &LENGTHS));
    let inputs =
        [("input_ids", &batch.ids), ("token_type_ids", &batch.types), ("attention_mask", &batch.mask)];
    for (what, session) in sessions() {
        let tap = session.run_with(&inputs, &RunOptions::new().taps(&["encoder.7.output"])).unwrap_err();
        let text = told(&tap);
        assert!(
            text.contains("no checkpoint `encoder.7.output`") && text.contains("encoder.1.output"),
            "{what}: {text}"
        );
        let output = session.run_with(&inputs, &RunOptions::new().outputs(&["logits"])).unwrap_err();
        let text = told(&output);
        assert!(
            text.contains("no output `logits`") && text.contains("last_hidden_state, pooler_output"),
            "{what}: {text}"
        );
        let twice = session.run_with(&inputs, &RunOptions::new().taps(&["pooler", "pooler"])).unwrap_err();
        assert!(told(&twice).contains("two checkpoints are called `pooler`"), "{what}: {}", told(&twice));
        let result = batch.run(&session, &RunOptions::new().taps(&["pooler"]));
        let text = told(&result.tap("embeddings").unwrap_err());
        assert!(text.contains("gave no `embeddings`") && text.contains("pooler"), "{what}: {text}");
        assert_eq!(
            result.tap("pooler").expect("a tap").bytes(),
            result.output("pooler_output").expect("it").bytes()
        );
    }
}
