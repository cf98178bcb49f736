//! Cases of the primitives.

use super::{Case, dims, floats, integers, random, stored, truths};
use crate::random::Random;
use lockstep_runtime::graph::{BinaryOp, CompareOp, Op, ReduceOp, UnaryOp};
use lockstep_runtime::tensor::{DType, HostTensor};

const EDGES: [f64; 12] =
    [0.0, -0.0, 1.0, -1.0, 0.5, -3.5, 70.0, -70.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1.0 / 1024.0];
const SHAPES: [&[usize]; 7] = [&[], &[1], &[0], &[3, 0, 2], &[17], &[5, 7], &[2, 1, 33]];
const PAIRS: [(&[usize], &[usize]); 9] = [
    (&[], &[]),
    (&[7], &[]),
    (&[], &[3, 5]),
    (&[3, 1, 4], &[2, 1]),
    (&[1, 17], &[5, 1]),
    (&[0], &[1]),
    (&[2, 0, 3], &[1, 3]),
    (&[33], &[33]),
    (&[2, 3, 1, 2, 1], &[1, 3, 2, 1, 5]),
];

pub(super) fn cases() -> Vec<Case> {
    let mut r = Random(41);
    let mut cases = Vec::new();
    unary(&mut r, &mut cases);
    binary(&mut r, &mut cases);
    products(&mut r, &mut cases);
    movement(&mut r, &mut cases);
    indexed(&mut r, &mut cases);
    reductions(&mut r, &mut cases);
    cases
}

fn unary(r: &mut Random, cases: &mut Vec<Case>) {
    for op in UnaryOp::ALL {
        if op == UnaryOp::Not {
            cases.push(Case::new(Op::Unary(op), vec![truths(&[5], &[true, false, true, true, false])]));
            cases.push(Case::new(Op::Unary(op), vec![truths(&[0, 2], &[])]));
            continue;
        }
        // Negative numbers have no logarithm and no root; the edges have some.
        let positive = matches!(op, UnaryOp::Log | UnaryOp::Sqrt);
        let signed = |x: &HostTensor| {
            let values: Vec<f64> =
                x.to_f64().iter().map(|x| if positive { x.abs() + 1e-3 } else { *x }).collect();
            floats(x.shape(), &values)
        };
        for shape in SHAPES {
            cases.push(Case::new(Op::Unary(op), vec![signed(&random(r, shape, 4.0))]));
        }
        cases.push(Case::new(Op::Unary(op), vec![floats(&[12], &EDGES)]));
    }
}

