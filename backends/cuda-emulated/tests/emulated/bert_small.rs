//! The whole BERT-Small graph through the CUDA plan and kernels, on the emulator.

use lockstep_bert::fixtures::padded_inputs;
use lockstep_bert::{BertModel, LoadOptions};
use lockstep_conformance::replay::{Modes, Replay};
use lockstep_cuda_emulated::{EmulatedCuda, LaneOrder};
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Device, Packing, RunOptions, Session};
use std::path::Path;
use std::sync::Arc;

fn emulated() -> Arc<dyn Device> {
    EmulatedCuda::new().open(0).unwrap()
}

fn session(device: Arc<dyn Device>, dtype: DType) -> (BertModel, Session) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/bert-small/document-classifier");
    let model = BertModel::load(&folder, LoadOptions { dtype, ..LoadOptions::default() }).unwrap();
    let session = Session::builder(model.graph().clone()).device(device).packing(Packing::Required).build();
    (model, session.unwrap())
}

fn given<'a>(inputs: &'a [(&'static str, HostTensor); 3]) -> Vec<(&'a str, &'a HostTensor)> {
    inputs.iter().map(|(name, tensor)| (*name, tensor)).collect()
}

#[test]
fn every_op_holds_in_every_dtype() {
    for dtype in [DType::F32, DType::F16, DType::Bf16] {
        let (_, session) = session(emulated(), dtype);
        let replay = Replay::new(ReferenceBackend::new().open(0).unwrap(), session).unwrap();
        let inputs = padded_inputs(&[5, 9]);
        let found =
            replay.run(&given(&inputs), Modes { isolated: true, cumulative: true }, &|_, _| {}).unwrap();
        let guilty: Vec<String> = found
            .guilty()
            .iter()
            .map(|step| format!("{} {} {:?}", step.node, step.op, step.isolated))
            .collect();
        assert!(found.holds(), "{dtype}: {guilty:?} {:?}", found.outputs);
        assert!(found.steps.iter().all(|step| step.isolated.is_some()));
    }
}

fn logits(session: &Session, inputs: &[(&'static str, HostTensor); 3]) -> Vec<u8> {
    let result = session.run_with(&given(inputs), &RunOptions::new()).unwrap();
    result.output("logits").unwrap().bytes().to_vec()
}

#[test]
fn a_sequence_alone_and_among_others_has_the_same_bits_and_taps_change_none() {
    let (model, session) = session(emulated(), DType::F16);
    let batch = padded_inputs(&[7, 12, 3]);
    let all = logits(&session, &batch);
    let width = all.len() / 3;
    // The first row alone: the same ids, since they depend on the row and the position.
    assert_eq!(logits(&session, &padded_inputs(&[7])), all[..width]);
    let checkpoints: Vec<&str> = model.graph().checkpoints().iter().map(|(name, _)| name.as_str()).collect();
    let tapped = session.run_with(&given(&batch), &RunOptions::new().taps(&checkpoints)).unwrap();
    assert_eq!(tapped.output("logits").unwrap().bytes(), all);
    assert_eq!(tapped.taps().len(), checkpoints.len());
}

#[test]
fn the_order_in_which_threads_take_turns_changes_no_bit() {
    let batch = padded_inputs(&[6, 4]);
    let bits = [LaneOrder::Ascending, LaneOrder::Descending].map(|order| {
        let device = EmulatedCuda::new().lane_order(order).open(0).unwrap();
        logits(&session(device, DType::F32).1, &batch)
    });
    assert_eq!(bits[0], bits[1]);
}

#[test]
fn two_sessions_and_many_threads_share_a_device() {
    let device = emulated();
    let sessions = [DType::F32, DType::F16].map(|dtype| session(device.clone(), dtype).1);
    let batches = [padded_inputs(&[3]), padded_inputs(&[5, 2])];
    std::thread::scope(|scope| {
        for session in &sessions {
            for batch in &batches {
                scope.spawn(move || {
                    let first = logits(session, batch);
                    assert!((0..2).all(|_| logits(session, batch) == first));
                });
            }
        }
    });
}
