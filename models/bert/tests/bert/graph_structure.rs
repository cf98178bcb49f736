//! The graphs of the trained folders: what goes in and out, of which ops they are made, where they can be tapped.

use half::{bf16, f16};
use lockstep_bert::{BertModel, Head, LoadOptions};
use lockstep_graph::{DType, Graph, Node, Op, Origin, Symbol, SymbolValues, ValueId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

fn trained(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../bert-small").join(name)
}

fn load(name: &str, dtype: DType) -> BertModel {
    BertModel::load(&trained(name), LoadOptions { dtype, ..LoadOptions::default() }).unwrap()
}

fn type_of(graph: &Graph, id: ValueId) -> String {
    graph.value(id).ty.to_string()
}

fn node<'a>(graph: &'a Graph, name: &str) -> &'a Node {
    graph.nodes().iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
}

fn constants(graph: &Graph) -> impl Iterator<Item = (&str, &lockstep_graph::HostTensor)> {
    graph.values().filter_map(|(_, value)| match &value.origin {
        Origin::Constant(constant) => Some((value.name.as_str(), constant.tensor())),
        _ => None,
    })
}

fn ops(graph: &Graph) -> BTreeMap<&str, usize> {
    graph.nodes().iter().fold(BTreeMap::new(), |mut ops, node| {
        *ops.entry(node.op.name()).or_default() += 1;
        ops
    })
}

fn outputs(graph: &Graph) -> Vec<(&str, String)> {
    graph.outputs().iter().map(|(name, id)| (name.as_str(), type_of(graph, *id))).collect()
}

#[test]
fn ids_segments_and_mask_go_in_and_logits_come_out() {
    let model = load("document-classifier", DType::F32);
    let inputs: Vec<_> = model
        .graph()
        .inputs()
        .iter()
        .map(|&id| (model.graph().value(id).name.as_str(), type_of(model.graph(), id)))
        .collect();
    let ids = "i64[batch, seq]".to_owned();
    assert_eq!(inputs, ["input_ids", "token_type_ids", "attention_mask"].map(|name| (name, ids.clone())));
    assert_eq!(outputs(model.graph()), [("logits", "f32[batch, 12]".to_owned())]);
    assert!(matches!(model.head(), Head::SequenceClassification { .. }));

    let model = load("field-extractor", DType::F32);
    assert_eq!(outputs(model.graph()), [("logits", "f32[batch, seq, 19]".to_owned())]);
    assert_eq!(model.warnings(), [] as [&str; 0]);
    assert_eq!(model.path(), trained("field-extractor"));
}

#[test]
fn the_graph_is_made_of_the_ops_of_eager_pytorch() {
    let expected = BTreeMap::from([
        // Embeddings, then two residuals in each of four layers.
        ("Add", 2 + 4 * 2),
        ("Gather", 2),
        ("Slice", 2),
        // Embeddings stored in f16.
        ("Cast", 3),
        ("LayerNorm", 1 + 4 * 2),
        ("Linear", 4 * 6 + 2),
        ("GeluErf", 4),
        ("MatMul", 4 * 2),
        ("Transpose", 4 * 4),
        // The mask and the pooler's row; q, k, v and the context in each layer.
        ("Reshape", 2 + 4 * 4),
        ("Mul", 4),
        ("Select", 4),
        ("Softmax", 4),
        // The mask's zero; the scale and the lowest score in each layer.
        ("Fill", 1 + 4 * 2),
        ("NotEqual", 1),
        ("Tanh", 1),
    ]);
    assert_eq!(ops(load("document-classifier", DType::F32).graph()), expected);
    let extractor = load("field-extractor", DType::F32);
    let ops = ops(extractor.graph());
    assert_eq!((ops["Linear"], ops["Slice"], ops.get("Tanh")), (4 * 6 + 1, 1, None));
}

