//! The whole BERT-Small graph through aclnn's operators, on the simulator.

use lockstep_ascend::AscendBackend;
use lockstep_bert::fixtures::padded_inputs;
use lockstep_bert::{BertModel, LoadOptions};
use lockstep_conformance::replay::{Modes, Replay};
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Device, RunOptions, Session};
use std::path::Path;
use std::sync::Arc;

fn simulated() -> Arc<dyn Device> {
    AscendBackend::simulator().open(0).unwrap()
}

fn session(device: Arc<dyn Device>, task: &str, dtype: DType) -> (BertModel, Session) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/bert-small").join(task);
    let model = BertModel::load(&folder, LoadOptions { dtype, ..LoadOptions::default() }).unwrap();
    let session = Session::builder(model.graph().clone()).device(device).build().unwrap();
    (model, session)
}

fn given<'a>(inputs: &'a [(&'static str, HostTensor); 3]) -> Vec<(&'a str, &'a HostTensor)> {
    inputs.iter().map(|(name, tensor)| (*name, tensor)).collect()
}

fn logits(session: &Session, inputs: &[(&'static str, HostTensor); 3]) -> Vec<u8> {
    let result = session.run_with(&given(inputs), &RunOptions::new()).unwrap();
    result.output("logits").unwrap().bytes().to_vec()
}

#[test]
fn every_op_holds_in_every_dtype_and_task() {
    for task in ["document-classifier", "field-extractor"] {
        for dtype in [DType::F32, DType::F16, DType::Bf16] {
            let (_, session) = session(simulated(), task, dtype);
            let replay = Replay::new(ReferenceBackend::new().open(0).unwrap(), session).unwrap();
            let inputs = padded_inputs(&[5, 9]);
            let modes = Modes { isolated: true, cumulative: true };
            let found = replay.run(&given(&inputs), modes, &|_, _| {}).unwrap();
            let guilty: Vec<String> = found
                .guilty()
                .iter()
                .map(|step| format!("{} {} {:?}", step.node, step.op, step.isolated))
                .collect();
            assert!(found.holds(), "{task} {dtype}: {guilty:?} {:?}", found.outputs);
            assert!(found.steps.iter().all(|step| step.isolated.is_some()));
        }
    }
}

#[test]
fn a_run_is_one_submission_from_the_second_on_and_nothing_is_waited_for() {
    let (_, session) = session(simulated(), "document-classifier", DType::F16);
    let batch = padded_inputs(&[7, 12, 3]);
    let first = logits(&session, &batch);
    let works: Vec<_> = (0..3)
        .map(|_| {
            let result = session.run_with(&given(&batch), &RunOptions::new()).unwrap();
            assert_eq!(result.output("logits").unwrap().bytes(), first);
            result.work().unwrap()
        })
        .collect();
    for work in works {
        assert_eq!((work.submissions, work.waits), (1, 0), "{work:?}");
        assert!(work.operators > 50 && work.device_bytes > 20 << 20, "{work:?}");
    }
}

#[test]
fn taps_change_no_bit() {
    let (model, session) = session(simulated(), "document-classifier", DType::F16);
    let batch = padded_inputs(&[7, 12, 3]);
    let all = logits(&session, &batch);
    let checkpoints: Vec<&str> = model.graph().checkpoints().iter().map(|(name, _)| name.as_str()).collect();
    let tapped = session.run_with(&given(&batch), &RunOptions::new().taps(&checkpoints)).unwrap();
    assert_eq!(tapped.output("logits").unwrap().bytes(), all);
    assert_eq!(tapped.taps().len(), checkpoints.len());
}

#[test]
fn two_devices_two_sessions_and_many_threads_do_not_disturb_each_other() {
    let devices = [simulated(), AscendBackend::simulator().open(1).unwrap()];
    let sessions: Vec<Session> = devices
        .iter()
        .flat_map(|device| {
            [DType::F32, DType::F16].map(|dtype| session(device.clone(), "document-classifier", dtype).1)
        })
        .collect();
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
