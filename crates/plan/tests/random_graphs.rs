//! Random small graphs: fused, folded, with shared memory, on the processor; against the same graph as it is, on the
//! reference.
//!
//! Values are whole numbers kept below 64 in magnitude, products of at most six of them, so that f32 is exact and the two must be
//! equal, in any order and however fused. A failure prints its seed, from which everything follows.

mod execution;

use execution::{bound, cpu, prepared, reference, run};
use lockstep_hal::Location;
use lockstep_hal::graph::{
    BinaryOp, CompareOp, DType, Dim, Graph, GraphBuilder, HostTensor, Linear, Op, ReduceOp, TensorType,
    UnaryOp, ValueId,
};
use lockstep_plan::{Packing, PlanOptions};
use std::collections::BTreeMap;

const GRAPHS: u64 = 300;
/// Keeps sums and products of small graphs exact: 6 * 64 * 64 and what is added to them is far below 2^24.
const LIMIT: f64 = 64.0;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn tensor(&mut self, shape: &[usize]) -> HostTensor {
        let values: Vec<f64> = (0..shape.iter().product()).map(|_| self.below(7) as f64 - 3.0).collect();
        HostTensor::from_f64(DType::F64, shape, &values).expect("as many values as the shape holds")
    }
}

struct Generator {
    random: Random,
    builder: GraphBuilder,
    dtype: DType,
    values: Vec<ValueId>,
    inputs: Vec<(String, HostTensor)>,
    constants: usize,
}

impl Generator {
    fn new(seed: u64, dtype: DType) -> Self {
        Self {
            random: Random(seed),
            builder: GraphBuilder::new(),
            dtype,
            values: vec![],
            inputs: vec![],
            constants: 0,
        }
    }

    fn shape(&self, id: ValueId) -> Vec<usize> {
        self.builder.ty(id).fixed_shape().expect("every extent is fixed")
    }

    fn input(&mut self, shape: &[usize]) {
        let name = format!("x{}", self.inputs.len());
        let tensor = self.random.tensor(shape).cast(self.dtype).expect("small numbers");
        let id = self.builder.input(&name, TensorType::fixed(self.dtype, shape)).expect("a new name");
        self.inputs.push((name, tensor));
        self.values.push(id);
    }

    fn constant(&mut self, shape: &[usize]) -> ValueId {
        self.constants += 1;
        let tensor = self.random.tensor(shape).cast(self.dtype).expect("small numbers");
        self.builder.constant(&format!("w{}", self.constants), tensor)
    }

    fn value(&mut self) -> ValueId {
        // The newest half of the time, so that chains grow that fusion can take.
        match self.random.below(2) {
            0 => self.values[self.values.len() - 1],
            _ => self.random.pick(&self.values.clone()),
        }
    }

    /// A value of that shape, or a constant.
    fn alike(&mut self, shape: &[usize]) -> ValueId {
        let all: Vec<ValueId> = self.values.iter().copied().filter(|&id| self.shape(id) == shape).collect();
        if all.is_empty() || self.random.below(4) == 0 {
            self.constant(shape)
        } else {
            self.random.pick(&all)
        }
    }

    fn clamped(&mut self, id: ValueId) -> ValueId {
        let b = &mut self.builder;
        let (low, high) = (
            b.scalar("low", self.dtype, -LIMIT).expect("low"),
            b.scalar("high", self.dtype, LIMIT).expect("high"),
        );
        let id = b.binary("raised", BinaryOp::Max, id, low).expect("a scalar broadcasts");
        b.binary("lowered", BinaryOp::Min, id, high).expect("a scalar broadcasts")
    }

    fn single(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        self.builder
            .single("node", op, inputs)
            .unwrap_or_else(|error| panic!("the generator is wrong: {error}"))
    }

