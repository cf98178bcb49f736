//! Small random models of every kind that is exported, and the settings that change their graphs.

use crate::distance::farthest_of;
use crate::interpreter::run;
use crate::models::{Exported, numbers};
use lockstep_bert::fixtures::{Fixture, FixtureHead};
use lockstep_bert::model::{BertModel, LoadOptions};
use lockstep_bert::pooling::Pooling;
use lockstep_graph::{DType, Graph, HostTensor};
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::{Backend, Session};

fn graph(fixture: &Fixture, dtype: DType) -> Graph {
    let folder = tempfile::tempdir().unwrap();
    fixture.write(folder.path()).unwrap();
    BertModel::load(folder.path(), LoadOptions { dtype, ..LoadOptions::default() }).unwrap().graph().clone()
}

/// How far a model compiled in a precision is from f64, at most, on two sequences of which one ends early.
fn distance(fixture: &Fixture, dtype: DType, precision: &str) -> f64 {
    let ids = numbers(&[2, 6], &[2, 7, 9, 11, 5, 3, 2, 8, 8, 3, 0, 0]);
    let types = numbers(&[2, 6], &[0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
    let mask = numbers(&[2, 6], &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
    let inputs = [ids, types, mask];
    let device = ReferenceBackend::new().open(0).unwrap();
    let wide = graph(fixture, DType::F64);
    let names: Vec<String> = wide.inputs().iter().map(|&id| wide.value(id).name.clone()).collect();
    let fed: Vec<_> = names.iter().map(String::as_str).zip(&inputs).collect();
    let truth = Session::builder(wide.clone()).device(device).build().unwrap().run(&fed).unwrap();

    let shapes: Vec<String> = names.iter().map(|name| format!("{name}:-1,6")).collect();
    let shape = format!("--input_shape={}", shapes.join(";"));
    let mode = format!("--precision_mode_v2={precision}");
    let compiled =
        Exported::of(&graph(fixture, dtype), &[]).compiled(&[&shape, "--dynamic_batch_size=1,2", &mode]);
    let compiled = compiled.unwrap_or_else(|error| panic!("{:?}: {error}", fixture.head));
    let given = run(compiled.model(), compiled.constants(), &inputs);
    assert_eq!(given.len(), truth.outputs().iter().count());
    let mut farthest = 0.0f64;
    for ((name, expected), found) in truth.outputs().iter().zip(&given) {
        assert_eq!(found.shape(), expected.shape(), "{name}");
        let padded = expected.shape().len() == 3;
        let width = expected.element_count() / if padded { 12 } else { 1 };
        // Nobody reads what a padded token gives.
        let kept = |tensor: &HostTensor| {
            let all = tensor.to_f64().into_iter().enumerate();
            let read = all.filter(|(at, _)| !padded || ![10, 11].contains(&(at / width)));
            read.map(|(_, x)| x).collect::<Vec<f64>>()
        };
        farthest = farthest.max(farthest_of(&kept(found), &kept(expected)));
    }
    farthest
}

#[test]
fn every_head_gives_what_the_reference_gives() {
    let poolings = [Pooling::Cls, Pooling::Mean, Pooling::Max];
    let embeddings = poolings.into_iter().map(FixtureHead::Embedding);
    let heads = [
        FixtureHead::Encoder,
        FixtureHead::EncoderWithoutPooler,
        FixtureHead::SequenceClassification(3),
        FixtureHead::TokenClassification(5),
        FixtureHead::NormalizedEmbedding(Pooling::Mean),
    ];
    for head in heads.into_iter().chain(embeddings) {
        let fixture = Fixture { head, ..Fixture::default() };
        for (dtype, precision, bound) in [
            (DType::F32, "origin", 1e-5),
            (DType::F32, "mixed_float16", 0.02),
            (DType::F16, "origin", 0.02),
            (DType::F16, "fp16", 0.02),
        ] {
            let distance = distance(&fixture, dtype, precision);
            assert!(distance < bound, "{head:?}, {dtype}, {precision}: {distance}");
        }
    }
}

#[test]
fn the_tanh_form_is_fused_in_whole_models() {
    let fixture = Fixture { hidden_act: "gelu_new", ..Fixture::default() };
    assert!(distance(&fixture, DType::F32, "origin") < 1e-5);
    let exported = Exported::of(&graph(&fixture, DType::F32), &[]);
    let shape = "--input_shape=input_ids:1,4;token_type_ids:1,4;attention_mask:1,4";
    let compiled = exported.compiled(&[shape, "--precision_mode_v2=origin"]).unwrap();
    assert_eq!(compiled.report().fused().tanh_gelus, 2);
}
