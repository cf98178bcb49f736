//! Shape inference: what each op refuses and how it says so, before and after extents are known.

mod transformer;

use lockstep_graph::{
    Activation, Attention, BinaryOp, CompareOp, DType, Dim, GeluForm, GraphBuilder, Linear, Op, Operands,
    PoolKind, ReduceOp, Sequences, Symbol, SymbolValues, TensorType, UnaryOp, infer,
};
use transformer::{HIDDEN, transformer};

use DType::{Bool, F16, F32, I32, I64, U8};

fn ty(dtype: DType, shape: &[usize]) -> TensorType {
    TensorType::fixed(dtype, shape)
}

fn reason(op: &Op, inputs: &[TensorType]) -> String {
    let inputs: Vec<&TensorType> = inputs.iter().collect();
    match infer("some.node", op, &inputs) {
        Ok(given) => panic!("{op:?} of {inputs:?} gives {given:?}"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.starts_with(&format!("some.node ({op}): ")), "{text}");
            let given: Vec<String> = inputs.iter().map(|ty| ty.to_string()).collect();
            assert!(text.ends_with(&format!("; inputs are ({})", given.join(", "))), "{text}");
            text
        }
    }
}

fn attention(heads: usize, operands: Operands, sequences: Sequences) -> Op {
    Op::Attention(Attention { heads, scale: 1.0, operands, sequences })
}

