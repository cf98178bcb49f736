//! PyTorch's float64 results on the trained weights, as truth for every backend.

use crate::models;
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::TensorSource;
use lockstep_runtime::{Device, Packing, RunOptions};
use models::*;
use std::sync::Arc;

/// Documents that the slow reference runs; the others run all 64.
const REFERENCE_DOCUMENTS: usize = 8;
const HIDDEN_DOCUMENTS: usize = 2;
const LAYERS: usize = 4;

fn truth(name: &str) -> Vec<f64> {
    let source = TensorSource::open(&bert_small("excerpt/golden.safetensors")).expect("the excerpt");
    source.tensor(name).expect("a golden tensor").to_f64()
}

/// The largest errors of class and tag logits over the first `documents`.
fn logit_errors(device: &Arc<dyn Device>, dtype: DType, documents: usize) -> (f64, f64) {
    let rows = excerpt_ids()[..documents].to_vec();
    let tokens: usize = rows.iter().map(Vec::len).sum();
    let batch = Batch::of(&rows);
    let run = |folder: &str| {
        let model = load(&bert_small(folder), dtype);
        let session = session(&model, device.clone(), Packing::Auto);
        batch.run(&session, &RunOptions::new()).output("logits").expect("logits").clone()
    };
    let class = run("document-classifier").to_f64();
    let tags = token_rows(&run("field-extractor"), &rows);
    (
        largest_difference(&class, &truth("class_logits")[..documents * 12]),
        largest_difference(&tags, &truth("tag_logits")[..tokens * 19]),
    )
}

fn hidden_error(device: &Arc<dyn Device>, dtype: DType) -> f64 {
    let model = load(&bert_small("document-classifier"), dtype);
    let session = session(&model, device.clone(), Packing::Auto);
    let names: Vec<String> = std::iter::once("embeddings".to_owned())
        .chain((0..LAYERS).map(|layer| format!("encoder.{layer}.output")))
        .collect();
    let taps: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut worst: f64 = 0.0;
    for (document, row) in excerpt_ids()[..HIDDEN_DOCUMENTS].iter().enumerate() {
        let result = Batch::of(std::slice::from_ref(row)).run(&session, &RunOptions::new().taps(&taps));
        for (layer, name) in names.iter().enumerate() {
            let truth = truth(&format!("hidden_{document}_{layer}"));
            worst = worst.max(largest_difference(&result.tap(name).expect("a tap").to_f64(), &truth));
        }
    }
    worst
}

fn hold(what: &str, error: f64, limit: f64) {
    eprintln!("{what}: {error:.3e} (limit {limit:.1e})");
    assert!(error <= limit, "{what}: {error:.3e} is over {limit:.1e}");
}

#[test]
fn the_reference_is_pytorch_in_float64() {
    let (class, tags) = logit_errors(&reference(), DType::F64, REFERENCE_DOCUMENTS);
    hold("reference f64, class logits", class, 1e-9);
    hold("reference f64, tag logits", tags, 1e-9);
    hold("reference f64, hidden states", hidden_error(&reference(), DType::F64), 1e-9);
}

#[test]
fn candle_in_f64_is_pytorch_in_float64() {
    let (class, tags) = logit_errors(&candle(), DType::F64, 64);
    hold("candle f64, class logits", class, 1e-9);
    hold("candle f64, tag logits", tags, 1e-9);
    hold("candle f64, hidden states", hidden_error(&candle(), DType::F64), 1e-9);
}

#[test]
fn the_cpu_in_f32_is_near_pytorch_in_float64() {
    let (class, tags) = logit_errors(&cpu(), DType::F32, 64);
    hold("cpu f32, class logits", class, 1e-5);
    hold("cpu f32, tag logits", tags, 3e-5);
    hold("cpu f32, hidden states", hidden_error(&cpu(), DType::F32), 3e-5);
}

/// PyTorch's own distances in these formats, from the weights' README.
#[test]
fn the_cpu_in_half_precision_is_no_farther_than_pytorch() {
    for (dtype, class_limit, tag_limit) in [(DType::F16, 4.2e-3, 3.2e-2), (DType::Bf16, 3.2e-2, 1.9e-1)] {
        let (class, tags) = logit_errors(&cpu(), dtype, 64);
        hold(&format!("cpu {dtype}, class logits"), class, class_limit);
        hold(&format!("cpu {dtype}, tag logits"), tags, tag_limit);
    }
}
