//! Inputs from files: every form that is read, and what is refused before anything runs.

use lockstep_conformance::inputs::read;
use lockstep_onnx::tensor_bytes;
use lockstep_runtime::graph::{Dim, Graph, GraphBuilder, Op, TensorType};
use lockstep_runtime::tensor::{DType, HostTensor, write_safetensors};
use std::path::Path;
use tempfile::TempDir;

/// Rows of a table of 10 by `ids` i64 `[batch]`, plus `shift` f32 `[batch, 1]`.
fn graph() -> Graph {
    let mut b = GraphBuilder::new();
    let batch = Dim::symbol("batch");
    let ids = b.input("ids", TensorType::new(DType::I64, vec![batch.clone()])).expect("an input");
    let shift = TensorType::new(DType::F32, vec![batch, Dim::from(1)]);
    let shift = b.input("shift", shift).expect("an input");
    let table = b.constant("table", HostTensor::zeros(DType::F32, &[10, 4]).expect("a table"));
    let rows = b.single("rows", Op::Gather { axis: 0 }, &[table, ids]).expect("rows");
    let sum = b.add("sum", rows, shift).expect("a sum");
    b.output("y", sum).expect("an output");
    b.finish().expect("a graph")
}

fn ids(values: &[i64]) -> HostTensor {
    HostTensor::from_slice(&[values.len()], values).expect("ids")
}

fn shift(values: &[f32]) -> HostTensor {
    HostTensor::from_slice(&[values.len(), 1], values).expect("floats")
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("a file to write");
    }
    folder
}

/// What `numpy.save` writes for little-endian rows.
fn npy(descr: &str, shape: &str, tensor: &HostTensor) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), tensor.bytes()]
        .concat()
}

#[track_caller]
fn assert_read(path: &Path) {
    let read = read(path, &graph()).expect("files that fit");
    let names: Vec<&str> = read.tensors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ids", "shift"]);
    assert_eq!(read.tensors[0].1.to_f64(), [3.0, 9.0]);
    assert_eq!(read.tensors[1].1.to_f64(), [0.5, -0.5]);
    assert_eq!(read.remarks, [] as [&str; 0]);
}

/// A file's name and what it holds.
type NamedBytes<'a> = (&'a str, &'a [u8]);

#[test]
fn each_form_gives_the_inputs_by_name() {
    let (ids, shift) = (ids(&[3, 9]), shift(&[0.5, -0.5]));
    let (a, b) = (npy("<i8", "(2,)", &ids), npy("<f4", "(2, 1)", &shift));
    assert_read(
        folder(&[("ids.npy", &a), ("shift.npy", &b), ("notes.txt", b"other files are passed over")]).path(),
    );
    let (a, b) = (tensor_bytes("", &ids), tensor_bytes("", &shift));
    assert_read(folder(&[("ids.pb", &a), ("shift.pb", &b)]).path());
    // Places, where the files say no names; outputs of ONNX's layout are passed over.
    assert_read(folder(&[("input_0.pb", &a), ("input_1.pb", &b), ("output_0.pb", b"?")]).path());
    // A name that a file says goes before its place.
    let (a, b) = (tensor_bytes("ids", &ids), tensor_bytes("shift", &shift));
    assert_read(folder(&[("input_1.pb", &a), ("input_0.pb", &b)]).path());
    let together = folder(&[]);
    let file = together.path().join("inputs.safetensors");
    write_safetensors(&file, [("ids", &ids), ("shift", &shift)]).expect("a file to write");
    assert_read(together.path());
    assert_read(&file);
}

#[test]
fn a_nan_is_allowed_and_said() {
    let (a, b) = (tensor_bytes("", &ids(&[0, 1])), tensor_bytes("", &shift(&[f32::NAN, 1.0])));
    let folder = folder(&[("ids.pb", &a), ("shift.pb", &b)]);
    let read = read(folder.path(), &graph()).expect("files that fit");
    assert!(read.remarks[0].contains("shift.pb: 1 of 2 values are NaN"), "{:?}", read.remarks);
}

#[test]
fn what_does_not_fit_is_refused_by_the_file() {
    let a = tensor_bytes("", &ids(&[3, 9]));
    let b = tensor_bytes("", &shift(&[0.5, -0.5]));
    let wide = tensor_bytes("", &ids(&[3, 9]).cast(DType::I32).expect("a cast"));
    let flat = tensor_bytes("", &HostTensor::from_slice(&[2], &[0.5f32, -0.5]).expect("two"));
    let double = tensor_bytes("", &HostTensor::from_slice(&[2, 2], &[0.5f32; 4]).expect("four"));
    let one = tensor_bytes("", &shift(&[0.5]));
    let (beyond, below) = (tensor_bytes("", &ids(&[3, 10])), tensor_bytes("", &ids(&[-1, 3])));
    let cases: [(&[NamedBytes], [&str; 2]); 11] = [
        (&[("ids.pb", &a)], ["no file for the input `shift`", "f32[batch, 1]"]),
        (
            &[("ids.pb", &a), ("shift.pb", &b), ("mask.pb", &b)],
            ["mask.pb: holds `mask`", "takes `ids` i64[batch]"],
        ),
        (&[("ids.pb", &a), ("shift.pb", &b), ("input_0.pb", &a)], ["input_0.pb", "ids.pb"]),
        (&[("input_0.pb", &a), ("input_2.pb", &b)], ["input_2.pb", "place 2 of 2"]),
        (&[("ids.pb", &wide), ("shift.pb", &b)], ["ids.pb: `ids` is i32[2]", "convert it"]),
        (&[("ids.pb", &a), ("shift.pb", &flat)], ["shift.pb: `shift` is f32[2]", "f32[batch, 1]"]),
        (&[("ids.pb", &a), ("shift.pb", &double)], ["shift.pb: `shift` is f32[2, 2]", "f32[batch, 1]"]),
        (&[("ids.pb", &a), ("shift.pb", &one)], ["`batch` is 2 in", "ids.pb"]),
        (&[("ids.pb", &beyond), ("shift.pb", &b)], ["ids.pb: `ids` holds 10", "10 rows, 0 to 9"]),
        (&[("ids.pb", &below), ("shift.pb", &b)], ["ids.pb: `ids` holds -1", "0 to 9"]),
        (&[("ids.pb", &a[..a.len() - 1]), ("shift.pb", &b)], ["ids.pb: is no ONNX tensor", "cut short"]),
    ];
    for (files, says) in cases {
        let folder = folder(files);
        let said = read(folder.path(), &graph()).expect_err("files that do not fit").to_string();
        assert!(says.iter().all(|part| said.contains(part)), "{said}");
    }
}
