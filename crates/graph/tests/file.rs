//! Graphs as files: what is written comes back, and what was tampered with does not.

mod transformer;

use lockstep_graph::{
    CompareOp, Custom, CustomOp, CustomOps, DType, Dim, Error, Graph, GraphBuilder, HostTensor, Op, Result,
    TensorType, UnaryOp, ValueId,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use transformer::transformer;

fn tensors(graph: &Graph) -> BTreeMap<String, HostTensor> {
    let constants = graph.values().filter_map(|(id, value)| Some((value.name.clone(), graph.constant(id)?)));
    constants.map(|(name, constant)| (name, constant.tensor().clone())).collect()
}

fn read(text: &str, tensors: &BTreeMap<String, HostTensor>) -> Result<Graph> {
    Graph::from_json(text, &CustomOps::new(), |name| {
        tensors.get(name).cloned().ok_or_else(|| Error::File { reason: format!("no tensor {name}") })
    })
}

#[test]
fn a_graph_comes_back_as_it_was() {
    let graph = transformer();
    let text = graph.to_json().unwrap();
    let back = read(&text, &tensors(&graph)).unwrap();
    assert_eq!(back.digest(), graph.digest());
    assert_eq!(back.nodes().len(), graph.nodes().len());
    for (a, b) in graph.nodes().iter().zip(back.nodes()) {
        assert_eq!((&a.name, &a.op), (&b.name, &b.op));
    }
    let names = |graph: &Graph| {
        let list: Vec<String> =
            graph.checkpoints().iter().chain(graph.outputs()).map(|(name, _)| name.clone()).collect();
        list
    };
    assert_eq!(names(&back), names(&graph));
    // Types are inferred anew, so equal types show that every shape survived.
    let types = |graph: &Graph| {
        graph.nodes().iter().map(|n| graph.value(n.outputs[0]).ty.clone()).collect::<Vec<_>>()
    };
    assert_eq!(types(&back), types(&graph));
    assert_eq!(back.to_json().unwrap(), text);
}

/// A graph that went through a pass has its values in another order; its file must still be of the same computation.
#[test]
fn a_rewritten_graph_comes_back_too() {
    let graph = transformer().select(&["logits"], &["layer.output"]).unwrap();
    let back = read(&graph.to_json().unwrap(), &tensors(&graph)).unwrap();
    assert_eq!(back.nodes().len(), graph.nodes().len());
    assert_eq!(back.digest(), graph.digest());
    assert_ne!(back.digest(), transformer().digest());
    // Passes that change nothing leave the digest.
    assert_eq!(transformer().pruned().unwrap().digest(), transformer().digest());
}

#[test]
fn fills_that_json_has_no_number_for_survive() {
    let values = [f64::NEG_INFINITY, f64::INFINITY, f64::NAN, -0.0, 1e-320, 0.1, f64::MAX];
    let mut b = GraphBuilder::new();
    for (at, value) in values.iter().enumerate() {
        let id = b.fill("fill", DType::F64, *value, &[Dim::from(2)]).unwrap();
        b.output(&format!("y{at}"), id).unwrap();
    }
    let graph = b.finish().unwrap();
    let back = read(&graph.to_json().unwrap(), &BTreeMap::new()).unwrap();
    assert_eq!(back.digest(), graph.digest());
    for (node, wanted) in back.nodes().iter().zip(values) {
        let Op::Fill { value, .. } = node.op else { panic!("{:?}", node.op) };
        assert!(
            value.to_bits() == wanted.to_bits() || (value.is_nan() && wanted.is_nan()),
            "{value} is not {wanted}"
        );
    }
}

#[test]
fn the_digest_tells_graphs_apart() {
    let of = |op: UnaryOp, value: f64, name: &str| {
        let mut b = GraphBuilder::new();
        let x = b.constant("x", HostTensor::from_slice(&[1], &[value]).unwrap());
        let y = b.unary("y", op, x).unwrap();
        b.output(name, y).unwrap();
        b.finish().unwrap().digest()
    };
    let base = of(UnaryOp::Exp, 1.0, "out");
    assert_eq!(of(UnaryOp::Exp, 1.0, "out"), base);
    for other in [of(UnaryOp::Log, 1.0, "out"), of(UnaryOp::Exp, 2.0, "out"), of(UnaryOp::Exp, 1.0, "other")]
    {
        assert_ne!(other, base);
    }
}

#[test]
fn weights_of_another_model_are_refused() {
    let graph = transformer();
    let text = graph.to_json().unwrap();
    let good = tensors(&graph);
    let (name, tensor) = good.iter().find(|(name, _)| *name == "query.weight").unwrap();
    let mut values = tensor.to_f64();
    values[3] += 1.0;
    let changed = HostTensor::from_f64(tensor.dtype(), tensor.shape(), &values).unwrap();
    let shape: Vec<usize> = tensor.shape().iter().rev().copied().collect();
    let bent = tensor.reshape(&[shape.iter().product()]).unwrap();
    let widened = tensor.cast(DType::F64).unwrap();
    for wrong in [changed, bent, widened] {
        let mut tensors = good.clone();
        tensors.insert(name.clone(), wrong);
        let error = read(&text, &tensors).unwrap_err();
        assert!(error.to_string().contains(name) && error.to_string().contains("another model"), "{error}");
    }
    let mut missing = good.clone();
    missing.remove(name);
    assert!(read(&text, &missing).unwrap_err().to_string().contains(name));
}

#[test]
fn files_of_another_version_or_no_graph_at_all_are_refused() {
    let graph = transformer();
    let text = graph.to_json().unwrap().replace("\"lockstep_graph\": 1", "\"lockstep_graph\": 2");
    let error = read(&text, &tensors(&graph)).unwrap_err();
    assert!(error.to_string().contains("of version 2, this program reads 1"), "{error}");
    for text in ["", "{}", "[]", "null", "{\"lockstep_graph\": 1}", "\u{0}"] {
        assert!(matches!(read(text, &BTreeMap::new()), Err(Error::File { .. })), "{text:?}");
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error_and_no_panic() {
    let graph = transformer();
    let text = graph.to_json().unwrap();
    let tensors = tensors(&graph);
    for end in (0..text.trim_end().len()).step_by(61) {
        assert!(matches!(read(&text[..end], &tensors), Err(Error::File { .. })), "cut at {end}");
    }
}

/// Every number of the file in turn replaced by another: an error or some other graph, never a panic.
#[test]
fn a_file_with_a_number_changed_is_no_panic() {
    let graph = transformer();
    let text = graph.to_json().unwrap();
    let tensors = tensors(&graph);
    let (mut refused, mut read_again) = (0, 0);
    let digits: Vec<usize> =
        text.char_indices().filter(|(_, c)| c.is_ascii_digit()).map(|(at, _)| at).collect();
    for at in digits.into_iter().step_by(7) {
        for number in ["0", "9", "4294967295", "18446744073709551615"] {
            let changed = format!("{}{number}{}", &text[..at], &text[at + 1..]);
            match read(&changed, &tensors) {
                Err(_) => refused += 1,
                Ok(_) => read_again += 1,
            }
        }
    }
    assert!(refused > 100 && read_again > 0, "{refused} refused, {read_again} read");
}

#[test]
fn a_value_that_nothing_writes_is_an_error() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(DType::F32, &[2])).unwrap();
    let y = b.compare("y", CompareOp::Lt, x, x).unwrap();
    b.output("out", y).unwrap();
    let text = b.finish().unwrap().to_json().unwrap();
    let text = text.replacen("\"out\",\n      1", "\"out\",\n      7", 1);
    let error = read(&text, &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("value 7 is read before anything writes it"), "{error}");
}

/// `x` times its attribute.
#[derive(Debug)]
struct Times(f64);

impl CustomOp for Times {
    fn name(&self) -> &str {
        "test.times"
    }

    fn attributes(&self) -> serde_json::Value {
        serde_json::json!({ "factor": self.0 })
    }

    fn infer(&self, inputs: &[TensorType]) -> std::result::Result<Vec<TensorType>, String> {
        match inputs {
            [x] if x.dtype.is_float() => Ok(vec![x.clone()]),
            _ => Err("takes one float tensor".into()),
        }
    }

    fn decompose(&self, builder: &mut GraphBuilder, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        let factor = builder.scalar("factor", builder.ty(inputs[0]).dtype, self.0)?;
        Ok(vec![builder.mul("", inputs[0], factor)?])
    }

    fn reference(&self, inputs: &[HostTensor]) -> std::result::Result<Vec<HostTensor>, String> {
        let y: Vec<f64> = inputs[0].to_f64().iter().map(|x| x * self.0).collect();
        Ok(vec![HostTensor::from_slice(inputs[0].shape(), &y).map_err(|e| e.to_string())?])
    }
}

fn make_times(attributes: &serde_json::Value) -> std::result::Result<Arc<dyn CustomOp>, String> {
    let factor = attributes["factor"].as_f64().ok_or("needs a factor")?;
    Ok(Arc::new(Times(factor)))
}

#[test]
fn custom_ops_come_back_with_their_attributes_or_are_refused() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(DType::F32, &[2])).unwrap();
    let y = b.custom("times", Arc::new(Times(2.5)), &[x]).unwrap()[0];
    b.output("y", y).unwrap();
    let graph = b.finish().unwrap();
    let text = graph.to_json().unwrap();
    let none = |name: &str| Err(Error::File { reason: format!("no tensor {name}") });

    let known: CustomOps = [("test.times".to_owned(), make_times as fn(&_) -> _)].into();
    let back = Graph::from_json(&text, &known, none).unwrap();
    assert_eq!(back.digest(), graph.digest());
    assert_eq!(back.nodes()[0].op, Op::Custom(Custom::new(Arc::new(Times(2.5)))));
    assert_ne!(back.nodes()[0].op, Op::Custom(Custom::new(Arc::new(Times(3.5)))));

    let error = Graph::from_json(&text, &CustomOps::new(), none).unwrap_err();
    assert!(
        error.to_string().contains("custom op `test.times`, whose implementation was not given"),
        "{error}"
    );
    let broken = text.replace("factor", "divisor");
    let error = Graph::from_json(&broken, &known, none).unwrap_err();
    assert!(error.to_string().contains("custom op `test.times`: needs a factor"), "{error}");
}
