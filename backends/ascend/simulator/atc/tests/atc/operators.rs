//! Operators by themselves, in small models by hand.

use crate::interpreter::run;
use crate::models::{
    Exported, F32, I64, ORIGIN, chance, float, floats, int, ints, model, node, numbers, port,
};
use lockstep_ascend_container::{Operator, Step};
use lockstep_graph::HostTensor;
use lockstep_onnx::messages::{AttributeProto, ModelProto, NodeProto, TensorProto, attribute_kind};

/// What a model gives, with the steps that it took.
fn ran(model: &ModelProto, more: &[&str], inputs: &[HostTensor]) -> (Vec<HostTensor>, Vec<Step>) {
    let compiled = Exported::bytes(&model.bytes()).compiled(&[&[ORIGIN], more].concat());
    let compiled = compiled.unwrap_or_else(|error| panic!("{error}"));
    // What is written can be read.
    let bytes = compiled.bytes().unwrap();
    let (model, constants) = lockstep_ascend_container::read(&bytes).unwrap();
    let outputs = run(&model, constants, inputs);
    (outputs, model.gears[0].steps.clone())
}

/// A model of nodes that end in `y`, on x `[2, 3, 4]`.
fn of_x(opset: i64, constants: &[(&str, HostTensor)], nodes: Vec<NodeProto>) -> ModelProto {
    model(opset, vec![port("x", F32, &[2, 3, 4])], constants, nodes, &["y"])
}

fn counting() -> HostTensor {
    floats(&[2, 3, 4], &(0..24).map(|x| x as f32).collect::<Vec<_>>())
}

fn refused(model: &ModelProto) -> String {
    Exported::bytes(&model.bytes()).compiled(&[ORIGIN]).unwrap_err().to_string()
}

#[test]
fn movement_is_a_view_and_one_copy_into_the_output() {
    let nodes = vec![
        node("turned", "Transpose", &["x"], vec![ints("perm", &[2, 0, 1])]),
        node("part", "Slice", &["turned", "from", "to", "axes", "step"], vec![]),
        node("wider", "Unsqueeze", &["part", "from"], vec![]),
        node("y", "Squeeze", &["wider", "from"], vec![]),
    ];
    let constants = [
        ("from", numbers(&[1], &[1])),
        ("to", numbers(&[1], &[i64::MAX])),
        ("axes", numbers(&[1], &[-3])),
        ("step", numbers(&[1], &[2])),
    ];
    let (outputs, steps) = ran(&of_x(13, &constants, nodes), &[], &[counting()]);
    assert_eq!(steps.iter().map(|step| step.operator).collect::<Vec<_>>(), [Operator::Copy]);
    assert_eq!(outputs[0].shape(), [2, 2, 3]);
    assert_eq!(outputs[0].to_f64(), [1., 5., 9., 13., 17., 21., 3., 7., 11., 15., 19., 23.]);
}

#[test]
fn a_reshape_that_no_stride_says_is_a_copy() {
    let nodes = vec![
        node("turned", "Transpose", &["x"], vec![ints("perm", &[1, 0, 2])]),
        node("merged", "Reshape", &["turned", "shape"], vec![]),
        node("y", "Neg", &["merged"], vec![]),
    ];
    let (outputs, steps) = ran(&of_x(13, &[("shape", numbers(&[2], &[0, -1]))], nodes), &[], &[counting()]);
    assert_eq!(steps.len(), 2);
    assert_eq!(outputs[0].shape(), [3, 8]);
    assert_eq!(outputs[0].to_f64()[..8], [-0., -1., -2., -3., -12., -13., -14., -15.]);
}

#[test]
fn shapes_of_older_operators_are_in_attributes() {
    let nodes = vec![
        node("wide", "Unsqueeze", &["x"], vec![ints("axes", &[0, -1])]),
        node("narrow", "Squeeze", &["wide"], vec![ints("axes", &[0, 4])]),
        node("sum", "ReduceSum", &["narrow"], vec![ints("axes", &[1]), int("keepdims", 0)]),
        node("y", "Flatten", &["sum"], vec![int("axis", 2)]),
    ];
    let (outputs, _) = ran(&of_x(11, &[], nodes), &[], &[counting()]);
    assert_eq!(outputs[0].shape(), [8, 1]);
    assert_eq!(outputs[0].to_f64(), [12., 15., 18., 21., 48., 51., 54., 57.]);
}

