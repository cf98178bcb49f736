//! What planning promises: all refusals at once, folding without a trace, memory shared where it may be.

mod execution;

use execution::{bound, cpu, prepared, reference, run};
use lockstep_hal::graph::{
    DType, Dim, Graph, GraphBuilder, HostTensor, Op, ReduceOp, TensorType, UnaryOp, ValueId,
};
use lockstep_hal::{Error as DeviceError, Location, OperandId, Program, Support};
use lockstep_plan::{Error, Fallback, PlanOptions, Prepared};

fn input(b: &mut GraphBuilder, name: &str, dtype: DType, shape: &[usize]) -> ValueId {
    b.input(name, TensorType::fixed(dtype, shape)).unwrap()
}

fn wave(dtype: DType, shape: &[usize]) -> HostTensor {
    let values: Vec<f64> = (0..shape.iter().product()).map(|at: usize| (at as f64 * 0.37).sin()).collect();
    HostTensor::from_f64(dtype, shape, &values).unwrap()
}

fn refusals(graph: &Graph, fallback: Fallback) -> Vec<(String, String)> {
    let options = PlanOptions { fallback, ..PlanOptions::default() };
    match Prepared::new(graph, cpu(), options).unwrap_err() {
        Error::Device(DeviceError::Unsupported { device, nodes }) => {
            assert_eq!(device, "cpu:0");
            nodes.into_iter().map(|node| (node.node, node.tried)).collect()
        }
        other => panic!("{other}"),
    }
}

/// f64 is what the processor does not compute in; moving it is fine.
#[test]
fn every_refused_node_is_listed_with_what_was_tried() {
    let mut b = GraphBuilder::new();
    let x = input(&mut b, "x", DType::F64, &[3, 3]);
    let moved = b.transpose("moved", x, &[1, 0]).unwrap();
    let product = b.matmul("product", x, moved).unwrap();
    let soft = b.softmax("soft", product, 1).unwrap();
    let narrow = b.cast("narrow", soft, DType::F32).unwrap();
    let fine = b.unary("fine", UnaryOp::Exp, narrow).unwrap();
    b.output("y", fine).unwrap();
    let graph = b.finish().unwrap();
    let denied = refusals(&graph, Fallback::Deny);
    assert_eq!(denied.iter().map(|(node, _)| node.as_str()).collect::<Vec<_>>(), ["product", "soft"]);
    assert!(denied[0].1.contains("it is a primitive"), "{denied:?}");
    assert!(denied[1].1.contains("its decomposition was not allowed; allow it to try"), "{denied:?}");
    // Decomposed, the softmax has no kernels in f64 either; what cannot be decomposed is known at once.
    let decomposed = refusals(&graph, Fallback::Decompose);
    assert_eq!(decomposed.iter().map(|(node, _)| node.as_str()).collect::<Vec<_>>(), ["product"]);
    let survey = Prepared::survey(&graph, cpu().as_ref()).unwrap();
    let refused: Vec<&str> = survey
        .iter()
        .filter(|node| matches!(node.support, Support::No(_)))
        .map(|node| node.name.as_str())
        .collect();
    assert_eq!(refused, ["product", "soft"]);
}

/// Everything but the last node depends on constants alone. Given as inputs they cannot be folded.
fn with_constants(are_given: bool) -> (Graph, Vec<(String, HostTensor)>) {
    let mut b = GraphBuilder::new();
    let mut given = vec![("x".to_owned(), wave(DType::F32, &[4, 6]))];
    let x = input(&mut b, "x", DType::F32, &[4, 6]);
    let mut weight = |b: &mut GraphBuilder, name: &str, shape: &[usize]| {
        let tensor = wave(DType::F32, shape);
        if !are_given {
            return b.constant(name, tensor);
        }
        given.push((name.to_owned(), tensor));
        input(b, name, DType::F32, shape)
    };
    let (a, c) = (weight(&mut b, "a", &[6, 5]), weight(&mut b, "c", &[5, 6]));
    let product = b.matmul("product", a, c).unwrap();
    let soft = b.softmax("soft", product, 0).unwrap();
    let sum = b.reduce("sum", ReduceOp::Sum, soft, &[1], true).unwrap();
    let table = b.add("table", soft, sum).unwrap();
    let row = b.slice("row", table, 0, 2, Dim::from(1)).unwrap();
    let row = b.reshape("row.flat", row, &[Dim::from(6)]).unwrap();
    let y = b.add("y", x, row).unwrap();
    b.output("y", y).unwrap();
    b.checkpoint("table", table).unwrap();
    (b.finish().unwrap(), given)
}

