//! Whole BERT-Small models on two devices, op by op.

use crate::models;
use lockstep_conformance::mutant::Mutant;
use lockstep_conformance::recipes::{Fault, Recipe};
use lockstep_conformance::replay::{Modes, Replay, Replayed};
use lockstep_conformance::verdict::Verdict;
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Device, Packing};
use models::{bert_small, candle, cpu, load, reference, session};
use std::sync::Arc;

const BOTH: Modes = Modes { isolated: true, cumulative: true };

/// Two sequences, the second of them padded.
fn inputs() -> [(&'static str, HostTensor); 3] {
    let ids: Vec<i64> = (0..18).map(|at| 101 + at * 97 % 900).collect();
    let mask: Vec<i64> = (0..18).map(|at| i64::from(at < 14)).collect();
    let tensor = |values: &[i64]| HostTensor::from_slice(&[2, 9], values).expect("two rows of nine");
    [("input_ids", tensor(&ids)), ("token_type_ids", tensor(&[0; 18])), ("attention_mask", tensor(&mask))]
}

fn replayed(trusted: Arc<dyn Device>, tested: Arc<dyn Device>, dtype: DType, packing: Packing) -> Replayed {
    let model = load(&bert_small("document-classifier"), dtype);
    let replay = Replay::new(trusted, session(&model, tested, packing)).expect("a replay");
    let inputs = inputs();
    let given: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    replay.run(&given, BOTH, &|_, _| {}).expect("both devices run it")
}

/// Says which steps do not hold.
fn guilty(replayed: &Replayed) -> Vec<String> {
    replayed.guilty().iter().map(|step| format!("{} {} {:?}", step.node, step.op, step.isolated)).collect()
}

#[test]
fn the_processor_holds_in_every_dtype() {
    for dtype in [DType::F32, DType::F16, DType::Bf16] {
        let found = replayed(reference(), cpu(), dtype, Packing::Auto);
        assert!(found.holds(), "{dtype}: {:?} {:?}", guilty(&found), found.outputs);
        assert!(found.steps.iter().all(|step| step.isolated.is_some()));
    }
}

#[test]
fn two_libraries_hold_against_each_other() {
    for (trusted, tested) in [(candle(), cpu()), (cpu(), candle())] {
        let found = replayed(trusted, tested, DType::F32, Packing::Off);
        assert!(found.holds(), "{:?} {:?}", guilty(&found), found.outputs);
    }
}

/// The tested stream is what the device really computes: its steps, one by one, give the bits of a whole run.
#[test]
fn steps_run_one_by_one_give_the_bits_of_a_whole_run() {
    for device in [cpu(), candle()] {
        let found = replayed(reference(), device, DType::F32, Packing::Off);
        let whole: Vec<Option<bool>> =
            found.outputs.iter().map(|output| output.whole_run_equals_steps).collect();
        assert_eq!(whole, [Some(true)]);
    }
}

#[test]
fn the_reference_is_exact_against_itself() {
    let found = replayed(reference(), reference(), DType::F64, Packing::Off);
    assert!(found.steps.iter().all(|step| step.verdict == Verdict::Exact), "{:?}", guilty(&found));
}

#[test]
fn every_checkpoint_and_output_is_found_among_the_steps() {
    let model = load(&bert_small("document-classifier"), DType::F32);
    for packing in [Packing::Off, Packing::Required] {
        let found = replayed(reference(), cpu(), DType::F32, packing);
        for (name, _) in model.graph().checkpoints() {
            assert!(
                found.steps.iter().any(|step| step.checkpoint.as_ref() == Some(name)),
                "{packing:?}: {name}"
            );
        }
    }
}

/// One fault at one node of a whole model: the replay must name that node, and no other before it.
#[test]
fn a_fault_is_named_where_it_was_made() {
    let model = load(&bert_small("document-classifier"), DType::F32);
    let (site, fault) = ("encoder.2.output.LayerNorm", Fault::VarianceOverNMinus1);
    let mutant = Mutant::device(cpu(), Recipe::faulty(fault), Some(site));
    let replay = Replay::new(reference(), session(&model, mutant, Packing::Off)).expect("a replay");
    let inputs = inputs();
    let given: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let found = replay.run(&given, BOTH, &|_, _| {}).expect("both devices run it");
    let accused = found.guilty();
    assert_eq!(accused.iter().map(|step| step.node.as_str()).collect::<Vec<_>>(), [site]);
    assert_eq!(accused[0].fingerprints[0].fault, fault, "{:?}", accused[0].fingerprints);
    assert!(accused[0].blame.is_some_and(|blame| blame > 0.99), "{:?}", accused[0].blame);
    assert_eq!(found.outputs[0].whole_run_equals_steps, Some(true));
}