#[test]
fn node_names_are_distinct_and_in_the_terms_of_the_field() {
    let model = load("document-classifier", DType::F32);
    let names: BTreeSet<&str> = model.graph().nodes().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names.len(), model.graph().nodes().len());
    for name in [
        "embeddings.word_embeddings",
        "embeddings.LayerNorm",
        "encoder.2.attention.self.query",
        "encoder.2.attention.self.probabilities",
        "encoder.2.attention.output.dense",
        "encoder.2.intermediate.dense",
        "encoder.2.output.LayerNorm",
        "pooler.dense",
        "classifier",
    ] {
        assert!(names.contains(name), "{name}");
    }
}

#[test]
fn every_checkpoint_has_its_name_and_shape() {
    let model = load("document-classifier", DType::F32);
    let hidden = "f32[batch, seq, 512]";
    let mut expected = vec![("embeddings".to_owned(), hidden)];
    for layer in 0..4 {
        expected.extend([
            (format!("encoder.{layer}.attention.self"), hidden),
            (format!("encoder.{layer}.attention.output"), hidden),
            (format!("encoder.{layer}.intermediate"), "f32[batch, seq, 2048]"),
            (format!("encoder.{layer}.output"), hidden),
        ]);
    }
    expected.extend([("pooler".to_owned(), "f32[batch, 512]"), ("logits".to_owned(), "f32[batch, 12]")]);
    let found: Vec<_> = model
        .graph()
        .checkpoints()
        .iter()
        .map(|(name, id)| (name.clone(), type_of(model.graph(), *id)))
        .collect();
    let found: Vec<(String, &str)> = found.iter().map(|(name, ty)| (name.clone(), ty.as_str())).collect();
    assert_eq!(found, expected);
    let producers = [
        ("embeddings", "LayerNorm"),
        ("encoder.1.attention.self", "Reshape"),
        ("encoder.1.attention.output", "LayerNorm"),
        ("encoder.1.intermediate", "GeluErf"),
        ("encoder.1.output", "LayerNorm"),
        ("pooler", "Tanh"),
    ];
    for (checkpoint, op) in producers {
        let (_, id) = model.graph().checkpoints().iter().find(|(name, _)| name == checkpoint).unwrap();
        assert_eq!(model.graph().producer(*id).unwrap().op.name(), op, "{checkpoint}");
    }
}

#[test]
fn attention_is_scaled_masked_and_split_into_heads() {
    let model = load("field-extractor", DType::F32);
    let graph = model.graph();
    let at = |part: &str| node(graph, &format!("encoder.3.attention.self.{part}"));
    let Op::Fill { value, .. } = at("scale").op else { panic!("{:?}", at("scale")) };
    assert_eq!(value, 0.125, "heads of 64");
    let Op::Fill { value, .. } = at("lowest").op else { panic!("{:?}", at("lowest")) };
    assert_eq!(value, f64::NEG_INFINITY);
    let masked = at("masked");
    assert_eq!(masked.inputs[1], at("scores").outputs[0]);
    assert_eq!(type_of(graph, masked.inputs[0]), "bool[batch, 1, 1, seq]");
    assert_eq!(type_of(graph, masked.outputs[0]), "f32[batch, 8, seq, seq]");
    assert_eq!(type_of(graph, at("query.transposed").outputs[0]), "f32[batch, 8, seq, 64]");
    assert_eq!(type_of(graph, at("key.transposed").outputs[0]), "f32[batch, 8, 64, seq]");
    // Each projection reads its own weights: a swap would pass every shape.
    for part in ["query", "key", "value"] {
        let weight = graph.value(at(part).inputs[1]).name.as_str();
        assert_eq!(weight, format!("bert.encoder.layer.3.attention.self.{part}.weight"));
    }
    let context = at("context");
    assert_eq!(context.inputs, [at("probabilities").outputs[0], at("value.transposed").outputs[0]]);
    assert_eq!(at("product").inputs, [at("query.transposed").outputs[0], at("key.transposed").outputs[0]]);
}

#[test]
fn every_linear_and_norm_reads_the_weights_of_its_own_name() {
    let model = load("document-classifier", DType::F32);
    let mut checked = 0;
    for node in model.graph().nodes().iter().filter(|n| matches!(n.op, Op::Linear(_) | Op::LayerNorm { .. }))
    {
        let module = node.name.replace("encoder.", "encoder.layer.");
        for (input, part) in node.inputs[1..].iter().zip(["weight", "bias"]) {
            let weight = model.graph().value(*input).name.trim_start_matches("bert.").to_owned();
            assert_eq!(weight, format!("{module}.{part}"));
            checked += 1;
        }
    }
    assert_eq!(checked, 2 * (26 + 9));
}

