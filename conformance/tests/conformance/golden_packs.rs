//! What one device recorded, another is held against; what does not fit is refused.

use crate::models;
use lockstep_conformance::golden::{Error, Pack, Recording, check, record};
use lockstep_conformance::mutant::Mutant;
use lockstep_conformance::recipes::{Fault, Recipe};
use lockstep_conformance::verdict::Verdict;
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Device, Packing};
use models::{bert_small, candle, cpu, load, session};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn inputs() -> [(&'static str, HostTensor); 3] {
    let tensor = |values: &[i64]| HostTensor::from_slice(&[2, 6], values).expect("two rows of six");
    let ids: Vec<i64> = (0..12).map(|at| 101 + at * 31).collect();
    let mask: Vec<i64> = (0..12).map(|at| i64::from(at < 9)).collect();
    [("input_ids", tensor(&ids)), ("token_type_ids", tensor(&[0; 12])), ("attention_mask", tensor(&mask))]
}

/// A pack in a folder that lives as long as it does.
fn recorded(device: Arc<dyn Device>, dtype: DType, keep_checkpoints: bool) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let pack = folder.path().join("pack");
    let model = load(&bert_small("document-classifier"), dtype);
    let session = session(&model, device, Packing::Auto);
    let inputs = inputs();
    let given: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let recording = Recording {
        model: "document-classifier",
        graph: model.graph(),
        dtype,
        inputs_described: "two rows",
        inputs: &given,
        keep_checkpoints,
        documents: None,
    };
    record(&session, &recording, &pack).expect("a pack");
    (folder, pack)
}

fn edited(pack: &Path, file: &str, edit: impl Fn(Vec<u8>) -> Vec<u8>) -> Error {
    let path = pack.join(file);
    let before = fs::read(&path).expect("a file of the pack");
    fs::write(&path, edit(before.clone())).expect("the file is written");
    let error = Pack::open(pack).map(|_| ()).expect_err("a damaged pack");
    fs::write(&path, before).expect("the file is restored");
    error
}

#[test]
fn a_device_against_its_own_pack_is_exact_and_another_as_accurate() {
    let (_folder, pack) = recorded(cpu(), DType::F32, true);
    let model = load(&bert_small("document-classifier"), DType::F32);
    let pack = Pack::open(&pack).expect("the pack");
    for (device, exact) in [(cpu(), true), (candle(), false)] {
        let packing = if exact { Packing::Auto } else { Packing::Off };
        let found =
            check(&pack, model.graph(), session(&model, device, packing), &|_, _| {}).expect("a check");
        assert!(found.holds(), "{:#?}", found.values);
        for value in &found.values {
            let fits = if exact {
                value.verdict == Verdict::Exact
            } else {
                value.ratio.is_some_and(|ratio| ratio < 10.0)
            };
            assert!(fits, "{value:?}");
        }
    }
}

#[test]
fn a_faulty_device_is_found_against_a_pack_of_another() {
    let (_folder, pack) = recorded(cpu(), DType::F32, false);
    let model = load(&bert_small("document-classifier"), DType::F32);
    let site = "encoder.1.attention.output.LayerNorm";
    let mutant = Mutant::device(cpu(), Recipe::faulty(Fault::BetaForgotten), Some(site));
    let pack = Pack::open(&pack).expect("the pack");
    let found =
        check(&pack, model.graph(), session(&model, mutant, Packing::Auto), &|_, _| {}).expect("a check");
    assert!(!found.holds());
    assert_eq!(found.replayed.expect("ops were run one by one").guilty()[0].node, site);
}

#[test]
fn damaged_packs_are_refused_by_file() {
    let (_folder, pack) = recorded(cpu(), DType::F32, true);
    for file in ["pack.json", "graph.json", "tensors.safetensors"] {
        let cut = edited(&pack, file, |bytes| bytes[..bytes.len() / 2].to_vec());
        let flipped = edited(&pack, file, |mut bytes| {
            let at = bytes.len() * 3 / 4;
            bytes[at] ^= 1;
            bytes
        });
        for error in [cut, flipped] {
            assert!(matches!(error, Error::Mismatch { .. } | Error::Io { .. }), "{error:?}");
            assert!(error.to_string().contains(file), "{error}");
        }
    }
    let older = |bytes: Vec<u8>| {
        String::from_utf8(bytes).expect("JSON").replace("lockstep-golden/1", "lockstep-golden/0").into_bytes()
    };
    let error = edited(&pack, "pack.json", older);
    assert!(
        error.to_string().contains("lockstep-golden/0") && error.to_string().contains("record the pack anew")
    );
}

#[test]
fn another_model_is_refused_by_its_first_difference() {
    let (_folder, pack) = recorded(cpu(), DType::F32, false);
    let pack = Pack::open(&pack).expect("the pack");
    let other = load(&bert_small("field-extractor"), DType::F32);
    assert!(matches!(pack.fits(other.graph()), Err(Error::Mismatch { .. })));
    let narrow = load(&bert_small("document-classifier"), DType::Bf16);
    let error = pack.fits(narrow.graph()).expect_err("another dtype").to_string();
    assert!(error.contains("this model"), "{error}");
}

#[test]
fn a_pack_is_never_written_over() {
    let (_folder, pack) = recorded(cpu(), DType::F32, false);
    let model = load(&bert_small("document-classifier"), DType::F32);
    let inputs = inputs();
    let given: Vec<(&str, &HostTensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let recording = Recording {
        model: "document-classifier",
        graph: model.graph(),
        dtype: DType::F32,
        inputs_described: "two rows",
        inputs: &given,
        keep_checkpoints: false,
        documents: None,
    };
    let error = record(&session(&model, cpu(), Packing::Auto), &recording, &pack).expect_err("it exists");
    assert!(error.to_string().contains("exists already"), "{error}");
}
