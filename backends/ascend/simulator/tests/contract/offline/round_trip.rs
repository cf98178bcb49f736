//! A small layer with two gears, from file to result.

use super::draft::{Draft, decoded, encoded, numbers};
use super::session::{Data, loaded};
use crate::harness::{acl, contract, recent, start};
use lockstep_ascend_container::{Binary, DType::F32, Dynamic, Operator};

const K: usize = 6;
const N: usize = 8;
const EPSILON: f64 = 1e-5;

struct Weights {
    w: Vec<f64>,
    b: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
}

fn weights() -> Weights {
    let held = |values: Vec<f64>| decoded(F32, &encoded(F32, &values));
    Weights {
        w: held(numbers(K * N, 41)),
        b: held(numbers(N, 42)),
        gamma: held(numbers(N, 43)),
        beta: held(numbers(N, 44)),
    }
}

/// `layer_norm(gelu(x @ w + b))`, for 2 and for 5 rows.
fn file(weights: &Weights, is_precise: bool) -> Vec<u8> {
    let (k, n) = (K as i64, N as i64);
    let mut draft = Draft::new(&[("x", F32, &[-1, k])], &[("y", F32, &[-1, n])]);
    draft.model.dynamic = Dynamic::Batch;
    let [w, b, gamma, beta] = [&weights.w, &weights.b, &weights.gamma, &weights.beta]
        .map(|values| draft.constant(&encoded(F32, values)));
    for rows in [2, 5] {
        draft.gear(&[rows], &[&[rows, k]], &[&[rows, n]]);
        let (x, y) = (draft.input(0), draft.output(0));
        let w = draft.weight(w, F32, &[k, n]);
        let [b, gamma, beta] = [b, gamma, beta].map(|at| draft.weight(at, F32, &[n]));
        let [product, sum, gelu] = [(); 3].map(|()| draft.between(F32, &[rows, n]));
        draft.step("product", Operator::MatMul, &[&x, &w], &product);
        draft.step("sum", Operator::Binary(Binary::Add), &[&product, &b], &sum);
        draft.step("gelu", Operator::Gelu { is_tanh: false }, &[&sum], &gelu);
        let norm = Operator::LayerNorm { epsilon: EPSILON, is_precise };
        draft.step("norm", norm, &[&gelu, &gamma, &beta], &y);
    }
    draft.file()
}

/// The layer in float64, and how far f32 and the published recipes may be off.
fn exact(x: &[f64], weights: &Weights) -> Vec<(f64, f64)> {
    let u = 2f64.powi(-24);
    let mut results = Vec::new();
    for x in x.chunks(K) {
        let (mut row, mut off) = (Vec::new(), 0f64);
        for column in 0..N {
            let terms = || (0..K).map(|k| x[k] * weights.w[k * N + column]);
            let (product, magnitude) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
            let sum = product + weights.b[column];
            row.push(0.5 * sum * libm::erfc(-sum * std::f64::consts::FRAC_1_SQRT_2));
            // A sum of K products and a bias, each rounded; GELU grows by at most 1.13, and the recipe was measured to be
            // 8.3e-7 off.
            off = off.max(1.13 * ((K + 1) as f64 * u * magnitude + u * sum.abs()) + 8.3e-7);
        }
        let mean = row.iter().sum::<f64>() / N as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / N as f64;
        let rstd = 1.0 / (variance + EPSILON).sqrt();
        let largest = row.iter().fold(0f64, |largest, x| largest.max(x.abs()));
        for (column, value) in row.iter().enumerate() {
            let normal = (value - mean) * rstd;
            // If each element is off by d, a deviation is by 2d and the standard deviation by d; the sums of N add their
            // own roundings, and the reciprocal root by exponential and logarithm a few units of what is normalised.
            let d = off + (N + 8) as f64 * u * largest;
            let of_norm = (2.0 + normal.abs()) * d * rstd + 16.0 * u * normal.abs();
            let y = normal * weights.gamma[column] + weights.beta[column];
            results.push((y, 1.1 * of_norm * weights.gamma[column].abs() + 4.0 * u * (y.abs() + 1.0)));
        }
    }
    results
}

fn holds_at_both_gears(is_precise: bool) {
    start();
    let weights = weights();
    let id = loaded(&file(&weights, is_precise));
    for (rows, seed) in [(5usize, 51), (2, 52)] {
        let x = decoded(F32, &encoded(F32, &numbers(rows * K, seed)));
        let data = Data::new(&[&encoded(F32, &x), &[0; 8]], rows * N * 4);
        assert_eq!(acl!(model.aclmdlSetDynamicBatchSize(id, data.input, 1, rows as u64)), 0, "{}", recent());
        assert_eq!(data.execute(id), 0, "{}", recent());
        let got = decoded(F32, &data.result());
        for (got, (exact, bound)) in got.iter().zip(exact(&x, &weights)) {
            assert!((got - exact).abs() <= bound, "{rows} rows: {got}, expected {exact} within {bound}");
        }
    }
    assert_eq!(acl!(model.aclmdlUnload(id)), 0, "{}", recent());
}

contract! {
    fn a_layer_is_as_exact_as_f32_allows_at_both_gears() {
        holds_at_both_gears(true);
    }
}

contract! {
    fn the_fast_root_is_as_exact() {
        holds_at_both_gears(false);
    }
}

contract! {
    fn exact_numerics_hold_for_models_too() with ["LOCKSTEP_ASCEND_SIM_NUMERICS" = "exact"] {
        holds_at_both_gears(false);
    }
}
