//! Every operator of the container, against float64 formulas.

use super::draft::{Draft, decoded, encoded, numbers, one_step};
use super::session::outcome;
use crate::harness::{contract, start};
use lockstep_ascend_container::{
    Binary, Comparison, DType,
    DType::{Bool, F16, F32, I32, I64},
    Operand, Operator, Reduction, Unary,
};

type Tensor<'a> = (DType, &'a [i64], &'a [f64]);
/// An operator and its formula.
type OfOne = (Unary, fn(f64) -> f64);
type OfTwo = (Binary, fn(f64, f64) -> f64);
type OfMany = (Reduction, fn(&[f64]) -> f64);

/// What a model of one step makes of these inputs.
fn run(operator: Operator, inputs: &[Tensor<'_>], output: (DType, &[i64])) -> Vec<f64> {
    let kinds: Vec<_> = inputs.iter().map(|(dtype, dims, _)| (*dtype, *dims)).collect();
    let file = one_step(operator, &kinds, output);
    let bytes: Vec<_> = inputs.iter().map(|(dtype, _, values)| encoded(*dtype, values)).collect();
    let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    let size = output.1.iter().product::<i64>() as usize * output.0.size() as usize;
    let result =
        outcome(&file, &bytes, size).unwrap_or_else(|(code, text)| panic!("{operator:?}: {code} {text}"));
    decoded(output.0, &result)
}

/// Half a unit of a type at a value that is stored as one, and `slack` units of f32.
fn assert_close(operator: Operator, got: &[f64], exact: &[f64], dtype: DType, slack: f64) {
    assert_eq!(got.len(), exact.len());
    let store = if dtype == F16 { 2f64.powi(-11) } else { 0.0 };
    for (got, exact) in got.iter().zip(exact) {
        let bound = exact.abs() * (store + slack * 2f64.powi(-24)) + 2f64.powi(-25);
        assert!(
            (got - exact).abs() <= bound,
            "{operator:?} {dtype:?}: {got}, expected {exact} within {bound}"
        );
    }
}

/// Numbers that a type holds.
fn held(dtype: DType, values: &[f64]) -> Vec<f64> {
    decoded(dtype, &encoded(dtype, values))
}

contract! {
    fn functions_of_one_number() {
        start();
        let formulas: [OfOne; 10] = [
            (Unary::Abs, f64::abs),
            (Unary::Neg, |x| -x),
            (Unary::Exp, libm::exp),
            (Unary::Log, |x| libm::log(x.abs())),
            (Unary::Sqrt, |x| x.abs().sqrt()),
            (Unary::Reciprocal, |x| 1.0 / x),
            (Unary::Erf, libm::erf),
            (Unary::Tanh, libm::tanh),
            (Unary::Sigmoid, |x| 1.0 / (1.0 + libm::exp(-x))),
            (Unary::Relu, |x| x.max(0.0)),
        ];
        for dtype in [F32, F16] {
            for (unary, exact) in formulas {
                let mut x = held(dtype, &numbers(96, 3).iter().map(|x| x * 4.0).collect::<Vec<_>>());
                if matches!(unary, Unary::Log | Unary::Sqrt) {
                    x.iter_mut().for_each(|x| *x = x.abs());
                }
                let got = run(Operator::Unary(unary), &[(dtype, &[8, 12], &x)], (dtype, &[8, 12]));
                let exact: Vec<f64> = x.iter().map(|x| exact(*x)).collect();
                assert_close(Operator::Unary(unary), &got, &exact, dtype, 8.0);
            }
        }
        let not = run(Operator::Unary(Unary::Not), &[(Bool, &[3], &[0.0, 1.0, 0.0])], (Bool, &[3]));
        assert_eq!(not, [1.0, 0.0, 1.0]);
        let negative = run(Operator::Unary(Unary::Neg), &[(I64, &[2], &[5.0, -7.0])], (I64, &[2]));
        assert_eq!(negative, [-5.0, 7.0]);
    }
}

contract! {
    fn functions_of_two_numbers_broadcast() {
        start();
        let formulas: [OfTwo; 7] = [
            (Binary::Add, |a, b| a + b),
            (Binary::Sub, |a, b| a - b),
            (Binary::Mul, |a, b| a * b),
            (Binary::Div, |a, b| a / b),
            (Binary::Pow, libm::pow),
            (Binary::Max, f64::max),
            (Binary::Min, f64::min),
        ];
        for dtype in [F32, F16] {
            let a = held(dtype, &numbers(12, 5).iter().map(|x| x.abs() + 0.5).collect::<Vec<_>>());
            let b = held(dtype, &numbers(4, 6).iter().map(|x| x.abs() + 0.5).collect::<Vec<_>>());
            for (binary, exact) in formulas {
                let got =
                    run(Operator::Binary(binary), &[(dtype, &[3, 4], &a), (dtype, &[4], &b)], (dtype, &[3, 4]));
                let exact: Vec<f64> = a.iter().enumerate().map(|(at, a)| exact(*a, b[at % 4])).collect();
                assert_close(Operator::Binary(binary), &got, &exact, dtype, 4.0);
            }
        }
        let (a, b) = ([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]);
        for (binary, expected) in [(Binary::And, [0.0, 0.0, 0.0, 1.0]), (Binary::Or, [0.0, 1.0, 1.0, 1.0])] {
            let got = run(Operator::Binary(binary), &[(Bool, &[4], &a), (Bool, &[4], &b)], (Bool, &[4]));
            assert_eq!(got, expected);
        }
        // Our reading: as ONNX says, integers are divided as integers, truncated.
        let divided =
            run(Operator::Binary(Binary::Div), &[(I64, &[3], &[7.0, -7.0, 8.0]), (I64, &[1], &[2.0])], (I64, &[3]));
        assert_eq!(divided, [3.0, -3.0, 4.0]);
    }
}

contract! {
    fn relations_and_choices() {
        start();
        let (a, b) = ([1.0, 2.0, 3.0, f64::NAN], [2.0]);
        for (relation, expected) in [
            (Comparison::Equal, [0.0, 1.0, 0.0, 0.0]),
            (Comparison::Less, [1.0, 0.0, 0.0, 0.0]),
            (Comparison::LessOrEqual, [1.0, 1.0, 0.0, 0.0]),
            (Comparison::Greater, [0.0, 0.0, 1.0, 0.0]),
            (Comparison::GreaterOrEqual, [0.0, 1.0, 1.0, 0.0]),
        ] {
            let got = run(Operator::Compare(relation), &[(F32, &[4], &a), (F32, &[1], &b)], (Bool, &[4]));
            assert_eq!(got, expected, "{relation:?}");
        }
        let condition = [1.0, 0.0];
        let chosen = run(
            Operator::Select,
            &[(Bool, &[2, 1], &condition), (F16, &[2, 2], &[1.0, 2.0, 3.0, 4.0]), (F16, &[1], &[-8.0])],
            (F16, &[2, 2]),
        );
        assert_eq!(chosen, [1.0, 2.0, -8.0, -8.0]);
    }
}

contract! {
    fn copies_change_strides_and_casts_types() {
        start();
        let mut draft = Draft::new(&[("x", F32, &[2, 3])], &[("y", F32, &[3, 2])]);
        draft.gear(&[], &[&[2, 3]], &[&[3, 2]]);
        let (x, y) = (draft.input(0), draft.output(0));
        let transposed = Operand { dims: vec![3, 2], strides: vec![1, 3], ..x.view() };
        draft.step_over("transpose", Operator::Copy, vec![transposed], y.view());
        let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let got = outcome(&draft.file(), &[&encoded(F32, &x)], 24).expect("runs");
        assert_eq!(decoded(F32, &got), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let repeated = run(Operator::Copy, &[(I32, &[2, 1], &[7.0, 8.0])], (I32, &[2, 3]));
        assert_eq!(repeated, [7.0, 7.0, 7.0, 8.0, 8.0, 8.0]);
        let values = [1.0, -2.0, 0.0, 1000.0];
        for (from, to) in [(F32, F16), (F16, F32), (I64, F32), (I32, I64), (I64, I32), (Bool, F32)] {
            let got = run(Operator::Cast, &[(from, &[4], &values)], (to, &[4]));
            assert_eq!(got, held(to, &held(from, &values)), "{from:?} to {to:?}");
        }
        let truncated = run(Operator::Cast, &[(F32, &[2], &[1.9, -1.9])], (I64, &[2]));
        assert_eq!(truncated, [1.0, -1.0]);
    }
}

contract! {
    fn reductions_go_over_the_axes_that_become_one() {
        start();
        let x = held(F16, &numbers(24, 8));
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let formulas: [OfMany; 4] = [
            (Reduction::Sum, sum),
            (Reduction::Mean, |values| values.iter().sum::<f64>() / values.len() as f64),
            (Reduction::Max, |values| values.iter().copied().fold(f64::MIN, f64::max)),
            (Reduction::Min, |values| values.iter().copied().fold(f64::MAX, f64::min)),
        ];
        for dtype in [F32, F16] {
            for (reduction, exact) in formulas {
                let operator = Operator::Reduce(reduction);
                let got = run(operator, &[(dtype, &[2, 3, 4], &x)], (dtype, &[1, 3, 1]));
                let exact: Vec<f64> = (0..3)
                    .map(|row| exact(&[&x[row * 4..row * 4 + 4], &x[12 + row * 4..16 + row * 4]].concat()))
                    .collect();
                assert_close(operator, &got, &exact, dtype, 64.0);
            }
        }
    }
}

contract! {
    fn softmax_is_over_the_last_axis() {
        start();
        let x = held(F16, &numbers(15, 9).iter().map(|x| x * 8.0).collect::<Vec<_>>());
        let exact: Vec<f64> = x
            .chunks(5)
            .flat_map(|row| {
                let sum: f64 = row.iter().map(|x| x.exp()).sum();
                row.iter().map(move |x| x.exp() / sum)
            })
            .collect();
        for dtype in [F32, F16] {
            let got = run(Operator::Softmax, &[(dtype, &[3, 5], &x)], (dtype, &[3, 5]));
            // f16 subtracts the maximum in f16, which is off by 2^-11 of up to 16: a factor of the result.
            let slack = if dtype == F16 { 2f64.powi(-11) * 16.0 * 2f64.powi(24) * 1.01 } else { 32.0 };
            assert_close(Operator::Softmax, &got, &exact, dtype, slack);
        }
    }
}

contract! {
    fn products_are_batched_and_wide_results_keep_their_digits() {
        start();
        let (a, b) = (held(F16, &numbers(24, 10)), held(F16, &numbers(8, 11)));
        let mut exact = vec![0.0; 12];
        for (at, exact) in exact.iter_mut().enumerate() {
            let (row, column) = (at / 2, at % 2);
            *exact = (0..4).map(|k| a[row * 4 + k] * b[k * 2 + column]).sum();
        }
        for (operands, result) in [(F32, F32), (F16, F16), (F16, F32)] {
            let inputs: [Tensor<'_>; 2] = [(operands, &[2, 3, 4], &a), (operands, &[4, 2], &b)];
            let got = run(Operator::MatMul, &inputs, (result, &[2, 3, 2]));
            for (got, exact) in got.iter().zip(&exact) {
                let store = if result == F16 { exact.abs() * 2f64.powi(-11) } else { 0.0 };
                assert!((got - exact).abs() <= store + 4.0 * 4.0 * 2f64.powi(-24), "{operands:?} {result:?}");
            }
        }
        // 1 + 2^-12 is no f16.
        let wide = run(Operator::MatMul, &[(F16, &[1, 2], &[1.0, 1.0]), (F16, &[2, 1], &[1.0, 2f64.powi(-12)])], (F32, &[1, 1]));
        assert_eq!(wide, [1.0 + 2f64.powi(-12)]);
    }
}

contract! {
    fn strided_operands_of_a_product_are_copied_to_work_memory() {
        start();
        let mut draft = Draft::new(&[("a", F32, &[2, 3]), ("b", F32, &[2, 3])], &[("y", F32, &[2, 2])]);
        draft.gear(&[], &[&[2, 3], &[2, 3]], &[&[2, 2]]);
        let (a, b, y) = (draft.input(0), draft.input(1), draft.output(0));
        let transposed = Operand { dims: vec![3, 2], strides: vec![1, 3], ..b.view() };
        draft.step_over("a bT", Operator::MatMul, vec![a.view(), transposed], y.view());
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
        let got = outcome(&draft.file(), &[&encoded(F32, &a), &encoded(F32, &b)], 16).expect("runs");
        assert_eq!(decoded(F32, &got), [4.0, 2.0, 10.0, 5.0]);
    }
}

contract! {
    fn rows_are_gathered_and_an_index_outside_is_a_fault_of_its_step() {
        start();
        let table = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        for indices in [I64, I32] {
            let inputs: [Tensor<'_>; 2] = [(F16, &[3, 2], &table), (indices, &[2, 1], &[2.0, 0.0])];
            assert_eq!(run(Operator::Gather, &inputs, (F16, &[2, 1, 2])), [5.0, 6.0, 1.0, 2.0]);
        }
        let file = one_step(Operator::Gather, &[(F32, &[3, 2]), (I64, &[1])], (F32, &[1, 2]));
        let (code, text) =
            outcome(&file, &[&encoded(F32, &table), &encoded(I64, &[3.0])], 8).expect_err("outside");
        assert_eq!(code, 507_035);
        assert!(text.contains("step `the step`") && text.contains("index 3"), "{text}");
    }
}

contract! {
    fn gelu_has_two_forms() {
        start();
        let x: Vec<f64> = held(F32, &(-40..40).map(|x| f64::from(x) / 10.0).collect::<Vec<_>>());
        let erf = |x: &f64| 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
        let tanh = |x: &f64| {
            0.5 * x * (1.0 + libm::tanh((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))))
        };
        // How far the published recipes were measured to be from the two.
        for (is_tanh, exact, off) in [
            (false, x.iter().map(erf).collect::<Vec<_>>(), 8.3e-7),
            (true, x.iter().map(tanh).collect(), 7.5e-7),
        ] {
            let got = run(Operator::Gelu { is_tanh }, &[(F32, &[80], &x)], (F32, &[80]));
            for (got, exact) in got.iter().zip(&exact) {
                assert!((got - exact).abs() <= off, "{is_tanh}: {got} {exact}");
            }
        }
    }
}
