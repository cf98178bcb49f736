//! A fault at one node of BERT-Small is named where it was made, in each dtype.

use crate::models;
use lockstep_conformance::localisation::{Outcome, localise};
use lockstep_conformance::recipes::Fault;
use lockstep_conformance::replay::Replay;
use lockstep_runtime::Packing;
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::HostTensor;
use models::{bert_small, cpu, load, reference, session};

/// Every seventh fault: the whole list is `lockstep conform --mutants --model`.
const EVERY: usize = 7;

#[test]
fn faults_in_a_model_are_named_where_they_were_made() {
    for dtype in [DType::F32, DType::F16, DType::Bf16] {
        let model = load(&bert_small("document-classifier"), dtype);
        let replay = Replay::new(reference(), session(&model, cpu(), Packing::Auto)).expect("a replay");
        let ids = HostTensor::from_slice(&[1, 7], &[101i64, 200, 300, 400, 500, 600, 102]).expect("ids");
        let zeros = HostTensor::from_slice(&[1, 7], &[0i64; 7]).expect("types");
        let mask = HostTensor::from_slice(&[1, 7], &[1i64; 7]).expect("a mask");
        let given = [("input_ids", &ids), ("token_type_ids", &zeros), ("attention_mask", &mask)];
        let trials = replay.trials(&given).expect("trials");
        let faults: Vec<Fault> = Fault::ALL.iter().copied().step_by(EVERY).collect();
        let located = localise(&cpu(), &trials, &faults, 1).expect("judgements");
        let named = located.iter().filter(|one| one.outcome == Outcome::Named).count();
        let misnamed: Vec<_> =
            located.iter().filter(|one| matches!(one.outcome, Outcome::Misnamed(_))).collect();
        eprintln!("{dtype}: {located:#?}");
        assert!(misnamed.is_empty(), "{dtype}: {misnamed:?}");
        assert!(named >= faults.len() / 3, "{dtype}: {located:#?}");
    }
}