#[test]
fn softmax_is_along_its_axis_and_before_opset_13_along_all_that_follow() {
    let soft = |opset: i64, axis: i64| {
        let nodes = vec![node("y", "Softmax", &["x"], vec![int("axis", axis)])];
        ran(&of_x(opset, &[], nodes), &[], &[chance(&[2, 3, 4], 3)]).0[0].to_f64()
    };
    let sums = |values: &[f64], of: &dyn Fn(usize) -> usize, count: usize| {
        let mut sums = vec![0.0; count];
        values.iter().enumerate().for_each(|(at, x)| sums[of(at)] += x);
        sums
    };
    let all_one = |sums: Vec<f64>| sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6);
    assert!(all_one(sums(&soft(13, -1), &|at| at / 4, 6)));
    assert!(all_one(sums(&soft(13, 1), &|at| at / 12 * 4 + at % 4, 8)));
    assert!(all_one(sums(&soft(13, 0), &|at| at % 12, 12)));
    assert!(all_one(sums(&soft(11, 1), &|at| at / 12, 2)));
    assert!(all_one(sums(&soft(11, 2), &|at| at / 4, 6)));
}

#[test]
fn reductions_are_over_any_axes() {
    let of = |op_type: &str, axes: &[i64], keep: i64| {
        let nodes = vec![node("y", op_type, &["x"], vec![ints("axes", axes), int("keepdims", keep)])];
        let output = ran(&of_x(13, &[], nodes), &[], &[counting()]).0.remove(0);
        (output.shape().to_vec(), output.to_f64())
    };
    assert_eq!(of("ReduceMax", &[0, 2], 1), (vec![1, 3, 1], vec![15.0, 19.0, 23.0]));
    assert_eq!(of("ReduceMin", &[0, 2], 0), (vec![3], vec![0.0, 4.0, 8.0]));
    assert_eq!(of("ReduceMean", &[], 0), (vec![], vec![11.5]));
}

#[test]
fn a_concat_is_copies_into_its_parts() {
    let nodes = vec![
        node("turned", "Transpose", &["x"], vec![ints("perm", &[0, 2, 1])]),
        node("back", "Transpose", &["turned"], vec![ints("perm", &[0, 2, 1])]),
        node("y", "Concat", &["x", "row", "back"], vec![int("axis", 1)]),
    ];
    let constants = [("row", floats(&[2, 1, 4], &[-1.0; 8]))];
    let (outputs, steps) = ran(&of_x(13, &constants, nodes), &[], &[counting()]);
    assert_eq!(steps.len(), 3);
    assert_eq!(outputs[0].shape(), [2, 7, 4]);
    assert_eq!(outputs[0].to_f64()[12..20], [-1., -1., -1., -1., 0., 1., 2., 3.]);
}

#[test]
fn products_take_vectors_and_broadcast_batches() {
    let (x, v, w) = (chance(&[2, 3, 4], 1), chance(&[4], 2), chance(&[3], 3));
    let inputs = vec![port("x", F32, &[2, 3, 4]), port("v", F32, &[4]), port("w", F32, &[3])];
    let nodes = vec![
        node("a", "MatMul", &["x", "v"], vec![]),
        node("b", "MatMul", &["w", "x"], vec![]),
        node("c", "MatMul", &["v", "v"], vec![]),
    ];
    let model = model(13, inputs, &[], nodes, &["a", "b", "c"]);
    let (outputs, _) = ran(&model, &[], &[x.clone(), v.clone(), w.clone()]);
    let shapes: Vec<&[usize]> = outputs.iter().map(HostTensor::shape).collect();
    assert_eq!(shapes, [&[2, 3][..], &[2, 4], &[]]);
    let (x, v, w) = (x.to_f64(), v.to_f64(), w.to_f64());
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} and {b}");
    for (at, found) in outputs[0].to_f64().into_iter().enumerate() {
        near(found, (0..4).map(|i| x[at * 4 + i] * v[i]).sum());
    }
    for (at, found) in outputs[1].to_f64().into_iter().enumerate() {
        near(found, (0..3).map(|i| w[i] * x[at / 4 * 12 + i * 4 + at % 4]).sum());
    }
    near(outputs[2].to_f64()[0], v.iter().map(|x| x * x).sum());
}

#[test]
fn a_gemm_is_a_product_with_its_factors() {
    let (a, b, c) = (chance(&[4, 2], 1), chance(&[3, 4], 2), chance(&[3], 3));
    let attributes = vec![int("transA", 1), int("transB", 1), float("alpha", 0.5), float("beta", 2.0)];
    let nodes = vec![node("y", "Gemm", &["a", "b", "c"], attributes)];
    let constants = [("b", b.clone()), ("c", c.clone())];
    let model = model(13, vec![port("a", F32, &[4, 2])], &constants, nodes, &["y"]);
    let (outputs, _) = ran(&model, &[], std::slice::from_ref(&a));
    let (a, b, c) = (a.to_f64(), b.to_f64(), c.to_f64());
    for (at, found) in outputs[0].to_f64().into_iter().enumerate() {
        let (row, column) = (at / 3, at % 3);
        let product: f64 = (0..4).map(|i| a[i * 2 + row] * b[column * 4 + i]).sum();
        assert!((found - (0.5 * product + 2.0 * c[column])).abs() < 1e-6);
    }
}

