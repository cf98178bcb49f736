//! Models to compile, and the command line that does.

use clap::Parser;
use lockstep_atc_simulator::{Compiled, Flags, Result, compile};
use lockstep_graph::{Graph, HostTensor};
use lockstep_onnx::messages::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_kind,
};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with a `model.onnx`.
pub(crate) struct Exported {
    folder: TempDir,
}

impl Exported {
    /// Of a graph, as `lockstep export --for ascend` writes it.
    pub(crate) fn of(graph: &Graph, cut: &[&str]) -> Self {
        Self::bytes(&lockstep_onnx::export(graph, cut).unwrap().model_bytes())
    }

    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.onnx"), bytes).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the script compiles it to, with these flags besides.
    pub(crate) fn compiled(&self, more: &[&str]) -> Result<Compiled> {
        compiled(&self.path("model.onnx"), more)
    }
}

pub(crate) fn compiled(model: &Path, more: &[&str]) -> Result<Compiled> {
    let model = format!("--model={}", model.display());
    let base =
        ["atc-sim", "--mode=0", "--framework=5", &model, "--output=unused", "--soc_version=Ascend910B3"];
    let words = base.iter().copied().chain(["--input_format=ND"]).chain(more.iter().copied());
    compile(&Flags::try_parse_from(words).unwrap().checked()?)
}

pub(crate) const ORIGIN: &str = "--precision_mode_v2=origin";

/// A node with its only result called as itself.
pub(crate) fn node(name: &str, op_type: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        name: name.to_owned(),
        op_type: op_type.to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![name.to_owned()],
        attribute,
        domain: String::new(),
    }
}

pub(crate) fn int(name: &str, number: i64) -> AttributeProto {
    let (name, i) = (name.to_owned(), Some(number));
    AttributeProto { name, i, kind: attribute_kind::INT, ..AttributeProto::default() }
}

pub(crate) fn ints(name: &str, numbers: &[i64]) -> AttributeProto {
    let (name, ints) = (name.to_owned(), numbers.to_vec());
    AttributeProto { name, ints, kind: attribute_kind::INTS, ..AttributeProto::default() }
}

pub(crate) fn float(name: &str, number: f32) -> AttributeProto {
    let (name, f) = (name.to_owned(), Some(number));
    AttributeProto { name, f, kind: attribute_kind::FLOAT, ..AttributeProto::default() }
}

/// ONNX's numbers of dtypes.
pub(crate) const F32: i32 = 1;
pub(crate) const I64: i32 = 7;

/// An input or output; an extent of -1 is left open.
pub(crate) fn port(name: &str, dtype: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = |&extent: &i64| DimensionProto {
        dim_value: (extent != -1).then_some(extent),
        dim_param: (extent == -1).then(|| "n".to_owned()),
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let ty = Some(TypeProto { tensor_type: Some(TensorTypeProto { elem_type: dtype, shape }) });
    ValueInfoProto { name: name.to_owned(), ty }
}

/// A model whose outputs are of no declared type.
pub(crate) fn model(
    opset: i64,
    inputs: Vec<ValueInfoProto>,
    initializers: &[(&str, HostTensor)],
    nodes: Vec<NodeProto>,
    outputs: &[&str],
) -> ModelProto {
    let initializer = initializers.iter().map(|(name, tensor)| TensorProto::of(name, tensor)).collect();
    let output = outputs.iter().map(|&name| ValueInfoProto { name: name.to_owned(), ty: None }).collect();
    ModelProto {
        ir_version: 7,
        graph: Some(GraphProto { node: nodes, name: "graph".to_owned(), initializer, input: inputs, output }),
        opset_import: vec![OperatorSetIdProto::new("", opset)],
        ..ModelProto::default()
    }
}

pub(crate) fn floats(shape: &[usize], values: &[f32]) -> HostTensor {
    HostTensor::from_slice(shape, values).unwrap()
}

pub(crate) fn numbers(shape: &[usize], values: &[i64]) -> HostTensor {
    HostTensor::from_slice(shape, values).unwrap()
}

/// Numbers between -1 and 1 that look like chance.
pub(crate) fn chance(shape: &[usize], seed: u64) -> HostTensor {
    let mut state = seed.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u32 << 23) as f32) - 1.0
    };
    let count = shape.iter().product();
    floats(shape, &(0..count).map(|_| next()).collect::<Vec<_>>())
}