    fn step(&mut self) {
        let x = self.value();
        let shape = self.shape(x);
        let rank = shape.len();
        let dims = |shape: &[usize]| shape.iter().map(|&extent| Dim::from(extent)).collect::<Vec<_>>();
        let made = match self.random.below(13) {
            0 => {
                let function = self.random.pick(&[UnaryOp::Neg, UnaryOp::Abs, UnaryOp::Relu]);
                self.single(Op::Unary(function), &[x])
            }
            1 | 2 => {
                let function = self.random.pick(&[
                    BinaryOp::Add,
                    BinaryOp::Sub,
                    BinaryOp::Mul,
                    BinaryOp::Max,
                    BinaryOp::Min,
                ]);
                let other = self.alike(&shape);
                let made = self.single(Op::Binary(function), &[x, other]);
                self.clamped(made)
            }
            3 => {
                // A bias: a constant along the last axis.
                let Some(&width) = shape.last() else { return };
                let bias = self.constant(&[width]);
                let made = self.single(Op::Binary(BinaryOp::Add), &[x, bias]);
                if self.random.below(2) == 0 { made } else { self.clamped(made) }
            }
            4 | 5 if rank >= 2 && self.is_small(x) => {
                let (k, n) = (shape[rank - 1], 1 + self.random.below(6));
                let weight = self.constant(&[k, n]);
                let made = self.single(Op::MatMul, &[x, weight]);
                // Bias and residual before the clamp, so that they may fuse with the product.
                let bias = self.constant(&[n]);
                let made = if self.random.below(2) == 0 {
                    self.single(Op::Binary(BinaryOp::Add), &[made, bias])
                } else {
                    made
                };
                let shape = self.shape(made);
                let residual = self.alike(&shape);
                let made = if self.random.below(2) == 0 {
                    self.single(Op::Binary(BinaryOp::Add), &[residual, made])
                } else {
                    made
                };
                self.clamped(made)
            }
            6 if rank >= 1 && self.is_small(x) => {
                let (k, n) = (shape[rank - 1], 1 + self.random.below(6));
                let (weight, bias) = (self.constant(&[n, k]), self.constant(&[n]));
                let op = Op::Linear(Linear { bias: true, activation: None, residual: false });
                let made = self.single(op, &[x, weight, bias]);
                self.clamped(made)
            }
            7 if rank >= 2 => {
                let mut permutation: Vec<usize> = (0..rank).collect();
                permutation.swap(0, 1 + self.random.below(rank - 1));
                let transposed = self.single(Op::Transpose { permutation }, &[x]);
                if rank == 2 && self.is_small(x) {
                    let made = self.single(Op::MatMul, &[x, transposed]);
                    self.clamped(made)
                } else {
                    transposed
                }
            }
            8 => {
                let count: usize = shape.iter().product();
                let targets = [
                    vec![count],
                    vec![1, count],
                    shape.iter().rev().copied().collect(),
                    [&shape[..], &[1]].concat(),
                ];
                let target = targets[self.random.below(4)].clone();
                self.single(Op::Reshape { shape: dims(&target) }, &[x])
            }
            9 if rank >= 1 => {
                let axis = self.random.below(rank);
                let op = self.random.pick(&[ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min]);
                let made = self.single(Op::Reduce { op, axes: vec![axis], keep_axes: true }, &[x]);
                self.clamped(made)
            }
            10 if rank >= 1 && shape[0] > 0 => {
                let rows = shape[0];
                let index: Vec<i64> = (0..4).map(|_| self.random.below(rows) as i64).collect();
                let index = HostTensor::from_slice(&[4], &index).expect("four");
                self.constants += 1;
                let index = self.builder.constant(&format!("w{}", self.constants), index);
                let picked = self.single(Op::Gather { axis: 0 }, &[x, index]);
                if self.random.below(2) == 0 {
                    picked
                } else {
                    let base = self.alike(&shape);
                    let made = self.single(Op::IndexAdd { axis: 0 }, &[base, index, picked]);
                    self.clamped(made)
                }
            }
            11 => {
                let other = self.alike(&shape);
                let condition = self.single(Op::Compare(CompareOp::Lt), &[x, other]);
                self.single(Op::Select, &[condition, other, x])
            }
            12 if rank >= 1 => {
                let (axis, other) = (self.random.below(rank), self.alike(&shape));
                let joined = self.single(Op::Concat { axis }, &[x, other]);
                let length = 1.max(shape[axis]);
                self.single(
                    Op::Slice {
                        axis,
                        start: shape[axis] / 2,
                        step: 1,
                        length: length.min(2 * shape[axis] - shape[axis] / 2).into(),
                    },
                    &[joined],
                )
            }
            _ => return,
        };
        self.values.push(made);
    }

    /// Whether a product over its last axis stays exact.
    fn is_small(&self, id: ValueId) -> bool {
        self.shape(id).last().is_some_and(|&k| k <= 16)
    }

    fn finish(mut self) -> (Graph, Vec<(String, HostTensor)>) {
        self.input(&[3, 4]);
        self.input(&[2, 3, 4]);
        self.input(&[4]);
        for _ in 0..3 + self.random.below(14) {
            self.step();
        }
        let last = self.values[self.values.len() - 1];
        let other = self.value();
        self.builder.output("last", last).expect("a new name");
        self.builder.output("other", other).expect("a new name");
        for at in 0..3 {
            let value = self.value();
            self.builder.checkpoint(&format!("tap{at}"), value).expect("a new name");
        }
        (self.builder.finish().expect("it has outputs"), self.inputs)
    }
}

#[test]
fn plans_compute_what_the_graph_says() {
    let mut ops: BTreeMap<String, usize> = BTreeMap::new();
    let mut shared = 0;
    for seed in 1..=GRAPHS {
        let (wide, wide_inputs) = Generator::new(seed, DType::F64).finish();
        let (narrow, narrow_inputs) = Generator::new(seed, DType::F32).finish();
        assert_eq!(wide.nodes().len(), narrow.nodes().len(), "seed {seed}");
        let plain = PlanOptions { packing: Packing::Off, fuse: false, ..PlanOptions::default() };
        let truth = run(&prepared(&wide, reference(), plain), &wide_inputs, &["tap0", "tap1", "tap2"]);
        let planned = prepared(&narrow, cpu(), PlanOptions::default());
        for taps in [&["tap0", "tap1", "tap2"][..], &[], &["tap1"]] {
            let found = run(&planned, &narrow_inputs, taps);
            let wanted = |at: usize| match (at, taps) {
                (2, ["tap1"]) => 3,
                _ => at,
            };
            for (at, found) in found.iter().enumerate() {
                let truth = &truth[wanted(at)];
                assert_eq!(
                    (found.shape(), found.to_f64()),
                    (truth.shape(), truth.to_f64()),
                    "seed {seed}, result {at}, taps {taps:?}"
                );
            }
        }
        let program = bound(&planned, &[]).program;
        let place = |id| match &program.operand(id).location {
            Location::Arena(range) => Some(range.clone()),
            _ => None,
        };
        for step in program.steps() {
            *ops.entry(step.op.name().to_owned()).or_default() += 1;
            let written = place(step.outputs[0]);
            shared += usize::from(written.is_some() && step.inputs.iter().any(|&id| place(id) == written));
        }
    }
    // The graphs are worth something only if there was something to fuse and to share.
    eprintln!("{ops:?}, {shared} steps in place");
    assert!(shared > 20, "{shared} steps in place");
    for wanted in ["Linear", "LinearAdd", "IndexAdd", "Select", "ReduceSum", "Gather"] {
        assert!(ops.get(wanted).is_some_and(|&count| count > 10), "{wanted} in {ops:?}");
    }
}