#[test]
fn rows_of_a_table_are_gathered_and_known_places_are_views() {
    let table = floats(&[3, 2], &[0., 1., 10., 11., 20., 21.]);
    let constants = [("table", table), ("last", numbers(&[], &[-1])), ("rows", numbers(&[2], &[-1, 0]))];
    let nodes = vec![
        node("rows_of", "Gather", &["table", "ids"], vec![]),
        node("place", "Gather", &["rows_of", "last"], vec![int("axis", 1)]),
        node("known", "Gather", &["table", "rows"], vec![]),
    ];
    let model = model(13, vec![port("ids", I64, &[2, 2])], &constants, nodes, &["rows_of", "place", "known"]);
    let (outputs, steps) = ran(&model, &[], &[numbers(&[2, 2], &[2, 0, 1, 1])]);
    assert_eq!(outputs[0].to_f64(), [20., 21., 0., 1., 10., 11., 10., 11.]);
    assert_eq!((outputs[1].shape(), outputs[1].to_f64()), (&[2, 2][..], vec![0., 1., 10., 11.]));
    assert_eq!(outputs[2].to_f64(), [20., 21., 0., 1.]);
    assert_eq!(steps.len(), 3);
}

#[test]
fn what_follows_from_extents_is_constant_in_each_gear() {
    // A triangle of ones as long as x, by way of every operator of shapes.
    let nodes = vec![
        node("shape", "Shape", &["x"], vec![]),
        node("length", "Gather", &["shape", "zero"], vec![]),
        node("positions", "Range", &["zero", "length", "one"], vec![]),
        node("column", "Unsqueeze", &["positions", "axes"], vec![]),
        node("is_before", "LessOrEqual", &["column", "positions"], vec![]),
        node("lengths", "Unsqueeze", &["length", "zeros"], vec![]),
        node("both", "Concat", &["lengths", "lengths"], vec![int("axis", 0)]),
        node("filled", "ConstantOfShape", &["both"], vec![]),
        node("y", "Where", &["is_before", "x", "filled"], vec![]),
    ];
    let constants = [
        ("zero", numbers(&[], &[0])),
        ("one", numbers(&[], &[1])),
        ("axes", numbers(&[1], &[1])),
        ("zeros", numbers(&[1], &[0])),
    ];
    let model = model(13, vec![port("x", F32, &[-1])], &constants, nodes, &["y"]);
    let flags = ["--input_shape=x:-1", "--dynamic_dims=2;3"];
    let (outputs, steps) = ran(&model, &flags, &[floats(&[3], &[1., 2., 3.])]);
    assert_eq!(outputs[0].to_f64(), [1., 2., 3., 0., 2., 3., 0., 0., 3.]);
    assert_eq!(steps.iter().map(|step| step.operator).collect::<Vec<_>>(), [Operator::Select]);
}

#[test]
fn constants_are_initializers_nodes_or_single_numbers() {
    let value = AttributeProto {
        name: "value".to_owned(),
        t: Some(TensorProto::of("", &floats(&[2], &[3., 4.]))),
        kind: attribute_kind::TENSOR,
        ..AttributeProto::default()
    };
    let nodes = vec![
        node("c", "Constant", &[], vec![value]),
        node("two", "Constant", &[], vec![float("value_float", 2.0)]),
        node("shape", "Constant", &[], vec![ints("value_ints", &[2, 1])]),
        node("scaled", "Mul", &["x", "two"], vec![]),
        node("sum", "Add", &["scaled", "c"], vec![]),
        node("y", "Reshape", &["sum", "shape"], vec![]),
    ];
    let given =
        ran(&model(13, vec![port("x", F32, &[2])], &[], nodes, &["y"]), &[], &[floats(&[2], &[1., 2.])]);
    assert_eq!((given.0[0].shape(), given.0[0].to_f64()), (&[2, 1][..], vec![5., 8.]));
    let none = vec![node("y", "Constant", &[], vec![])];
    assert!(refused(&of_x(13, &[], none)).contains("has no value that atc-sim reads"));
}