#[test]
fn folding_leaves_fewer_nodes_and_the_same_bits() {
    let (graph, inputs) = with_constants(false);
    let (unfolded, all) = with_constants(true);
    let (folded, unfolded) =
        (prepared(&graph, cpu(), PlanOptions::default()), prepared(&unfolded, cpu(), PlanOptions::default()));
    assert_eq!(folded.graph().nodes().iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["y"]);
    assert!(unfolded.graph().nodes().len() >= 7);
    assert_eq!(bound(&folded, &[]).inputs, ["x"]);
    let (a, b) = (run(&folded, &inputs, &["table"]), run(&unfolded, &all, &["table"]));
    for (a, b) in a.iter().zip(&b) {
        assert_eq!((a.shape(), a.bytes()), (b.shape(), b.bytes()));
    }
}

/// The bytes of a reshaped value are those of what it was made of; its shape is not.
#[test]
fn a_folded_reshape_keeps_its_shape() {
    for reshape_is_last in [true, false] {
        let mut b = GraphBuilder::new();
        let x = input(&mut b, "x", DType::I64, &[1, 3]);
        let iota = b.single("iota", Op::Iota { length: 4.into() }, &[]).unwrap();
        let column = b.reshape("column", iota, &[Dim::from(4), Dim::from(1)]).unwrap();
        let doubled = b.add("doubled", column, column).unwrap();
        let column = if reshape_is_last { column } else { doubled };
        let sum = b.add("sum", x, column).unwrap();
        b.output("sum", sum).unwrap();
        let x = HostTensor::from_slice(&[1, 3], &[10i64, 20, 30]).unwrap();
        let graph = b.finish().unwrap();
        for device in [cpu(), reference()] {
            let prepared = prepared(&graph, device, PlanOptions::default());
            let sum = run(&prepared, &[("x".to_owned(), x.clone())], &[]).remove(0);
            let factor = if reshape_is_last { 1 } else { 2 };
            let wanted: Vec<i64> = (0..4).flat_map(|row| [10, 20, 30].map(|x| x + row * factor)).collect();
            assert_eq!((sum.shape(), sum.as_slice::<i64>().unwrap()), (&[4, 3][..], wanted.as_slice()));
        }
    }
}

#[test]
fn what_would_grow_large_is_not_folded() {
    let mut b = GraphBuilder::new();
    let x = input(&mut b, "x", DType::F32, &[1024, 1024]);
    let one = b.constant("one", wave(DType::F32, &[1, 1]));
    let wide = b.single("wide", Op::Expand { shape: vec![Dim::from(1024); 2] }, &[one]).unwrap();
    let sum = b.add("sum", x, wide).unwrap();
    b.output("sum", sum).unwrap();
    let prepared = prepared(&b.finish().unwrap(), cpu(), PlanOptions::default());
    assert_eq!(prepared.graph().nodes().len(), 2);
}

/// Where a base lives that an IndexAdd might write over.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Base {
    Dead,
    DeadBehindAReshape,
    ReadLater,
    GivenByTheCaller,
    Tapped,
}

fn index_add(base: Base) -> Graph {
    let mut b = GraphBuilder::new();
    let x = input(&mut b, "x", DType::F32, &[8, 4]);
    let index = input(&mut b, "index", DType::I64, &[3]);
    let source = input(&mut b, "source", DType::F32, &[3, 4]);
    let mut value =
        if base == Base::GivenByTheCaller { x } else { b.unary("base", UnaryOp::Exp, x).unwrap() };
    if base == Base::DeadBehindAReshape {
        let flat = b.reshape("flat", value, &[Dim::from(32)]).unwrap();
        value = b.reshape("back", flat, &[Dim::from(8), Dim::from(4)]).unwrap();
    }
    if base == Base::Tapped {
        b.checkpoint("base", value).unwrap();
    }
    let added = b.index_add("added", 0, value, index, source).unwrap();
    let doubled = b.add("doubled", added, added).unwrap();
    b.output("y", doubled).unwrap();
    if base == Base::ReadLater {
        let both = b.mul("both", doubled, value).unwrap();
        b.output("both", both).unwrap();
    }
    b.finish().unwrap()
}