fn binary(r: &mut Random, cases: &mut Vec<Case>) {
    for op in BinaryOp::ALL {
        for (a, b) in PAIRS {
            let inputs = match op {
                BinaryOp::And | BinaryOp::Or => [a, b].map(|shape| stored(&bits(r, shape), DType::Bool)),
                // A power of a negative base is no number unless the exponent is whole.
                BinaryOp::Pow => {
                    let base = random(r, a, 3.0).to_f64().iter().map(|x| x.abs() + 0.1).collect::<Vec<_>>();
                    [floats(a, &base), random(r, b, 3.0)]
                }
                _ => [random(r, a, 4.0), random(r, b, 4.0)],
            };
            cases.push(Case::new(Op::Binary(op), inputs.to_vec()));
        }
        if matches!(op, BinaryOp::And | BinaryOp::Or) {
            continue;
        }
        cases.push(Case::new(Op::Binary(op), vec![floats(&[12, 1], &EDGES), floats(&[12], &EDGES)]));
        let (a, b) = match op {
            BinaryOp::Pow => (integers(&[6], &[3, -2, 0, i64::MAX, 7, 1]), integers(&[3, 1], &[0, 3, 62])),
            _ => (integers(&[6], &[3, -2, 0, i64::MAX, i64::MIN, 9]), integers(&[3, 1], &[-1, 4, i64::MAX])),
        };
        let narrow = (stored(&a, DType::I32), stored(&b, DType::I32));
        cases.push(Case::new(Op::Binary(op), vec![a, b]));
        // i32's own extremes; -1 and MAX are what the low bits leave.
        if op != BinaryOp::Div || narrow.1.to_f64().iter().all(|&x| x != 0.0) {
            cases.push(Case::new(Op::Binary(op), vec![narrow.0, narrow.1]));
        }
    }
    for op in CompareOp::ALL {
        for (a, b) in PAIRS {
            cases.push(Case::new(Op::Compare(op), vec![random(r, a, 1.0), random(r, b, 1.0)]));
        }
        cases.push(Case::new(Op::Compare(op), vec![floats(&[12, 1], &EDGES), floats(&[12], &EDGES)]));
        let whole =
            [integers(&[4], &[i64::MIN, -1, 0, i64::MAX]), integers(&[4, 1], &[i64::MAX, 0, -1, i64::MIN])];
        cases.push(Case::new(Op::Compare(op), whole.iter().map(|x| stored(x, DType::I32)).collect()));
        cases.push(Case::new(Op::Compare(op), whole.to_vec()));
    }
    for op in [CompareOp::Eq, CompareOp::Ne] {
        cases.push(Case::new(
            Op::Compare(op),
            vec![truths(&[2, 1], &[true, false]), truths(&[2], &[true, false])],
        ));
    }
    for (a, b) in PAIRS {
        let condition = stored(&bits(r, b), DType::Bool);
        cases.push(Case::new(
            Op::Select,
            vec![condition.clone(), random(r, a, 4.0), floats(&[], &[f64::NAN])],
        ));
        for dtype in [DType::I64, DType::I32, DType::U8, DType::I8, DType::Bool] {
            let inputs = vec![condition.clone(), stored(&bits(r, a), dtype), stored(&bits(r, b), dtype)];
            cases.push(Case::new(Op::Select, inputs));
        }
    }
}

/// Zeros and ones.
fn bits(r: &mut Random, shape: &[usize]) -> HostTensor {
    let values: Vec<i64> = (0..shape.iter().product()).map(|_| r.below(2) as i64).collect();
    integers(shape, &values)
}

fn products(r: &mut Random, cases: &mut Vec<Case>) {
    let shapes: [(&[usize], &[usize]); 13] = [
        (&[1, 1], &[1, 1]),
        (&[17, 33], &[33, 9]),
        (&[1, 300], &[300, 31]),
        (&[5, 513], &[513, 1]),
        (&[3, 4, 5], &[5, 6]),
        (&[4, 5], &[3, 5, 6]),
        (&[2, 1, 4, 5], &[3, 5, 6]),
        (&[2, 3, 1, 5], &[1, 1, 5, 1]),
        (&[2, 1, 2, 3, 4], &[1, 3, 1, 4, 2]),
        (&[2, 0], &[0, 3]),
        (&[0, 2], &[2, 3]),
        (&[2, 3], &[3, 0]),
        (&[0, 2, 3], &[1, 3, 4]),
    ];
    for (a, b) in shapes {
        cases.push(Case::new(Op::MatMul, vec![random(r, a, 2.0), random(r, b, 2.0)]));
        cases.push(Case::with_constants(Op::MatMul, vec![random(r, a, 2.0), random(r, b, 2.0)], 1));
    }
    // Cancellation: large terms that leave a small result.
    let a: Vec<f64> = (0..64).map(|i| if i % 2 == 0 { 512.0 } else { -512.0 }).collect();
    let b: Vec<f64> = (0..64).map(|i| 1.0 + f64::from(i / 2) / 64.0).collect();
    cases.push(Case::new(Op::MatMul, vec![floats(&[1, 64], &a), floats(&[64, 1], &b)]));
    // One row's NaN and infinity are that row's own.
    let mut values = vec![1.0; 12];
    (values[1], values[6]) = (f64::NAN, f64::INFINITY);
    cases.push(Case::new(Op::MatMul, vec![floats(&[4, 3], &values), random(r, &[3, 5], 2.0)]));
}