fn linear(bias: bool, residual: bool) -> Op {
    Op::Linear(Linear { bias, activation: Some(Activation::Gelu(GeluForm::Erf)), residual })
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn ops_refuse_what_does_not_fit_and_say_why() {
    let (x, row) = (ty(F32, &[2, 3]), ty(F32, &[3]));
    let separate = |shape: &[usize]| vec![ty(F32, shape); 3];
    let with = |mut inputs: Vec<TensorType>, last: TensorType| {
        inputs.push(last);
        inputs
    };
    let reduce = |op, axes: &[usize]| Op::Reduce { op, axes: axes.to_vec(), keep_axes: false };
    let reshape = |shape: &[usize]| Op::Reshape { shape: shape.iter().map(|&e| Dim::from(e)).collect() };
    let expand = |shape: &[usize]| Op::Expand { shape: shape.iter().map(|&e| Dim::from(e)).collect() };
    let slice = |axis, start, step, length: usize| Op::Slice { axis, start, step, length: length.into() };
    let embed = Op::EmbedLayerNorm { dtype: F32, epsilon: 1e-5 };
    let cases: Vec<(Op, Vec<TensorType>, &str)> = vec![
        (Op::Unary(UnaryOp::Exp), vec![], "takes 1 inputs, got 0"),
        (Op::Unary(UnaryOp::Exp), vec![ty(I64, &[2])], "is not defined for i64"),
        (Op::Unary(UnaryOp::Not), vec![x.clone()], "is not defined for f32"),
        (Op::Unary(UnaryOp::Neg), vec![ty(Bool, &[2])], "is not defined for bool"),
        (Op::Binary(BinaryOp::Add), vec![x.clone(), ty(F16, &[2, 3])], "add a Cast from f16 to f32"),
        (Op::Binary(BinaryOp::Add), vec![x.clone(), ty(F32, &[2])], "extents 3 and 2 do not broadcast"),
        (Op::Binary(BinaryOp::And), vec![x.clone(), x.clone()], "is not defined for f32"),
        (Op::Binary(BinaryOp::Mul), vec![ty(Bool, &[1]), ty(Bool, &[1])], "is not defined for bool"),
        (Op::Compare(CompareOp::Lt), vec![ty(Bool, &[1]), ty(Bool, &[1])], "truth values have no order"),
        (Op::Compare(CompareOp::Eq), vec![x.clone(), ty(I32, &[3])], "operands must have one dtype"),
        (Op::Select, vec![x.clone(), x.clone(), x.clone()], "the condition must be bool, is f32"),
        (Op::Select, vec![ty(Bool, &[2, 3]), x.clone(), ty(I64, &[3])], "operands must have one dtype"),
        (Op::Select, vec![ty(Bool, &[4]), x.clone(), x.clone()], "extents 4 and 3 do not broadcast"),
        (Op::Cast { to: F16 }, vec![x.clone(), x.clone()], "takes 1 inputs, got 2"),
        (Op::MatMul, vec![x.clone(), x.clone()], "inner extents 3 and 2 differ"),
        (Op::MatMul, vec![x.clone(), row.clone()], "operands need at least two axes"),
        (Op::MatMul, vec![ty(I64, &[2, 2]), ty(I64, &[2, 2])], "an operand must be a float, is i64"),
        (Op::MatMul, vec![ty(F32, &[2, 2, 3]), ty(F32, &[3, 3, 1])], "extents 2 and 3 do not broadcast"),
        (Op::Transpose { permutation: vec![0, 0] }, vec![x.clone()], "[0, 0] is not a permutation of 2 axes"),
        (Op::Transpose { permutation: vec![0, 2] }, vec![x.clone()], "is not a permutation"),
        (Op::Transpose { permutation: vec![0] }, vec![x.clone()], "is not a permutation"),
        (reshape(&[4, 2]), vec![x.clone()], "6 elements cannot take a shape of 8"),
        (expand(&[3]), vec![x.clone()], "the target shape is smaller than the input's"),
        (expand(&[2, 4]), vec![x.clone()], "extents 3 and 4 do not broadcast"),
        (slice(2, 0, 1, 1), vec![x.clone()], "has no axis 2"),
        (slice(1, 0, 0, 1), vec![x.clone()], "the step must be at least 1"),
        (slice(1, 2, 1, 2), vec![x.clone()], "2 positions from 2 do not lie in an axis of 3"),
        (slice(1, usize::MAX, 2, 3), vec![x.clone()], "do not lie in an axis of 3"),
        (slice(1, 4, 1, 0), vec![x.clone()], "0 positions from 4 do not lie in an axis of 3"),
        (Op::Concat { axis: 0 }, vec![], "takes at least one input"),
        (Op::Concat { axis: 0 }, vec![x.clone(), ty(F32, &[2, 4])], "inputs must be alike but for axis 0"),
        (Op::Concat { axis: 0 }, vec![x.clone(), row.clone()], "inputs must be alike but for axis 0"),
        (Op::Concat { axis: 5 }, vec![x.clone()], "has no axis 5"),
        (Op::Concat { axis: 0 }, vec![ty(F32, &[usize::MAX]), ty(F32, &[1])], "the joined axis is too long"),
        (Op::Gather { axis: 0 }, vec![x.clone(), row.clone()], "the index must be i64 or i32, is f32"),
        (Op::Gather { axis: 2 }, vec![x.clone(), ty(I64, &[1])], "has no axis 2"),
        (Op::IndexAdd { axis: 0 }, vec![x.clone(), ty(I64, &[4]), x.clone()], "source must be f32[4, 3]"),
        (
            Op::IndexAdd { axis: 0 },
            vec![x.clone(), ty(I64, &[1, 2]), x.clone()],
            "the index must have one axis",
        ),
        (
            Op::IndexAdd { axis: 0 },
            vec![x.clone(), ty(U8, &[2]), x.clone()],
            "the index must be i64 or i32, is u8",
        ),
        (
            Op::IndexAdd { axis: 0 },
            vec![ty(Bool, &[2]), ty(I64, &[2]), ty(Bool, &[2])],
            "truth values do not add",
        ),
        (reduce(ReduceOp::Sum, &[1, 0]), vec![x.clone()], "axes [1, 0] must be ascending and of the input"),
        (reduce(ReduceOp::Sum, &[0, 0]), vec![x.clone()], "must be ascending"),
        (reduce(ReduceOp::Sum, &[2]), vec![x.clone()], "must be ascending and of the input"),
        (reduce(ReduceOp::Max, &[0]), vec![ty(Bool, &[2])], "truth values do not reduce"),
        (reduce(ReduceOp::Mean, &[0]), vec![ty(I64, &[2])], "the mean of integers is not defined"),
        (Op::Fill { dtype: F32, value: 0.0, shape: vec![] }, vec![x.clone()], "takes 0 inputs, got 1"),
        (Op::Iota { length: 3.into() }, vec![x.clone()], "takes 0 inputs, got 1"),
        (Op::Softmax { axis: 2 }, vec![x.clone()], "has no axis 2"),
        (Op::Softmax { axis: 0 }, vec![ty(I64, &[2])], "x must be a float, is i64"),
        (Op::LayerNorm { epsilon: 1e-5 }, vec![x.clone(), ty(F32, &[2]), row.clone()], "gamma must be [3]"),
        (
            Op::LayerNorm { epsilon: 1e-5 },
            vec![x.clone(), row.clone(), ty(I64, &[3])],
            "beta must be a float, is i64",
        ),
        (
            Op::LayerNorm { epsilon: -1.0 },
            vec![x.clone(), row.clone(), row.clone()],
            "must be finite and not negative",
        ),
        (Op::LayerNorm { epsilon: f64::NAN }, vec![x.clone(), row.clone(), row.clone()], "must be finite"),
        (
            Op::LayerNorm { epsilon: 0.0 },
            vec![ty(F32, &[]), row.clone(), row.clone()],
            "x needs at least one axis",
        ),
        (
            Op::AddLayerNorm { epsilon: 0.0 },
            vec![x.clone(), row.clone(), row.clone(), row.clone()],
            "x and the residual must be alike",
        ),
        (embed.clone(), vec![row.clone(), row.clone()], "takes a table and an index, more such pairs"),
        (embed.clone(), vec![x.clone(), row.clone(), row.clone()], "takes a table and an index"),
        (
            embed.clone(),
            vec![row.clone(), ty(I64, &[2]), row.clone(), row.clone()],
            "tables are [rows, hidden]",
        ),
        (
            embed.clone(),
            vec![x.clone(), ty(I64, &[2]), ty(F32, &[2, 4]), ty(I64, &[2]), row.clone(), row.clone()],
            "every table must be [rows, 3]",
        ),
        (
            embed.clone(),
            vec![x.clone(), ty(I64, &[2]), x.clone(), ty(I64, &[4]), row.clone(), row.clone()],
            "every index must be of shape i64[2]",
        ),
        (embed, vec![x.clone(), ty(I64, &[2]), ty(F32, &[2]), row.clone()], "gamma must be [3]"),
        (Op::Gelu(GeluForm::Erf), vec![ty(I64, &[2])], "x must be a float, is i64"),
        (linear(false, false), vec![x.clone()], "takes 2 inputs, got 1"),
        (linear(false, false), vec![x.clone(), row.clone()], "the weight must be [out, in]"),
        (linear(false, false), vec![x.clone(), ty(F32, &[5, 2])], "x's last extent is 3, the weight takes 2"),
        (linear(true, false), vec![x.clone(), ty(F32, &[5, 3]), row.clone()], "the bias must be [5]"),
        (linear(false, true), vec![x.clone(), ty(F32, &[5, 3]), x.clone()], "the residual must be f32[2, 5]"),
        (
            attention(2, Operands::Separate, Sequences::Dense),
            separate(&[2, 3]),
            "must have 3 axes and one dtype",
        ),
        (
            attention(3, Operands::Separate, Sequences::Dense),
            separate(&[1, 2, 8]),
            "3 heads do not divide a hidden extent of 8",
        ),
        (attention(0, Operands::Separate, Sequences::Dense), separate(&[1, 2, 8]), "0 heads do not divide"),
        (
            attention(2, Operands::Merged, Sequences::Dense),
            vec![ty(F32, &[1, 2, 8])],
            "2 heads do not divide",
        ),
        (attention(2, Operands::Separate, Sequences::KeyMask), separate(&[1, 2, 8]), "takes 4 inputs, got 3"),
        (
            attention(2, Operands::Separate, Sequences::KeyMask),
            with(separate(&[1, 2, 8]), ty(I64, &[1, 2])),
            "the mask must be bool, is i64",
        ),
        (
            attention(2, Operands::Separate, Sequences::KeyMask),
            with(separate(&[1, 2, 8]), ty(Bool, &[1, 3])),
            "the mask must be [batch, seq]",
        ),
        (
            attention(2, Operands::Separate, Sequences::Ends),
            with(separate(&[5, 8]), ty(I32, &[1])),
            "sequence ends must be i64 [batch]",
        ),
        (
            attention(2, Operands::Separate, Sequences::Dense),
            vec![ty(F32, &[2, 2, 8]), ty(F32, &[1, 2, 8]), ty(F32, &[1, 2, 8])],
            "k and q do not fit",
        ),
        (
            attention(2, Operands::Separate, Sequences::Dense),
            vec![ty(F32, &[2, 2, 8]), ty(F32, &[2, 2, 8]), ty(F32, &[2, 3, 8])],
            "k and v must be alike",
        ),
        (
            Op::Pool { kind: PoolKind::Mean, sequences: Sequences::Dense },
            vec![ty(F32, &[2, 2, 8]), ty(Bool, &[2, 2])],
            "needs a mask or sequence ends",
        ),
        (
            Op::Pool { kind: PoolKind::Max, sequences: Sequences::Ends },
            vec![ty(F32, &[2, 2, 8]), ty(I64, &[2])],
            "packed data must be [tokens, hidden]",
        ),
    ];
    for (op, inputs, wanted) in cases {
        let text = reason(&op, &inputs);
        assert!(text.contains(wanted), "{text} is not: {wanted}");
    }
}

fn bindings(pairs: &[(&str, usize)]) -> SymbolValues {
    pairs.iter().map(|(name, value)| (Symbol::new(name), *value)).collect()
}

#[test]
fn binding_gives_every_value_its_extents() {
    let bound = transformer().bound(&bindings(&[("batch", 2), ("seq", 5)])).unwrap();
    assert!(bound.values().all(|(_, value)| value.ty.fixed_shape().is_some()));
    let shape = |name: &str| {
        let (_, id) = bound.outputs().iter().find(|(output, _)| output == name).unwrap();
        bound.value(*id).ty.fixed_shape().unwrap()
    };
    assert_eq!((shape("logits"), shape("hidden")), (vec![2, 3], vec![2, 5, HIDDEN]));
    assert_eq!(bound.checkpoints().len(), transformer().checkpoints().len());
}

#[test]
fn binding_checks_what_symbols_hid() {
    let error = transformer().bound(&bindings(&[("batch", 2), ("seq", 7)])).unwrap_err().to_string();
    assert!(error.contains("position (Slice): 7 positions from 0 do not lie in an axis of 6"), "{error}");
    let error = transformer().bound(&bindings(&[("batch", 2)])).unwrap_err().to_string();
    assert!(error.contains("dimension `seq` has no value"), "{error}");

    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::new(F32, [Dim::symbol("n"), Dim::from(4)])).unwrap();
    let product = Dim::product([&Dim::symbol("n"), &Dim::from(2)]);
    let y = b.reshape("y", x, &[product, Dim::from(2)]).unwrap();
    let reduced = b.reduce("sum", ReduceOp::Sum, y, &[0], false).unwrap();
    b.output("sum", reduced).unwrap();
    let graph = b.finish().unwrap();
    for n in [0, 1, 3] {
        let bound = graph.bound(&bindings(&[("n", n)])).unwrap();
        assert_eq!(bound.value(bound.nodes()[0].outputs[0]).ty.fixed_shape().unwrap(), [2 * n, 2]);
    }
}

