//! A guilty op leaves a pack that is as guilty again, and innocent on a device that is; an edited pack is refused.

mod models;

use lockstep_conformance::conform::{Expectations, Selection, conform};
use lockstep_conformance::mutant::Mutant;
use lockstep_conformance::recipes::{Fault, Recipe};
use lockstep_conformance::repro::{Error, Finder, MOST_KEPT, Pack, write};
use lockstep_conformance::verdict::Verdict;
use lockstep_runtime::Device;
use lockstep_runtime::tensor::DType;
use models::cpu;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// Packs of what a device with a fault fails at.
fn packs(fault: Fault, op: &str, dtype: DType) -> (TempDir, Vec<PathBuf>, Arc<dyn Device>) {
    let mutant = Mutant::device(cpu(), Recipe::faulty(fault), None);
    let selection = Selection { op: Some(op.to_owned()), dtype: Some(dtype) };
    let found = conform(&mutant, &selection, &Expectations::default(), &|_, _| {}).expect("the suite runs");
    let folder = tempfile::tempdir().expect("a folder");
    let finder =
        Finder { model: "suite", device: mutant.info(), trusted: "reference", command: "lockstep conform" };
    let mut packs = Vec::new();
    for offender in found.cases.iter().filter_map(|case| case.offender.as_ref()) {
        let pack = folder.path().join(packs.len().to_string());
        write(offender, finder, &pack).expect("a pack");
        packs.push(pack);
    }
    (folder, packs, mutant)
}

#[test]
fn a_pack_is_guilty_again_on_its_device_and_innocent_on_another() {
    for (fault, op, dtype) in [
        (Fault::VarianceOverNMinus1, "LayerNorm", DType::F32),
        (Fault::MaximumForgotten, "Softmax", DType::F16),
        (Fault::DuplicatesLost, "IndexAdd", DType::Bf16),
        (Fault::ScaleForgotten, "Attention", DType::F32),
        (Fault::BiasForgotten, "LinearGelu", DType::F32),
        (Fault::LastElementStale, "Transpose", DType::F32),
    ] {
        let (_folder, packs, mutant) = packs(fault, op, dtype);
        assert!(!packs.is_empty() && packs.len() <= MOST_KEPT, "{op}: {} packs", packs.len());
        for pack in packs {
            let pack = Pack::open(&pack).expect("the pack");
            let again = pack.again(&mutant).expect("the oracle runs it").expect("one node");
            assert_eq!((again.verdict, again.as_found), (Verdict::Wrong, Some(true)), "{op}");
            let honest = pack.again(&cpu()).expect("the oracle runs it").expect("one node");
            assert!(honest.verdict.holds(), "{op}: {}", honest.in_words());
        }
    }
}

#[test]
fn an_edited_pack_is_refused_by_its_file() {
    let (_folder, packs, _) = packs(Fault::VarianceOverNMinus1, "LayerNorm", DType::F32);
    for file in ["model.onnx", "test_data_set_0/input_0.pb", "found_0.pb", "repro.json"] {
        let path = packs[0].join(file);
        let before = fs::read(&path).expect("a file of the pack");
        let mut after = before.clone();
        after.truncate(before.len() - 3);
        fs::write(&path, after).expect("the file is written");
        let error = Pack::open(&packs[0]).map(|_| ()).expect_err("an edited pack");
        assert!(!matches!(error, Error::Run(_)), "{error:?}");
        assert!(error.to_string().contains(file.rsplit('/').next().expect("a name")), "{error}");
        fs::write(&path, before).expect("the file is restored");
    }
    Pack::open(&packs[0]).expect("the restored pack");
}
