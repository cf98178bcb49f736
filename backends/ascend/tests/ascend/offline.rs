//! Compiled models as devices, on models that the simulator's container is written with here.

use crate::faults::{said, tell};
use crate::{child, counts};
use lockstep_ascend::AscendBackend;
use lockstep_ascend_container::{
    Binary, Constant, DType as FileDType, Dynamic, Gear, Model, Operand, Operator, Place, Port, Step, Value,
    write,
};
use lockstep_runtime::graph::{BinaryOp, DType, Graph, GraphBuilder, Op, TensorType};
use lockstep_runtime::tensor::{Dim, HostTensor};
use lockstep_runtime::{Backend, Error, RunOptions, Session};
use std::path::{Path, PathBuf};

const FAIL: &str = "LOCKSTEP_ASCEND_SIM_FAIL";
const WIDTH: i64 = 8;
const ROWS: i64 = 5;

/// `LayerNorm(table[ids] + table[ids])` for `ids` of `[batch]`: the addition a checkpoint, the result an output.
fn graph() -> Graph {
    let mut builder = GraphBuilder::new();
    let ids = builder.input("ids", TensorType::new(DType::I64, [Dim::symbol("batch")])).unwrap();
    let table = builder.constant("table", HostTensor::from_slice(&[5, 8], &table()).unwrap());
    let rows = builder.single("rows", Op::Gather { axis: 0 }, &[table, ids]).unwrap();
    let sum = builder.binary("sum", BinaryOp::Add, rows, rows).unwrap();
    builder.checkpoint("sum", sum).unwrap();
    let gamma = builder.constant("gamma", HostTensor::from_slice(&[8], &[1.0_f32; 8]).unwrap());
    let beta = builder.constant("beta", HostTensor::from_slice(&[8], &[0.5_f32; 8]).unwrap());
    let out = builder.single("norm", Op::LayerNorm { epsilon: 1e-5 }, &[sum, gamma, beta]).unwrap();
    builder.output("out", out).unwrap();
    builder.finish().unwrap()
}

fn table() -> Vec<f32> {
    (0..ROWS * WIDTH).map(|at| ((at * 7) % 11) as f32 - 4.0).collect()
}

/// What a compiler would make of the graph for batches of these sizes; with or without the checkpoint.
fn compiled(batches: &[i64], cut: bool) -> Vec<u8> {
    let (model, constants) = parts(batches, cut);
    write(&model, &constants).unwrap()
}

/// The model, and the bytes of its constants.
fn parts(batches: &[i64], cut: bool) -> (Model, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut constants = Vec::new();
    for (name, values) in [("table", table()), ("gamma", vec![1.0; 8]), ("beta", vec![0.5; 8])] {
        bytes.resize(bytes.len().next_multiple_of(64), 0);
        let offset = bytes.len() as u64;
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        constants.push(Constant { name: name.to_owned(), offset, bytes: bytes.len() as u64 - offset });
    }
    let port = |name: &str, dtype, dims: &[i64]| Port { name: name.to_owned(), dtype, dims: dims.to_vec() };
    let open = if batches.len() > 1 { -1 } else { batches[0] };
    let mut outputs = vec![port("norm:0:out", FileDType::F32, &[open, WIDTH])];
    if cut {
        outputs.push(port("sum", FileDType::F32, &[open, WIDTH]));
    }
    let gear = |&batch: &i64| {
        let value = |name: &str, dtype, elements: i64, place| Value {
            name: name.to_owned(),
            dtype,
            elements: elements as u64,
            place,
        };
        let sum = if cut { Place::Output(1) } else { Place::Arena(1024) };
        let view = |value, dims: &[i64], strides: &[i64]| Operand {
            value,
            dims: dims.to_vec(),
            strides: strides.to_vec(),
            offset: 0,
        };
        let rows = |value| view(value, &[batch, WIDTH], &[WIDTH, 1]);
        let step =
            |name: &str, operator, inputs, output| Step { name: name.to_owned(), operator, inputs, output };
        Gear {
            key: if batches.len() > 1 { vec![batch] } else { Vec::new() },
            inputs: vec![vec![batch]],
            outputs: vec![vec![batch, WIDTH]; outputs.len()],
            arena: 2048,
            values: vec![
                value("ids", FileDType::I64, batch, Place::Input(0)),
                value("table", FileDType::F32, ROWS * WIDTH, Place::Constant(0)),
                value("gamma", FileDType::F32, WIDTH, Place::Constant(1)),
                value("beta", FileDType::F32, WIDTH, Place::Constant(2)),
                value("rows", FileDType::F32, batch * WIDTH, Place::Arena(0)),
                value("sum", FileDType::F32, batch * WIDTH, sum),
                value("out", FileDType::F32, batch * WIDTH, Place::Output(0)),
            ],
            steps: vec![
                step(
                    "rows",
                    Operator::Gather,
                    vec![view(1, &[ROWS, WIDTH], &[WIDTH, 1]), view(0, &[batch], &[1])],
                    rows(4),
                ),
                step("sum", Operator::Binary(Binary::Add), vec![rows(4), rows(4)], rows(5)),
                step(
                    "norm",
                    Operator::LayerNorm { epsilon: 1e-5, is_precise: true },
                    vec![rows(5), view(2, &[WIDTH], &[1]), view(3, &[WIDTH], &[1])],
                    rows(6),
                ),
            ],
        }
    };
    let model = Model {
        name: "sum and norm".to_owned(),
        inputs: vec![port("ids", FileDType::I64, &[open])],
        dynamic: if batches.len() > 1 { Dynamic::Batch } else { Dynamic::No },
        gears: batches.iter().map(gear).collect(),
        outputs,
        constants,
        ..Model::default()
    };
    (model, bytes)
}