fn place(program: &Program, id: OperandId) -> Option<std::ops::Range<usize>> {
    match &program.operand(id).location {
        Location::Arena(range) => Some(range.clone()),
        _ => None,
    }
}

#[test]
fn index_add_shares_the_memory_of_a_dead_base_and_of_no_other() {
    let inputs = [
        ("x".to_owned(), wave(DType::F32, &[8, 4])),
        ("index".to_owned(), HostTensor::from_slice(&[3], &[7i64, 0, 7]).unwrap()),
        ("source".to_owned(), wave(DType::F32, &[3, 4])),
    ];
    let truth = run(&prepared(&index_add(Base::Dead), cpu(), PlanOptions::default()), &inputs, &[]);
    for base in [Base::Dead, Base::DeadBehindAReshape, Base::ReadLater, Base::GivenByTheCaller, Base::Tapped]
    {
        let plan = prepared(&index_add(base), cpu(), PlanOptions::default());
        let taps: &[&str] = if base == Base::Tapped { &["base"] } else { &[] };
        let bound = bound(&plan, taps);
        let step = bound.program.steps().iter().find(|step| step.name == "added").unwrap();
        let (read, written) = (place(&bound.program, step.inputs[0]), place(&bound.program, step.outputs[0]));
        let shares = written.is_some() && read == written;
        assert_eq!(
            shares,
            matches!(base, Base::Dead | Base::DeadBehindAReshape),
            "{base:?}: {read:?} and {written:?}"
        );
        if base != Base::GivenByTheCaller {
            assert_eq!(run(&plan, &inputs, taps)[0].bytes(), truth[0].bytes(), "{base:?}");
        }
    }
}

#[test]
fn an_arena_holds_what_lives_at_once_and_not_the_sum() {
    const STEPS: usize = 24;
    const BYTES: usize = 4 * 1000;
    let mut b = GraphBuilder::new();
    let x = input(&mut b, "x", DType::F32, &[10, 100]);
    // Sums claim no alias, so each has a place of its own while its operand lives.
    let mut y = x;
    for _ in 0..STEPS {
        y = b.add("sum", y, x).unwrap();
    }
    b.output("y", y).unwrap();
    let program = bound(&prepared(&b.finish().unwrap(), cpu(), PlanOptions::default()), &[]).program;
    assert_eq!(program.steps().len(), STEPS);
    assert!(program.arena_bytes() <= 2 * BYTES.next_multiple_of(64), "{} bytes", program.arena_bytes());
}

#[test]
fn outputs_that_are_inputs_constants_or_asked_for_twice_are_copies() {
    let mut b = GraphBuilder::new();
    let x = input(&mut b, "x", DType::F32, &[2, 3]);
    let k = b.constant("k", wave(DType::F32, &[3]));
    let y = b.unary("y", UnaryOp::Neg, x).unwrap();
    let flat = b.reshape("flat", y, &[Dim::from(6)]).unwrap();
    for (name, id) in [("x", x), ("k", k), ("y", y), ("again", y), ("flat", flat)] {
        b.output(name, id).unwrap();
        b.checkpoint(&format!("tap.{name}"), id).unwrap();
    }
    let graph = b.finish().unwrap();
    let given = wave(DType::F32, &[2, 3]);
    let plan = prepared(&graph, cpu(), PlanOptions::default());
    let taps: Vec<&str> = graph.checkpoints().iter().map(|(name, _)| name.as_str()).collect();
    let all = run(&plan, &[("x".to_owned(), given.clone())], &taps);
    let negated: Vec<f64> = given.to_f64().iter().map(|x| -x).collect();
    for results in all.chunks(5) {
        assert_eq!(results[0].bytes(), given.bytes());
        assert_eq!(results[1].bytes(), wave(DType::F32, &[3]).bytes());
        for (at, shape) in [(2, &[2, 3][..]), (3, &[2, 3]), (4, &[6])] {
            assert_eq!((results[at].shape(), results[at].to_f64()), (shape, negated.clone()));
        }
    }
    assert_eq!(all.len(), 10);
}