#[test]
fn embeddings_are_added_in_transformers_order() {
    let model = load("document-classifier", DType::F64);
    let graph = model.graph();
    let at = |part: &str| node(graph, &format!("embeddings.{part}"));
    let [word, segment, position] =
        ["word", "token_type", "position"].map(|kind| at(&format!("{kind}_embeddings.cast")).outputs[0]);
    assert_eq!(at("add_token_type").inputs, [word, segment]);
    assert_eq!(at("add_position").inputs, [at("add_token_type").outputs[0], position]);
    let input = |name: &str| graph.input(name).unwrap();
    assert_eq!(at("word_embeddings").inputs[1], input("input_ids"));
    assert_eq!(at("token_type_embeddings").inputs[1], input("token_type_ids"));
    assert_eq!(type_of(graph, position), "f64[seq, 512]");
}

#[test]
fn a_run_s_extents_give_every_value_a_fixed_shape() {
    let model = load("field-extractor", DType::F32);
    let extents = SymbolValues::from([(Symbol::new("batch"), 3), (Symbol::new("seq"), 7)]);
    for (_, value) in model.graph().values() {
        for dim in &value.ty.shape {
            assert!(dim.evaluate(&extents).unwrap() > 0, "{}: {}", value.name, value.ty);
        }
    }
}

#[test]
fn all_weights_of_the_folders_are_used() {
    // Counted from the files' headers.
    for (name, parameters) in [("document-classifier", 15_127_564), ("field-extractor", 14_868_499)] {
        assert_eq!(load(name, DType::F32).parameter_count(), parameters, "{name}");
    }
}

/// Bytes of weights that were copied would lie far from those of the mapping.
#[test]
fn f32_and_f64_read_f16_weights_where_they_lie_in_the_file() {
    let file_len =
        std::fs::metadata(trained("document-classifier").join("model.safetensors")).unwrap().len() as usize;
    for dtype in [DType::F32, DType::F64] {
        let model = load("document-classifier", dtype);
        assert!(constants(model.graph()).all(|(_, tensor)| tensor.dtype() == DType::F16));
        let ranges: Vec<_> =
            constants(model.graph()).map(|(_, tensor)| tensor.bytes().as_ptr_range()).collect();
        let start = ranges.iter().map(|range| range.start as usize).min().unwrap();
        let end = ranges.iter().map(|range| range.end as usize).max().unwrap();
        assert!(end - start < file_len, "{} bytes apart in a file of {file_len}", end - start);
        assert_eq!(outputs(model.graph()), [("logits", format!("{dtype}[batch, 12]"))]);
    }
}

#[test]
fn half_precision_converts_the_matrices_of_products_and_nothing_else() {
    let stored = load("document-classifier", DType::F32);
    let same = load("document-classifier", DType::F16);
    let other = load("document-classifier", DType::Bf16);
    let mut converted = 0;
    for (((name, f16s), (_, same)), (_, bf16s)) in
        constants(stored.graph()).zip(constants(same.graph())).zip(constants(other.graph()))
    {
        assert_eq!(f16s.bytes(), same.bytes(), "{name}");
        if f16s.shape().len() == 2 && !name.contains("embeddings") {
            let expected: Vec<bf16> =
                f16s.as_slice::<f16>().unwrap().iter().map(|&x| bf16::from_f32(x.to_f32())).collect();
            assert_eq!(bf16s.as_slice::<bf16>().unwrap(), expected, "{name}");
            converted += 1;
        } else {
            assert_eq!(f16s.bytes(), bf16s.bytes(), "{name}");
        }
    }
    // Six products a layer, the pooler and the classifier.
    assert_eq!(converted, 4 * 6 + 2);
    assert_eq!(outputs(other.graph()), [("logits", "f32[batch, 12]".to_owned())]);
}