/// A folder with the file `model.om`.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.om");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn session(path: &Path) -> Result<Session, Error> {
    let device = AscendBackend::simulator().open_model(0, path).map_err(Error::from)?;
    Session::builder(graph()).device(device).build()
}

fn ids(values: &[i64]) -> HostTensor {
    HostTensor::from_slice(&[values.len()], values).unwrap()
}

/// Rows of the table, doubled and normalised, in f64.
fn expected(values: &[i64]) -> (Vec<f64>, Vec<f64>) {
    let table = table();
    let (mut sums, mut out) = (Vec::new(), Vec::new());
    for &id in values {
        let row: Vec<f64> = (0..8).map(|at| 2.0 * f64::from(table[id as usize * 8 + at])).collect();
        let mean = row.iter().sum::<f64>() / 8.0;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 8.0;
        out.extend(row.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt() + 0.5));
        sums.extend(row);
    }
    (sums, out)
}

#[test]
fn a_compiled_model_runs_at_each_of_its_gears_and_gives_what_was_cut() {
    let (_folder, path) = file(&compiled(&[2, 4], true));
    let session = session(&path).unwrap();
    assert_eq!(session.prepared().device().info().id, "ascend-sim:0@model.om");
    // From one gear to the other and back: what is left of the larger one's run must not show.
    for values in [&[3, 0][..], &[4, 4, 1, 2], &[1, 3]] {
        let ran = session.run_with(&[("ids", &ids(values))], &RunOptions::new().taps(&["sum"])).unwrap();
        let (sums, out) = expected(values);
        assert_eq!(ran.tap("sum").unwrap().to_f64(), sums);
        let found = ran.output("out").unwrap().to_f64();
        assert_eq!(found.len(), out.len());
        let error = found.iter().zip(&out).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        assert!(error < 4.0 * f64::from(f32::EPSILON), "{error}");
        let work = ran.work().unwrap();
        assert_eq!((work.operators, work.submissions, work.waits), (1, 1, 0));
        assert!(ran.device_time().is_some());
    }
}

#[test]
fn a_model_of_one_shape_takes_that_and_no_other() {
    let (_folder, path) = file(&compiled(&[3], false));
    let session = session(&path).unwrap();
    assert!(session.run(&[("ids", &ids(&[1, 2, 3]))]).is_ok());
    let error = said(&session.run(&[("ids", &ids(&[1, 2]))]).unwrap_err());
    assert!(error.contains("ids [2]") && error.contains("ids [3]") && error.contains("--batches"), "{error}");
}

#[test]
fn what_the_model_lacks_is_named() {
    let (_folder, path) = file(&compiled(&[2], false));
    let session = session(&path).unwrap();
    let options = RunOptions::new().taps(&["sum"]);
    let error = said(&session.run_with(&[("ids", &ids(&[1, 2]))], &options).unwrap_err());
    assert!(error.contains("`sum`") && error.contains("`out`") && error.contains("--cut"), "{error}");
    // Another graph on the same model.
    let mut builder = GraphBuilder::new();
    let x = builder.input("tokens", TensorType::fixed(DType::I64, &[2])).unwrap();
    let y = builder.binary("out", BinaryOp::Add, x, x).unwrap();
    builder.output("out", y).unwrap();
    let device = AscendBackend::simulator().open_model(0, &path).unwrap();
    let error = said(&Session::builder(builder.finish().unwrap()).device(device).build().unwrap_err());
    assert!(error.contains("model.om") && error.contains("no input `ids`"), "{error}");
}

