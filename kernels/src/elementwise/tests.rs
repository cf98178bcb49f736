use half::{bf16, f16};

use super::*;
use crate::movement::Strided;
use crate::testing::{Format, Random, Threads, U, assert_within, patterns};
use crate::{Isa, Serial};

const UNARY: [Unary; 10] = [
    Unary::Neg,
    Unary::Abs,
    Unary::Exp,
    Unary::Log,
    Unary::Sqrt,
    Unary::Reciprocal,
    Unary::Erf,
    Unary::Tanh,
    Unary::Sigmoid,
    Unary::Relu,
];

fn exact_unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Exp => libm::exp(x),
        Unary::Log => libm::log(x),
        Unary::Sqrt => x.sqrt(),
        Unary::Reciprocal => 1.0 / x,
        Unary::Erf => libm::erf(x),
        Unary::Tanh => libm::tanh(x),
        Unary::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
        Unary::Relu => x.max(0.0),
    }
}

/// The errors of the specification in units of 2^-24, relative: a unit in the last place is at most two.
fn unary_error(op: Unary) -> f64 {
    match op {
        Unary::Neg | Unary::Abs | Unary::Relu => 0.0,
        Unary::Sqrt | Unary::Reciprocal => 1.0,
        Unary::Exp | Unary::Log => 2.04,
        Unary::Erf | Unary::Tanh => 2.68,
        Unary::Sigmoid => 4.82,
    }
}

fn unary_holds_on<T: Format>() {
    for count in [0, 1, 15, 16, 17, 250] {
        let x: Vec<T> = Random(count as u64).values(count, 0.0, 4.0);
        for isa in Isa::available() {
            for op in UNARY {
                let mut out = vec![T::default(); count];
                unary(isa, &Serial, op, &x, &mut out);
                for (&x, &got) in x.iter().zip(&out) {
                    let truth = exact_unary(op, x.value());
                    let bound = unary_error(op) * U * truth.abs();
                    assert_within(got, truth, bound, &|| format!("{isa:?} {op:?} at {x:?}"));
                }
                let mut in_place = x.clone();
                unary_in_place(isa, &Serial, op, &mut in_place);
                assert_eq!(patterns(&in_place), patterns(&out), "{isa:?} {op:?} in place");
            }
        }
    }
}

#[test]
fn unary_functions_match_f64() {
    unary_holds_on::<f32>();
    unary_holds_on::<f16>();
    unary_holds_on::<bf16>();
}

#[test]
fn unary_functions_treat_special_values_as_specified() {
    const NAN: f32 = f32::NAN;
    const INF: f32 = f32::INFINITY;
    let x = [0.0, -0.0, INF, -INF, NAN, -1.0];
    let cases = [
        (Unary::Neg, [-0.0, 0.0, -INF, INF, NAN, 1.0]),
        (Unary::Abs, [0.0, 0.0, INF, INF, NAN, 1.0]),
        (Unary::Log, [-INF, -INF, INF, NAN, NAN, NAN]),
        (Unary::Sqrt, [0.0, -0.0, INF, NAN, NAN, NAN]),
        (Unary::Reciprocal, [INF, -INF, 0.0, -0.0, NAN, -1.0]),
        (Unary::Relu, [0.0, -0.0, INF, 0.0, NAN, 0.0]),
    ];
    for isa in Isa::available() {
        for (op, expected) in cases {
            let mut out = [9.0f32; 6];
            unary(isa, &Serial, op, &x, &mut out);
            assert_eq!(patterns(&out), patterns(&expected), "{isa:?} {op:?}");
        }
        let limits = [(Unary::Exp, [1.0, 1.0, INF, 0.0]), (Unary::Erf, [0.0, -0.0, 1.0, -1.0])];
        for (op, expected) in limits
            .into_iter()
            .chain([(Unary::Tanh, [0.0, -0.0, 1.0, -1.0]), (Unary::Sigmoid, [0.5, 0.5, 1.0, 0.0])])
        {
            let mut out = [9.0f32; 4];
            unary(isa, &Serial, op, &x[..4], &mut out);
            assert_eq!(patterns(&out), patterns(&expected), "{isa:?} {op:?}");
        }
    }
}

