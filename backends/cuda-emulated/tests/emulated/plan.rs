//! BERT-Small's launch list as data: what runs for which node, and that no command names memory that is not its step's.

use lockstep_bert::{BertModel, LoadOptions};
use lockstep_cuda::launch::{Argument, Command, LaunchList, Place};
use lockstep_cuda::launch_list;
use lockstep_cuda_emulated::EmulatedCuda;
use lockstep_hal::{Location, OperandId, Program};
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Packing, RunOptions, Session};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The program of these sequences, packed, and its list.
fn planned(dtype: DType, lengths: &[usize]) -> (Arc<Program>, LaunchList) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/bert-small/document-classifier");
    let model = BertModel::load(&folder, LoadOptions { dtype, ..LoadOptions::default() }).unwrap();
    let device = EmulatedCuda::new().open(0).unwrap();
    let session =
        Session::builder(model.graph().clone()).device(device).packing(Packing::Required).build().unwrap();
    let longest = lengths.iter().copied().max().unwrap();
    let shape = [lengths.len(), longest];
    let mask: Vec<i64> =
        lengths.iter().flat_map(|&length| (0..longest).map(move |at| i64::from(at < length))).collect();
    let tensor = |values: &[i64]| HostTensor::from_slice(&shape, values).unwrap();
    let inputs = [tensor(&vec![7; mask.len()]), tensor(&vec![0; mask.len()]), tensor(&mask)];
    let given = [("input_ids", &inputs[0]), ("token_type_ids", &inputs[1]), ("attention_mask", &inputs[2])];
    let (bound, _) = session.bind(&given, &RunOptions::new()).unwrap();
    let list = launch_list(&bound.program).unwrap();
    (bound.program, list)
}

/// As it is allocated: weights as they are stored, arena and staging in a power of two. What the driver takes for itself is not
/// in it.
#[test]
fn thirty_two_sequences_of_128_tokens_take_less_than_150_mb() {
    let (program, _) = planned(DType::F16, &[128; 32]);
    let weights: BTreeMap<_, usize> = program
        .steps()
        .iter()
        .flat_map(|step| &step.inputs)
        .filter_map(|&id| match &program.operand(id).location {
            Location::Constant(constant) => {
                Some((format!("{:?}", constant.key()), constant.tensor().bytes().len()))
            }
            _ => None,
        })
        .collect();
    let weights: usize = weights.values().sum();
    let staging: usize =
        program.io().iter().map(|&id| program.operand(id).bytes().next_multiple_of(256)).sum();
    let scratch = (program.arena_bytes() + staging).next_power_of_two();
    let all = weights + scratch;
    assert!(all < 150_000_000, "{weights} of weights, {scratch} of scratch, {all} in all");
}

#[test]
fn the_launches_of_bert_small_are_known() {
    let (_, list) = planned(DType::F16, &[5, 9]);
    let snapshot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/bert_small_f16.txt");
    if std::env::var_os("LOCKSTEP_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&snapshot, list.to_string()).unwrap();
    }
    let known = std::fs::read_to_string(&snapshot).unwrap();
    assert!(
        list.to_string() == known,
        "the launches changed; if they should, run again with LOCKSTEP_UPDATE_SNAPSHOTS=1 and look at the difference:\n{list}"
    );
}

/// The places that a command names, each with the bytes that must lie there at least.
fn places(command: &Command) -> Vec<(Place, usize)> {
    match command {
        Command::Launch(launch) => (launch.arguments.iter())
            .filter_map(|argument| match argument {
                Argument::Pointer(place) => Some((*place, 1)),
                _ => None,
            })
            .collect(),
        Command::Copy { from, to, bytes } => vec![(*from, *bytes), (*to, *bytes)],
        Command::Zero { at, bytes } => vec![(*at, *bytes)],
    }
}

#[test]
fn a_step_names_only_its_own_memory() {
    for dtype in [DType::F32, DType::F16, DType::Bf16] {
        let (program, list) = planned(dtype, &[5, 9]);
        assert_eq!(list.steps.len(), program.steps().len());
        for (step, commands) in program.steps().iter().zip(&list.steps) {
            let arena = |id: &OperandId| match &program.operand(*id).location {
                Location::Arena(range) => Some(range.clone()),
                _ => None,
            };
            let operands: Vec<Range<usize>> =
                step.inputs.iter().chain(&step.outputs).filter_map(arena).collect();
            // Scratch lies beside everything that the step reads or writes.
            for range in &operands {
                let apart = range.end <= step.workspace.start || step.workspace.end <= range.start;
                assert!(apart || step.workspace.is_empty(), "{}: {range:?} {:?}", step.name, step.workspace);
            }
            for command in &list.commands[commands.commands.clone()] {
                for (place, bytes) in places(command) {
                    let Place::Arena(at) = place else { continue };
                    let own = operands.iter().chain([&step.workspace]);
                    assert!(
                        own.clone().any(|range| range.start <= at && at + bytes <= range.end),
                        "{dtype}: {} names {bytes} bytes at {at}, which are not its own",
                        step.name
                    );
                }
            }
        }
    }
}

#[test]
fn a_list_is_the_same_every_time() {
    assert!(planned(DType::F16, &[5, 9]).1 == planned(DType::F16, &[5, 9]).1);
}