#[test]
fn a_model_that_takes_more_than_the_graph_has_is_refused() {
    let (mut model, constants) = parts(&[2], false);
    let more = Port { name: "token_types".to_owned(), dtype: FileDType::I64, dims: vec![2] };
    model.inputs.push(more);
    model.gears[0].inputs.push(vec![2]);
    let (_folder, path) = file(&write(&model, &constants).unwrap());
    let error = said(&session(&path).unwrap_err());
    assert!(error.contains("no input `token_types`") && error.contains("another model"), "{error}");
}

#[test]
fn an_index_outside_its_table_is_refused_before_the_model_runs() {
    let (_folder, path) = file(&compiled(&[2], false));
    let error = said(&session(&path).unwrap().run(&[("ids", &ids(&[1, 5]))]).unwrap_err());
    assert!(error.contains("rows") && error.contains("index 5 at position 1 is not in 0..5"), "{error}");
}

#[test]
fn files_that_are_no_models_are_refused() {
    let whole = compiled(&[2], false);
    for (bytes, why) in [
        (b"IMOD\0\x01\0\0rest".to_vec(), "atc-sim"),
        (whole[..whole.len() - 1].to_vec(), "cut short"),
        (b"no model".to_vec(), "no model"),
        (Vec::new(), "no model"),
    ] {
        let (_folder, path) = file(&bytes);
        let error = AscendBackend::simulator().open_model(0, &path).unwrap_err().to_string();
        assert!(error.contains("model.om") && error.contains(why), "{error}");
    }
    let error = AscendBackend::simulator().open_model(0, Path::new("nowhere.om")).unwrap_err().to_string();
    assert!(error.contains("nowhere.om"), "{error}");
}

/// Each call that a model's whole life makes, refused the first and the second time it is made.
#[test]
fn every_call_that_fails_is_an_error_and_leaves_nothing_behind() {
    let life = || {
        let (_folder, path) = file(&compiled(&[2, 4], true));
        let session = session(&path)?;
        for values in [&[3, 0][..], &[4, 4, 1, 2]] {
            session.run(&[("ids", &ids(values))])?;
        }
        Ok::<(), Error>(())
    };
    if let Some(symbol) = child::case() {
        return tell(&symbol, life());
    }
    let told = [
        "aclmdlQuerySize",
        "aclmdlLoadFromFileWithMem",
        "aclmdlCreateDesc",
        "aclmdlGetDesc",
        "aclmdlGetInputDims",
        "aclmdlGetDynamicBatch",
        "aclmdlGetInputNameByIndex",
        "aclmdlGetOutputNameByIndex",
        "aclmdlCreateDataset",
        "aclCreateDataBuffer",
        "aclmdlAddDatasetBuffer",
        "aclrtMalloc",
        "aclrtCreateEventWithFlag",
        "aclmdlSetDynamicBatchSize",
        "aclmdlGetCurOutputDims",
        "aclrtRecordEvent",
        "aclrtMemcpyAsync",
        "aclmdlExecuteAsync",
        "aclrtSynchronizeStream",
        "aclrtEventElapsedTime",
    ];
    // What gives things back may fail without anyone to tell; the simulator then still has it.
    for symbol in told {
        for nth in [1, 2] {
            let fail = format!("{symbol}:{nth}:500000");
            let ran = child::run(
                module_path!(),
                "every_call_that_fails_is_an_error_and_leaves_nothing_behind",
                symbol,
                &[(FAIL, &fail)],
            );
            assert!(ran.ended_well, "{symbol} {nth}: {}", ran.said);
            let is_told = ran.said.contains("said: ");
            // Some are called once.
            assert!(is_told || (nth == 2 && ran.said.contains("survived")), "{symbol} {nth}: {}", ran.said);
        }
    }
}

#[test]
fn a_fault_of_the_model_is_told_and_loses_the_device() {
    if child::case().is_some() {
        let (_folder, path) = file(&compiled(&[2], false));
        let session = session(&path).unwrap();
        let run = || session.run(&[("ids", &ids(&[3, 0]))]);
        let first = said(&run().unwrap_err());
        assert!(first.contains("507015") && first.contains("model.om"), "{first}");
        let second = said(&run().unwrap_err());
        assert!(second.contains("lost by an earlier fault"), "{second}");
        drop(session);
        counts::assert_nothing_is_left();
        return;
    }
    let late = [("LOCKSTEP_ASCEND_SIM_LATE", "aclmdlExecuteAsync:1:507015")];
    let ran = child::run(module_path!(), "a_fault_of_the_model_is_told_and_loses_the_device", "late", &late);
    assert!(ran.ended_well && ran.said.contains("1 passed"), "{}", ran.said);
}