#[test]
fn two_symbols_do_not_broadcast_by_luck() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::new(F32, [Dim::symbol("n")])).unwrap();
    let y = b.input("y", TensorType::new(F32, [Dim::symbol("m")])).unwrap();
    let error = b.add("sum", x, y).unwrap_err().to_string();
    assert!(error.contains("extents n and m do not broadcast"), "{error}");
    let two = b.input("two", TensorType::fixed(F32, &[2])).unwrap();
    assert!(b.add("sum", x, two).is_err());
}

#[test]
fn names_are_unique_and_unknown_ones_list_the_known() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(F32, &[2])).unwrap();
    assert!(
        b.input("x", TensorType::fixed(F32, &[2]))
            .unwrap_err()
            .to_string()
            .contains("two inputs are called `x`")
    );
    for _ in 0..3 {
        b.add("sum", x, x).unwrap();
    }
    let last = b.scoped("inner", |b| b.add("sum", x, x)).unwrap();
    assert_eq!(b.node_names_from(0).collect::<Vec<_>>(), ["sum", "sum_2", "sum_3", "inner.sum"]);
    b.output("y", last).unwrap();
    assert!(b.output("y", last).unwrap_err().to_string().contains("two outputs are called `y`"));
    let graph = b.finish().unwrap();
    assert_eq!(graph.pruned().unwrap().nodes().len(), 1);
    let error = graph.select(&["z"], &[]).unwrap_err().to_string();
    assert!(error.contains("there is no output `z`; there are: y"), "{error}");
    let error = graph.select(&["y"], &["z"]).unwrap_err().to_string();
    assert!(error.contains("there is no checkpoint `z`; there are: none"), "{error}");
    assert!(GraphBuilder::new().finish().unwrap_err().to_string().contains("no output is named"));
}