#[test]
fn an_output_that_is_an_input_a_constant_or_another_output_is_a_copy() {
    let nodes = vec![
        node("doubled", "Add", &["x", "x"], vec![]),
        node("again", "Identity", &["doubled"], vec![]),
        node("fed", "Identity", &["x"], vec![]),
    ];
    let model = model(
        13,
        vec![port("x", F32, &[2])],
        &[("c", floats(&[2], &[7., 8.]))],
        nodes,
        &["doubled", "again", "fed", "c"],
    );
    let (outputs, steps) = ran(&model, &[], &[floats(&[2], &[1., 2.])]);
    let values: Vec<Vec<f64>> = outputs.iter().map(HostTensor::to_f64).collect();
    assert_eq!(values, [[2., 4.], [2., 4.], [1., 2.], [7., 8.]]);
    assert_eq!(steps.len(), 4);
}

#[test]
fn an_output_with_more_axes_in_one_gear_than_in_another_is_refused_by_both() {
    let nodes = vec![node("y", "Squeeze", &["x"], vec![])];
    let model = model(13, vec![port("x", F32, &[-1, 3])], &[], nodes, &["y"]);
    let flags = [ORIGIN, "--input_shape=x:-1,3", "--dynamic_batch_size=4,1,2"];
    let said = Exported::bytes(&model.bytes()).compiled(&flags).unwrap_err().to_string();
    assert!(said.starts_with("tensor `y`: has 1 axes in the gear 1 and 2 in the gear 2"), "{said}");
}

#[test]
fn an_exponent_is_converted_for_a_float_base_alone() {
    let of = |base: &str, exponent: &str| {
        let nodes = vec![node("y", "Pow", &[base, exponent], vec![])];
        let constants = [("half", floats(&[1], &[0.5])), ("two", numbers(&[1], &[2]))];
        model(13, vec![port("x", F32, &[2]), port("n", I64, &[2])], &constants, nodes, &["y"])
    };
    let fed = [floats(&[2], &[3., -4.]), numbers(&[2], &[9, 16])];
    assert_eq!(ran(&of("x", "two"), &[], &fed).0[0].to_f64(), [9., 16.]);
    let said = refused(&of("n", "half"));
    assert!(said.contains("its base is I64 and its exponent F32"), "{said}");
}

#[test]
fn what_does_not_fit_is_refused_by_its_node() {
    let one = |name: &str, op_type: &str, inputs: &[&str], attributes| {
        refused(&of_x(
            13,
            &[("five", numbers(&[1], &[5])), ("id", numbers(&[1], &[9]))],
            vec![node(name, op_type, inputs, attributes)],
        ))
    };
    for (said, expected) in [
        (
            one("y", "Reshape", &["x", "five"], vec![]),
            "node `y` (Reshape): its operand has the extents [2, 3, 4]",
        ),
        (one("y", "Transpose", &["x"], vec![ints("perm", &[0, 0, 1])]), "is no order of 3 axes"),
        (one("y", "Add", &["x", "five"], vec![]), "its operands are F32 and I64"),
        (one("y", "Add", &["x"], vec![]), "has 1 operands, and takes 2"),
        (one("y", "MatMul", &["x", "x"], vec![]), "there is no product"),
        (one("y", "Squeeze", &["x", "five"], vec![]), "has no axis 5"),
        (one("y", "Gather", &["x", "id"], vec![]), "its index 9 is none of 2"),
        (one("y", "Concat", &["x", "five"], vec![int("axis", 0)]), "do not join"),
        (one("y", "Cast", &["x"], vec![int("to", 11)]), "is f64"),
        (one("y", "Cast", &["x"], vec![int("to", 16)]), "is bf16"),
        (one("y", "Neg", &["z"], vec![]), "reads `z`, which nothing before it gives"),
        (one("z", "Neg", &["x"], vec![]), "tensor `y`: is an output that no node"),
        (one("x", "Neg", &["x"], vec![]), "tensor `x`: is given twice"),
        (one("y", "Softmax", &["x"], vec![int("axis", 3)]), "has no axis 3"),
        (one("y", "Cast", &["x"], vec![ints("to", &[1])]), "`to` is of kind 7"),
    ] {
        assert!(said.contains(expected), "{said}");
    }
    let gathers = vec![node("y", "Gather", &["x", "ids"], vec![int("axis", 1)])];
    let inputs = vec![port("x", F32, &[2, 3, 4]), port("ids", I64, &[2])];
    assert!(refused(&model(13, inputs, &[], gathers, &["y"])).contains("rows of a table with two axes"));
    let shaped = vec![node("y", "Reshape", &["x", "ids"], vec![])];
    let inputs = vec![port("x", F32, &[2]), port("ids", I64, &[1])];
    assert!(
        refused(&model(13, inputs, &[], shaped, &["y"])).contains("its shape follows from values of a run")
    );
}
