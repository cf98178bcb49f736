//! The story of a port (`docs/porting.md`): operators taken by their names are found guilty one by one, each with what is wrong
//! with it; the careful ones are not.

use crate::child;
use lockstep_ascend::AscendBackend;
use lockstep_bert::{BertModel, LoadOptions};
use lockstep_conformance::conform::{Expectations, Selection, conform};
use lockstep_conformance::recipes::Fault;
use lockstep_conformance::replay::{Modes, Replay};
use lockstep_conformance::verdict::Verdict;
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Device, Session};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

fn naive() -> Arc<dyn Device> {
    AscendBackend::naive().open(0).unwrap()
}

/// The guilty ops of BERT-Small in f16, with the faults that explain them best.
fn guilty(device: Arc<dyn Device>) -> BTreeMap<String, Vec<Option<Fault>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/bert-small/document-classifier");
    let model =
        BertModel::load(&folder, LoadOptions { dtype: DType::F16, ..LoadOptions::default() }).unwrap();
    let session = Session::builder(model.graph().clone()).device(device).build().unwrap();
    let replay = Replay::new(ReferenceBackend::new().open(0).unwrap(), session).unwrap();
    let tensor = |value: &dyn Fn(usize) -> i64| {
        HostTensor::from_slice(&[2, 16], &(0..32).map(value).collect::<Vec<i64>>()).unwrap()
    };
    let (ids, types, mask) = (tensor(&|at| 101 + (at * 97) as i64 % 900), tensor(&|_| 0), tensor(&|_| 1));
    let inputs = [("input_ids", &ids), ("token_type_ids", &types), ("attention_mask", &mask)];
    let found = replay.run(&inputs, Modes { isolated: true, cumulative: true }, &|_, _| {}).unwrap();
    let mut guilty: BTreeMap<String, Vec<Option<Fault>>> = BTreeMap::new();
    for step in found.guilty() {
        let fault = step.fingerprints.first().map(|first| first.fault);
        guilty.entry(step.op.clone()).or_default().push(fault);
    }
    guilty
}

#[test]
fn a_naive_port_is_found_guilty_of_its_layer_norms_and_gelus_and_of_nothing_else() {
    let guilty = guilty(naive());
    let ops: Vec<&str> = guilty.keys().map(String::as_str).collect();
    assert_eq!(ops, ["GeluErf", "LayerNorm"], "{guilty:?}");
    // Each of the four layers' GELU, and what is wrong with it.
    assert_eq!(guilty["GeluErf"], [Some(Fault::OtherGeluForm); 4]);
    assert!(guilty["LayerNorm"].iter().all(|fault| *fault == Some(Fault::NormOfF16Affine)), "{guilty:?}");
}

#[test]
fn the_careful_port_is_not() {
    assert_eq!(guilty(AscendBackend::simulator().open(0).unwrap()), BTreeMap::new());
}

#[test]
fn a_naive_index_add_rounds_at_each_addition_and_has_no_fixed_order() {
    if child::case().is_none() {
        // The order in which a device without a fixed one adds, drawn anew for each launch.
        let test = "a_naive_index_add_rounds_at_each_addition_and_has_no_fixed_order";
        let ran = child::run(module_path!(), test, "shuffled", &[("LOCKSTEP_ASCEND_SIM_SHUFFLE", "7")]);
        assert!(ran.ended_well, "{}", ran.said);
        return;
    }
    let selection = Selection { op: Some("IndexAdd".into()), ..Selection::default() };
    let of =
        |device: &Arc<dyn Device>| conform(device, &selection, &Expectations::default(), &|_, _| {}).unwrap();
    let (careful, naive) = (of(&AscendBackend::simulator().open(0).unwrap()), of(&naive()));
    let wrong = |found: &lockstep_conformance::conform::Conformance, dtype: DType| {
        found
            .cases
            .iter()
            .filter(|case| case.dtype == dtype && matches!(case.verdict, Verdict::Wrong))
            .count()
    };
    assert!(wrong(&naive, DType::F16) > 0 && wrong(&naive, DType::Bf16) > 0);
    assert_eq!(wrong(&careful, DType::F16) + wrong(&careful, DType::Bf16), 0);
    let broken = |found: &lockstep_conformance::conform::Conformance| {
        found.properties.iter().filter(|property| !property.verdict.holds()).count()
    };
    assert_eq!(broken(&careful), 0);
    assert!(broken(&naive) > 0, "{:?}", naive.properties);
}
