//! The trained classifier of this repository, exported as the command does, against the reference in f64.

use crate::distance::{farthest, farthest_of};
use crate::interpreter::run;
use crate::models::{Exported, ORIGIN};
use lockstep_ascend_container::{Dynamic, Operator, Place};
use lockstep_atc_simulator::Compiled;
use lockstep_bert::model::{BertModel, LoadOptions};
use lockstep_graph::{DType, Graph, HostTensor};
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::{Backend, RunOptions, Session};
use std::path::PathBuf;
use std::sync::OnceLock;

const SHAPE: &str = "--input_shape=input_ids:-1,-1;token_type_ids:-1,-1;attention_mask:-1,-1";
const DIMS: &str = "--dynamic_dims=2,9,2,9,2,9;1,5,1,5,1,5";
const BATCHES: [&str; 2] = [
    "--input_shape=input_ids:-1,128;token_type_ids:-1,128;attention_mask:-1,128",
    "--dynamic_batch_size=1,8,16,32",
];
const LAYERS: usize = 4;
const CUT: [&str; 4] =
    ["embeddings", "encoder.1.attention.self", "encoder.2.intermediate", "encoder.3.output"];

fn loaded(dtype: DType) -> Graph {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../models/bert-small/document-classifier");
    BertModel::load(&folder, LoadOptions { dtype, ..LoadOptions::default() }).unwrap().graph().clone()
}

fn graph() -> &'static Graph {
    static GRAPH: OnceLock<Graph> = OnceLock::new();
    GRAPH.get_or_init(|| loaded(DType::F32))
}

/// The same weights in f64.
fn truth() -> &'static Session {
    static TRUTH: OnceLock<Session> = OnceLock::new();
    TRUTH.get_or_init(|| {
        let device = ReferenceBackend::new().open(0).unwrap();
        Session::builder(loaded(DType::F64)).device(device).build().unwrap()
    })
}

fn exported() -> &'static Exported {
    static EXPORTED: OnceLock<Exported> = OnceLock::new();
    EXPORTED.get_or_init(|| Exported::of(graph(), &CUT))
}

/// Ids, types and a mask, whose second sequence ends early.
fn inputs(batch: usize, length: usize) -> [HostTensor; 3] {
    let shape = [batch, length];
    let of = |f: &dyn Fn(usize, usize) -> i64| {
        let values: Vec<i64> = (0..batch * length).map(|at| f(at / length, at % length)).collect();
        HostTensor::from_slice(&shape, &values).unwrap()
    };
    [
        of(&|row, at| 100 + (row * 977 + at * 131) as i64 % 1000),
        of(&|_, at| i64::from(at > length / 2)),
        of(&|row, at| i64::from(at < length - 4 * row)),
    ]
}

/// How far a compiled model is from the reference, output by output, at one set of extents.
fn distances(compiled: &Compiled, batch: usize, length: usize) -> Vec<f64> {
    let inputs = inputs(batch, length);
    let given = run(compiled.model(), compiled.constants(), &inputs);
    let names: Vec<&str> = graph().inputs().iter().map(|&id| graph().value(id).name.as_str()).collect();
    let fed: Vec<(&str, &HostTensor)> = names.into_iter().zip(&inputs).collect();
    let truth = truth().run_with(&fed, &RunOptions::new().taps(&CUT)).unwrap();
    // Padded tokens are computed by both, but only the others must agree: nobody reads them.
    let mask = inputs[2].to_f64();
    let outputs = compiled.model().outputs.iter().zip(&given);
    outputs
        .map(|(port, found)| {
            let expected = if port.name == "logits" { truth.output("logits") } else { truth.tap(&port.name) };
            let expected = expected.unwrap();
            if port.dims.len() < 3 {
                return farthest(found, expected);
            }
            assert_eq!(found.shape(), expected.shape(), "{}", port.name);
            let width = found.shape()[2];
            let kept = |tensor: &HostTensor| {
                let values = tensor.to_f64();
                let rows = values.chunks(width).zip(&mask).filter(|(_, counts)| **counts != 0.0);
                rows.flat_map(|(row, _)| row.to_vec()).collect::<Vec<f64>>()
            };
            farthest_of(&kept(found), &kept(expected))
        })
        .collect()
}

#[test]
fn every_gear_gives_what_the_reference_gives_at_every_checkpoint() {
    let compiled = exported().compiled(&[SHAPE, DIMS, ORIGIN]).unwrap();
    for (batch, length) in [(1, 5), (2, 9)] {
        let distances = distances(&compiled, batch, length);
        assert_eq!(distances.len(), CUT.len() + 1);
        assert!(distances.iter().all(|distance| *distance < 2e-6), "{distances:?}");
    }
}

#[test]
fn lower_precisions_are_near_and_not_the_same() {
    let of = |precision: &str| {
        let compiled = exported().compiled(&[SHAPE, DIMS, precision]).unwrap();
        distances(&compiled, 2, 9)
    };
    let origin = of(ORIGIN);
    for (precision, bound) in [("mixed_float16", 0.01), ("cube_fp16in_fp32out", 0.005), ("fp16", 0.02)] {
        let distances = of(&format!("--precision_mode_v2={precision}"));
        for (at, (narrow, wide)) in distances.iter().zip(&origin).enumerate() {
            assert!(*narrow < bound, "{precision}, output {at}: {narrow}");
            // Embeddings have no product in them.
            let is_embeddings = at == 1 && precision != "fp16";
            assert!(is_embeddings || narrow > wide, "{precision}, output {at}: {narrow}");
        }
    }
}