fn movement(r: &mut Random, cases: &mut Vec<Case>) {
    let mut ops: Vec<(Op, Vec<Vec<usize>>)> = vec![
        (Op::Transpose { permutation: vec![] }, vec![vec![]]),
        (Op::Transpose { permutation: vec![1, 0] }, vec![vec![17, 33]]),
        (Op::Transpose { permutation: vec![2, 0, 1] }, vec![vec![2, 3, 5]]),
        (Op::Transpose { permutation: vec![0, 2, 1, 3] }, vec![vec![2, 3, 5, 7]]),
        (Op::Transpose { permutation: vec![4, 1, 3, 0, 2] }, vec![vec![2, 3, 1, 5, 4]]),
        (Op::Transpose { permutation: vec![1, 0] }, vec![vec![3, 0]]),
        (Op::Reshape { shape: dims(&[6, 4]) }, vec![vec![2, 3, 4]]),
        (Op::Reshape { shape: dims(&[]) }, vec![vec![1, 1]]),
        (Op::Reshape { shape: dims(&[0, 9]) }, vec![vec![3, 0]]),
        (Op::Expand { shape: dims(&[5, 2, 3]) }, vec![vec![2, 1]]),
        (Op::Expand { shape: dims(&[2, 4, 3, 2, 5]) }, vec![vec![1, 3, 1, 5]]),
        (Op::Expand { shape: dims(&[3]) }, vec![vec![]]),
        (Op::Expand { shape: dims(&[0, 3]) }, vec![vec![1, 3]]),
        (Op::Concat { axis: 0 }, vec![vec![3]]),
        (Op::Concat { axis: 1 }, vec![vec![2, 3, 4], vec![2, 0, 4], vec![2, 1, 4]]),
        (Op::Concat { axis: 2 }, vec![vec![2, 3, 1], vec![2, 3, 17]]),
        (Op::Concat { axis: 0 }, vec![vec![0, 2], vec![0, 2]]),
    ];
    for (axis, start, step, length) in [(0, 1, 1, 1), (1, 0, 2, 3), (2, 3, 4, 2), (2, 8, 1, 0), (1, 4, 9, 1)]
    {
        ops.push((Op::Slice { axis, start, step, length: length.into() }, vec![vec![2, 5, 8]]));
    }
    for (op, shapes) in ops {
        for dtype in DType::ALL {
            let inputs = shapes.iter().map(|shape| match dtype {
                DType::F64 => random(r, shape, 4.0),
                // f64 stands for the device's own dtype; other floats are moved as what they are.
                DType::Bool => stored(&bits(r, shape), dtype),
                _ => stored(&random(r, shape, 90.0), dtype),
            });
            cases.push(Case::new(op.clone(), inputs.collect()));
        }
    }
    for dtype in DType::ALL {
        for (value, shape) in
            [(2.9, &[2, 3][..]), (-1.0, &[]), (1e9, &[0]), (f64::NEG_INFINITY, &[17]), (f64::NAN, &[1])]
        {
            cases.push(Case::new(Op::Fill { dtype, value, shape: dims(shape) }, vec![]));
        }
    }
    for length in [0, 1, 33] {
        cases.push(Case::new(Op::Iota { length: length.into() }, vec![]));
    }
    let values =
        [0.0, 1.0, -1.0, -3.7, 126.6, 1e5, -7e9, 3e20, f64::NAN, f64::INFINITY, 0.1, 2.5, 3.5, 65520.0];
    for from in DType::ALL {
        for to in DType::ALL {
            // Floats to f64 and back: as many roundings as dtypes, and not the device's to choose.
            cases.push(Case::new(Op::Cast { to }, vec![stored(&floats(&[14], &values), from)]));
            cases.push(Case::new(Op::Cast { to }, vec![stored(&floats(&[0], &[]), from)]));
        }
    }
}