const BINARY: [Binary; 7] =
    [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Max, Binary::Min, Binary::Pow];

fn exact_binary(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Pow => libm::pow(a, b),
    }
}

/// Pairs of shapes and what they broadcast to: equal, scalars, rows, columns, both ways, and an empty one.
const SHAPES: [(&[usize], &[usize], &[usize]); 12] = [
    (&[], &[], &[]),
    (&[35], &[35], &[35]),
    (&[5, 33], &[33], &[5, 33]),
    (&[33], &[5, 33], &[5, 33]),
    (&[5, 33], &[], &[5, 33]),
    (&[1], &[5, 33], &[5, 33]),
    (&[5, 33], &[5, 1], &[5, 33]),
    (&[5, 1], &[1, 33], &[5, 33]),
    (&[2, 1, 4, 17], &[3, 1, 17], &[2, 3, 4, 17]),
    (&[2, 3, 1, 1], &[2, 3, 4, 5], &[2, 3, 4, 5]),
    (&[2, 0, 3], &[3], &[2, 0, 3]),
    (&[1, 3], &[1, 3], &[2, 3]),
];

/// Which element of an operand of `shape` meets element `flat` of `out`, by NumPy's rule.
fn source(flat: usize, out: &[usize], shape: &[usize]) -> usize {
    let mut rest = flat;
    let mut index = vec![0; out.len()];
    for d in (0..out.len()).rev() {
        index[d] = rest % out[d];
        rest /= out[d];
    }
    let own = &index[out.len() - shape.len()..];
    own.iter().zip(shape).fold(0, |at, (&i, &n)| at * n + if n == 1 { 0 } else { i })
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

fn binary_holds_on<T: Format>() {
    for (a_shape, b_shape, out_shape) in SHAPES {
        let mut random = Random(77);
        let a: Vec<T> = random.values(count(a_shape), 0.0, 2.0);
        let b: Vec<T> = random.values(count(b_shape), 0.0, 2.0);
        let walk = Strided::broadcast(out_shape, [a_shape, b_shape]).expect("broadcasts");
        for isa in Isa::available() {
            for op in BINARY {
                let mut out = vec![T::default(); walk.len()];
                binary(isa, &Serial, op, &walk, &a, &b, &mut out);
                for (flat, &got) in out.iter().enumerate() {
                    let a = a[source(flat, out_shape, a_shape)].value();
                    let b = b[source(flat, out_shape, b_shape)].value();
                    let truth = exact_binary(op, a, b);
                    // Correctly rounded, but for the power, which rounds twice.
                    let bound = if op == Binary::Pow { 1.01 } else { 1.0 } * U * truth.abs();
                    assert_within(got, truth, bound, &|| {
                        format!("{isa:?} {op:?} {a} {b} {a_shape:?} {b_shape:?}")
                    });
                }
            }
        }
    }
}

#[test]
fn binary_functions_broadcast_and_match_f64() {
    binary_holds_on::<f32>();
    binary_holds_on::<f16>();
    binary_holds_on::<bf16>();
}

#[test]
fn extremes_propagate_nan_from_either_side() {
    let (a, b) = ([f32::NAN, 1.0, f32::NAN, -1.0, 2.0], [1.0, f32::NAN, f32::NAN, 2.0, f32::NEG_INFINITY]);
    let walk = Strided::broadcast(&[5], [&[5], &[5]]).expect("equal shapes");
    for isa in Isa::available() {
        let mut out = [0.0; 5];
        binary(isa, &Serial, Binary::Max, &walk, &a, &b, &mut out);
        assert_eq!(patterns(&out), patterns(&[f32::NAN, f32::NAN, f32::NAN, 2.0, 2.0]), "{isa:?}");
        binary(isa, &Serial, Binary::Min, &walk, &a, &b, &mut out);
        assert_eq!(
            patterns(&out),
            patterns(&[f32::NAN, f32::NAN, f32::NAN, -1.0, f32::NEG_INFINITY]),
            "{isa:?}"
        );
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut random = Random(3);
    let a: Vec<f32> = random.values(333 * 301, 0.0, 1.0);
    let b: Vec<f32> = random.values(301, 0.0, 1.0);
    let walk = Strided::broadcast(&[333, 301], [&[333, 301], &[301]]).expect("broadcasts");
    for isa in Isa::available() {
        for op in BINARY {
            let mut serial = vec![0.0; a.len()];
            binary(isa, &Serial, op, &walk, &a, &b, &mut serial);
            let mut out = vec![0.0; a.len()];
            binary(isa, &Threads(3), op, &walk, &a, &b, &mut out);
            assert_eq!(patterns(&out), patterns(&serial), "{isa:?} {op:?}");
        }
    }
}

#[test]
fn integers_wrap_and_divide_toward_zero() {
    let walk = Strided::broadcast(&[4], [&[4], &[4]]).expect("equal shapes");
    let run = |op, a: [i64; 4], b: [i64; 4]| {
        let mut out = [99; 4];
        binary_integer(&Serial, op, &walk, &a, &b, &mut out).map(|()| out)
    };
    let (least, most) = (i64::MIN, i64::MAX);
    assert_eq!(run(BinaryInteger::Add, [most, 1, -5, 0], [1, 2, 3, 0]), Ok([least, 3, -2, 0]));
    assert_eq!(run(BinaryInteger::Sub, [least, 1, -5, 0], [1, 2, 3, 0]), Ok([most, -1, -8, 0]));
    assert_eq!(run(BinaryInteger::Mul, [most, 7, -5, 0], [2, -2, 3, 9]), Ok([-2, -14, -15, 0]));
    assert_eq!(run(BinaryInteger::Div, [7, -7, 7, least], [2, 2, -2, -1]), Ok([3, -3, -3, least]));
    assert_eq!(run(BinaryInteger::Max, [7, -7, 0, least], [2, 2, -2, -1]), Ok([7, 2, 0, -1]));
    assert_eq!(run(BinaryInteger::Min, [7, -7, 0, least], [2, 2, -2, -1]), Ok([2, -7, -2, least]));
    assert_eq!(run(BinaryInteger::Pow, [7, -2, 0, 2], [2, 3, 0, 64]), Ok([49, -8, 1, 0]));
    assert_eq!(
        run(BinaryInteger::Div, [1, 2, 3, 4], [1, 0, 1, 0]),
        Err(IntegerError::DivisionByZero { position: 1 })
    );
    assert_eq!(
        run(BinaryInteger::Pow, [1, 2, 3, 4], [1, 0, 1, -1]),
        Err(IntegerError::ExponentOutOfRange { position: 3 })
    );
}

#[test]
fn a_failed_integer_operation_writes_nothing() {
    let walk = Strided::broadcast(&[3], [&[3], &[1]]).expect("broadcasts");
    let mut out = [5i32; 3];
    let result = binary_integer(&Serial, BinaryInteger::Div, &walk, &[1, 2, 3], &[0], &mut out);
    assert_eq!(result, Err(IntegerError::DivisionByZero { position: 0 }));
    assert_eq!(out, [5; 3]);
    // A divisor that meets nothing divides nothing.
    let none = Strided::broadcast(&[0], [&[0], &[1]]).expect("broadcasts");
    assert_eq!(binary_integer::<i32>(&Serial, BinaryInteger::Div, &none, &[], &[0], &mut []), Ok(()));
}

#[test]
fn integers_broadcast_as_floats_do() {
    for (a_shape, b_shape, out_shape) in SHAPES {
        let a: Vec<i32> = (0..count(a_shape) as i32).collect();
        let b: Vec<i32> = (0..count(b_shape) as i32).map(|i| 1000 * i).collect();
        let walk = Strided::broadcast(out_shape, [a_shape, b_shape]).expect("broadcasts");
        let mut out = vec![-1; walk.len()];
        binary_integer(&Threads(2), BinaryInteger::Add, &walk, &a, &b, &mut out)
            .expect("additions cannot fail");
        for (flat, &got) in out.iter().enumerate() {
            let expected = source(flat, out_shape, a_shape) + 1000 * source(flat, out_shape, b_shape);
            assert_eq!(got as usize, expected, "{a_shape:?} {b_shape:?}");
        }
    }
}

#[test]
fn comparisons_are_false_on_nan_but_for_inequality() {
    let walk = Strided::broadcast(&[6], [&[6], &[6]]).expect("equal shapes");
    let a = [1.0, 2.0, f32::NAN, 1.0, -0.0, f32::NAN];
    let b = [2.0, 1.0, 1.0, f32::NAN, 0.0, f32::NAN];
    for (op, expected) in [
        (Comparison::Eq, [0, 0, 0, 0, 1, 0]),
        (Comparison::Ne, [1, 1, 1, 1, 0, 1]),
        (Comparison::Lt, [1, 0, 0, 0, 0, 0]),
        (Comparison::Le, [1, 0, 0, 0, 1, 0]),
        (Comparison::Gt, [0, 1, 0, 0, 0, 0]),
        (Comparison::Ge, [0, 1, 0, 0, 1, 0]),
    ] {
        let mut out = [7; 6];
        compare(&Serial, op, &walk, &a, &b, &mut out);
        assert_eq!(out, expected, "f32 {op:?}");
        compare(&Serial, op, &walk, &a.map(f16::from_f32), &b.map(f16::from_f32), &mut out);
        assert_eq!(out, expected, "f16 {op:?}");
        compare(&Serial, op, &walk, &a.map(bf16::from_f32), &b.map(bf16::from_f32), &mut out);
        assert_eq!(out, expected, "bf16 {op:?}");
    }
    let mut out = [7; 3];
    let walk = Strided::broadcast(&[3], [&[3], &[]]).expect("broadcasts");
    compare(&Serial, Comparison::Ge, &walk, &[i64::MIN, 4, i64::MAX], &[4], &mut out);
    assert_eq!(out, [0, 1, 1]);
}

#[test]
fn any_byte_but_zero_is_true() {
    let walk = Strided::broadcast(&[4], [&[4], &[4]]).expect("equal shapes");
    let (a, b) = ([0, 0, 2, 255], [0, 8, 0, 1]);
    let mut out = [9; 4];
    logical(&Serial, Logical::And, &walk, &a, &b, &mut out);
    assert_eq!(out, [0, 0, 0, 1]);
    logical(&Serial, Logical::Or, &walk, &a, &b, &mut out);
    assert_eq!(out, [0, 1, 1, 1]);
    logical_not(&Serial, &a, &mut out);
    assert_eq!(out, [1, 1, 0, 0]);
}

#[test]
fn selection_copies_bits_and_broadcasts_all_three() {
    let signalling = 0x7fa0_0001u32;
    let walk = Strided::broadcast(&[2, 3], [&[2, 1], &[3], &[]]).expect("broadcasts");
    let mut out = [0u32; 6];
    select(&Serial, &walk, &[1, 0], &[1, 2, signalling], &[9], &mut out);
    assert_eq!(out, [1, 2, signalling, 9, 9, 9]);
    let walk = Strided::broadcast(&[2, 3], [&[2, 3], &[], &[2, 3]]).expect("broadcasts");
    select(&Serial, &walk, &[1, 0, 5, 0, 0, 1], &[9], &[1, 2, 3, 4, 5, 6], &mut out);
    assert_eq!(out, [9, 2, 9, 4, 5, 9]);
}