#[test]
fn the_chains_that_the_model_has_are_fused_and_no_others() {
    let compiled = exported().compiled(&[BATCHES[0], BATCHES[1], ORIGIN]).unwrap();
    let fused = compiled.report().fused();
    assert_eq!((fused.layer_norms, fused.erf_gelus, fused.tanh_gelus), (1 + 2 * LAYERS, LAYERS, 0));
    assert_eq!(fused.precise_layer_norms, 0);
    let model = compiled.model();
    for gear in &model.gears {
        let count = |is_it: &dyn Fn(&Operator) -> bool| {
            gear.steps.iter().filter(|step| is_it(&step.operator)).count()
        };
        assert_eq!(count(&|op| matches!(op, Operator::LayerNorm { .. })), 9);
        assert_eq!(count(&|op| matches!(op, Operator::Gelu { is_tanh: false })), 4);
        // Nothing of them is left over, nor of the shapes that the model computes.
        assert_eq!(count(&|op| matches!(op, Operator::Reduce(_))), 0);
        // Heads are views where they are split, and copied where they are joined.
        assert_eq!(count(&|op| matches!(op, Operator::Copy)), LAYERS);
        assert_eq!(count(&|op| matches!(op, Operator::MatMul)), 8 * LAYERS + 2);
    }
}

#[test]
fn gears_are_those_that_were_asked_for_and_share_their_weights() {
    let compiled = exported().compiled(&[BATCHES[0], BATCHES[1], ORIGIN]).unwrap();
    let model = compiled.model();
    assert_eq!(model.dynamic, Dynamic::Batch);
    let keys: Vec<i64> = model.gears.iter().map(|gear| gear.key[0]).collect();
    assert_eq!(keys, [1, 8, 16, 32]);
    assert_eq!(model.gears[3].inputs, vec![vec![32, 128]; 3]);
    assert_eq!(model.inputs[0].dims, [-1, 128]);
    let logits = &model.outputs[0];
    assert_eq!((logits.name.as_str(), logits.dims[0]), ("logits", -1));
    assert!(logits.dims[1] > 0);
    // The file holds each weight once: as many bytes as the ONNX file has, and a few constants of gears.
    let onnx = std::fs::metadata(exported().path("model.onnx")).unwrap().len();
    let stored: u64 = model.constants.iter().map(|constant| constant.bytes).sum();
    assert!(stored.abs_diff(onnx) < onnx / 100, "{stored} of {onnx}");
    let back = compiled.bytes().unwrap();
    assert_eq!(lockstep_ascend_container::read(&back).unwrap(), (model.clone(), compiled.constants()));
}

#[test]
fn work_memory_is_far_below_the_sum_of_what_is_in_it() {
    let plain = Exported::of(graph(), &[]);
    let compiled = plain.compiled(&[BATCHES[0], BATCHES[1], ORIGIN]).unwrap();
    for gear in &compiled.model().gears {
        let sum: u64 = gear
            .values
            .iter()
            .filter(|value| matches!(value.place, Place::Arena(_)))
            .map(|value| value.bytes().unwrap())
            .sum();
        assert!(gear.arena * 8 < sum, "{} of {sum}", gear.arena);
    }
}

#[test]
fn in_mixed_precision_a_context_goes_from_product_to_product_in_f16() {
    let compiled = exported().compiled(&[SHAPE, DIMS, "--precision_mode_v2=mixed_float16"]).unwrap();
    use lockstep_ascend_container::DType;
    for gear in &compiled.model().gears {
        let dtype = |value: usize| gear.values[value].dtype;
        for step in &gear.steps {
            match step.operator {
                Operator::MatMul => {
                    let dtypes = [step.inputs[0].value, step.inputs[1].value, step.output.value].map(dtype);
                    assert_eq!(dtypes, [DType::F16; 3], "{}", step.name);
                }
                // A checkpoint is given in f32; it alone is copied as that.
                Operator::Copy if dtype(step.output.value) == DType::F32 => {
                    assert!(
                        matches!(gear.values[step.output.value].place, Place::Output(_)),
                        "{}",
                        step.name
                    );
                }
                // Word embeddings are f16 in the model itself.
                Operator::Cast | Operator::Copy | Operator::Gather => {}
                _ => {
                    let is_wide = step.inputs.iter().all(|input| dtype(input.value) != DType::F16);
                    assert!(is_wide, "{}", step.name);
                }
            }
            // No weight is converted when the model runs.
            if step.operator == Operator::Cast {
                let place = gear.values[step.inputs[0].value].place;
                assert!(!matches!(place, Place::Constant(_)), "{}", step.name);
            }
        }
    }
    // The matrices are stored in f16 alone.
    let wide = exported().compiled(&[SHAPE, DIMS, ORIGIN]).unwrap();
    assert!(compiled.constants().len() * 5 < wide.constants().len() * 4);
}