fn indexed(r: &mut Random, cases: &mut Vec<Case>) {
    let data = [3, 4, 5];
    for axis in 0..3 {
        for index in [integers(&[2, 2], &[2, 0, 0, 1]), integers(&[], &[1]), integers(&[0], &[])] {
            cases.push(Case::new(Op::Gather { axis }, vec![random(r, &data, 4.0), index.clone()]));
            cases.push(Case::new(
                Op::Gather { axis },
                vec![random(r, &data, 4.0), stored(&index, DType::I32)],
            ));
            cases.push(Case::new(
                Op::Gather { axis },
                vec![stored(&random(r, &data, 90.0), DType::I8), index],
            ));
        }
    }
    cases.push(Case::with_constants(
        Op::Gather { axis: 0 },
        vec![random(r, &[9, 3], 4.0), integers(&[4], &[8, 0, 8, 3])],
        1,
    ));
    for axis in 0..3 {
        for index in [vec![2i64, 0, 2, 2, 1, 2], vec![1], vec![]] {
            let mut shape = data.to_vec();
            shape[axis] = index.len();
            let index = integers(&[index.len()], &index);
            let inputs = vec![random(r, &data, 4.0), index.clone(), random(r, &shape, 4.0)];
            cases.push(Case::new(Op::IndexAdd { axis }, inputs.clone()));
            let narrow = vec![inputs[0].clone(), stored(&index, DType::I32), inputs[2].clone()];
            cases.push(Case::new(Op::IndexAdd { axis }, narrow));
            let whole = vec![integers_like(r, &data), index, integers_like(r, &shape)];
            cases.push(Case::new(Op::IndexAdd { axis }, whole));
        }
    }
    // Many terms of one destination, large ones that cancel.
    let source: Vec<f64> = (0..99).map(|i| if i % 3 == 2 { -600.0 } else { 300.0 }).collect();
    let inputs = vec![random(r, &[2, 1], 1.0), integers(&[99], &[1; 99]), floats(&[99, 1], &source)];
    cases.push(Case::new(Op::IndexAdd { axis: 0 }, inputs));
    cases.push(Case::new(
        Op::IndexAdd { axis: 0 },
        vec![floats(&[0, 3], &[]), integers(&[0], &[]), floats(&[0, 3], &[])],
    ));
}

fn integers_like(r: &mut Random, shape: &[usize]) -> HostTensor {
    let values: Vec<i64> = (0..shape.iter().product()).map(|_| r.bits() as i64).collect();
    integers(shape, &values)
}

fn reductions(r: &mut Random, cases: &mut Vec<Case>) {
    for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min] {
        for axes in [vec![], vec![0], vec![1], vec![3], vec![0, 2], vec![1, 3], vec![0, 1, 2, 3]] {
            for keep_axes in [true, false] {
                let how = Op::Reduce { op, axes: axes.clone(), keep_axes };
                cases.push(Case::new(how.clone(), vec![random(r, &[3, 2, 5, 17], 4.0)]));
                if op != ReduceOp::Mean {
                    cases.push(Case::new(how, vec![integers_like(r, &[3, 2, 1, 5])]));
                }
            }
        }
        let last = Op::Reduce { op, axes: vec![1], keep_axes: false };
        cases.push(Case::new(last.clone(), vec![floats(&[2, 6], &EDGES)]));
        cases.push(Case::new(last.clone(), vec![floats(&[3, 0], &[])]));
        cases.push(Case::new(last.clone(), vec![floats(&[0, 3], &[])]));
        cases.push(Case::new(last.clone(), vec![random(r, &[2, 1000], 4.0)]));
        if op != ReduceOp::Mean {
            cases.push(Case::new(last, vec![integers(&[2, 0], &[])]));
        }
        cases.push(Case::new(Op::Reduce { op, axes: vec![], keep_axes: false }, vec![floats(&[], &[3.5])]));
    }
}
