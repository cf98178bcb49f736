use half::{bf16, f16};

use super::{add_layer_norm, layer_norm};
use crate::testing::{Format, Random, Threads, U, assert_within, patterns};
use crate::{Isa, Serial};

/// What LayerNorm is, in f64, and how far f32 with this kernel's order may be from it.
struct Truth {
    value: f64,
    bound: f64,
}

fn truth(x: &[f64], gamma: &[f32], beta: &[f32], epsilon: f32) -> Vec<Truth> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let sigma = (variance + f64::from(epsilon)).sqrt();
    // The rounded mean is off by at most `offset`; the deviations from it are summed again, which leaves `rest`.
    let gamma_n = n * U;
    let offset = (gamma_n + U) * x.iter().map(|x| x.abs()).sum::<f64>() / n;
    let spread = x.iter().map(|x| (x - mean).abs()).sum::<f64>() / n + offset;
    let rest = (gamma_n + U) * spread;
    let relative = gamma_n * (1.0 + 2.0 * (offset / sigma).powi(2)) / 2.0 + 6.0 * U;
    x.iter()
        .zip(gamma.iter().zip(beta))
        .map(|(x, (&g, &b))| {
            let (g, b) = (f64::from(g), f64::from(b));
            let normal = (x - mean) / sigma;
            let shift = (rest + U * ((x - mean).abs() + offset)) / sigma;
            let bound =
                g.abs() * (shift + normal.abs() * relative) + 2.0 * U * ((normal * g).abs() + b.abs());
            Truth { value: normal * g + b, bound }
        })
        .collect()
}

fn affine(random: &mut Random, n: usize) -> (Vec<f32>, Vec<f32>) {
    (random.values(n, 1.0, 0.3), random.values(n, 0.0, 0.5))
}

fn holds_on<T: Format>(seed: u64, n: usize, rows: usize, mean: f64, deviation: f64, epsilon: f32) {
    let mut random = Random(seed);
    let x: Vec<T> = random.values(rows * n, mean, deviation);
    let residual: Vec<T> = random.values(rows * n, 0.0, deviation);
    let (gamma, beta) = affine(&mut random, n);
    let mut first: Option<Vec<u32>> = None;
    for isa in Isa::available() {
        let mut out = vec![T::default(); x.len()];
        layer_norm(isa, &Serial, &x, &gamma, &beta, epsilon, &mut out);
        let mut added = vec![T::default(); x.len()];
        add_layer_norm(isa, &Serial, &x, &residual, &gamma, &beta, epsilon, &mut added);
        for row in 0..rows {
            let part = row * n..(row + 1) * n;
            let exact: Vec<f64> = x[part.clone()].iter().map(|x| x.value()).collect();
            // The sum is rounded to f32 once; the bound is that of LayerNorm on the rounded sums.
            let sums: Vec<f64> = x[part.clone()]
                .iter()
                .zip(&residual[part.clone()])
                .map(|(x, r)| f64::from(x.to_f32() + r.to_f32()))
                .collect();
            for (got, exact) in [(&out, exact), (&added, sums)] {
                for (i, truth) in truth(&exact, &gamma, &beta, epsilon).iter().enumerate() {
                    assert_within(got[row * n + i], truth.value, truth.bound, &|| {
                        format!(
                            "{isa:?} seed {seed} n {n} row {row} column {i} mean {mean} deviation {deviation}"
                        )
                    });
                }
            }
        }
        if isa != Isa::Portable {
            let bits = patterns(&out);
            assert_eq!(*first.get_or_insert_with(|| bits.clone()), bits, "{isa:?} differs from avx2, n {n}");
        }
    }
}

#[test]
fn rows_match_f64_at_sizes_around_each_tile() {
    for n in [1, 2, 3, 15, 16, 17, 31, 33, 63, 64, 65, 79, 127, 128, 129, 384, 512, 513] {
        holds_on::<f32>(n as u64, n, 3, 0.0, 1.0, 1e-12);
        holds_on::<f16>(n as u64, n, 3, 0.0, 1.0, 1e-12);
        holds_on::<bf16>(n as u64, n, 3, 0.0, 1.0, 1e-12);
    }
}

#[test]
fn a_large_mean_costs_no_digits() {
    for (mean, deviation) in [(64.0, 1e-2), (1e4, 1e-3), (-1e4, 1e-2), (1e6, 1.0)] {
        for epsilon in [1e-12, 1e-5] {
            holds_on::<f32>(5, 512, 4, mean, deviation, epsilon);
            holds_on::<f32>(6, 77, 4, mean, deviation, epsilon);
        }
    }
}

#[test]
fn tiny_and_huge_deviations_keep_epsilon_inside_the_root() {
    for deviation in [1e-6, 1e-3, 1e3, 1e15] {
        holds_on::<f32>(8, 130, 3, 0.0, deviation, 1e-5);
    }
}

#[test]
fn one_column_and_equal_columns_give_beta() {
    for isa in Isa::available() {
        let beta = [0.25f32, -3.0, 7.5];
        let mut out = [0.0f32; 1];
        layer_norm(isa, &Serial, &[1234.5f32], &[2.0], &beta[..1], 1e-12, &mut out);
        assert_eq!(out, [0.25]);
        let mut out = [0.0f32; 6];
        layer_norm(isa, &Serial, &[2.0, 2.0, 2.0, -0.5, -0.5, -0.5], &[2.0; 3], &beta, 1e-12, &mut out);
        assert_eq!(out[..3], beta);
        assert_eq!(out[3..], beta);
    }
}

#[test]
fn a_bad_value_spoils_its_own_row_only() {
    let (rows, n) = (5, 83);
    for isa in Isa::available() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for column in [0, 15, 16, 63, 64, 82] {
                let mut random = Random(3);
                let mut x: Vec<f32> = random.values(rows * n, 0.0, 1.0);
                let (gamma, beta) = affine(&mut random, n);
                let mut clean = vec![0.0; x.len()];
                layer_norm(isa, &Serial, &x, &gamma, &beta, 1e-12, &mut clean);
                x[2 * n + column] = bad;
                let mut out = vec![0.0; x.len()];
                layer_norm(isa, &Serial, &x, &gamma, &beta, 1e-12, &mut out);
                assert!(out[2 * n..3 * n].iter().all(|y| y.is_nan()), "{isa:?} {bad} at {column}");
                assert_eq!(patterns(&out[..2 * n]), patterns(&clean[..2 * n]));
                assert_eq!(patterns(&out[3 * n..]), patterns(&clean[3 * n..]));
            }
        }
    }
}

#[test]
fn bits_depend_neither_on_threads_nor_on_the_position_of_a_row() {
    let (rows, n) = (301, 257);
    let mut random = Random(11);
    let x: Vec<f32> = random.values(rows * n, 0.0, 2.0);
    let residual: Vec<f32> = random.values(rows * n, 0.0, 2.0);
    let (gamma, beta) = affine(&mut random, n);
    for isa in Isa::available() {
        let mut serial = vec![0.0; x.len()];
        add_layer_norm(isa, &Serial, &x, &residual, &gamma, &beta, 1e-5, &mut serial);
        for threads in [2, 3, 7] {
            let mut out = vec![0.0; x.len()];
            add_layer_norm(isa, &Threads(threads), &x, &residual, &gamma, &beta, 1e-5, &mut out);
            assert_eq!(patterns(&out), patterns(&serial), "{isa:?} {threads} threads");
        }
        for row in [0, 1, 150, 300] {
            let part = row * n..(row + 1) * n;
            let mut alone = vec![0.0; n];
            let residual = &residual[part.clone()];
            add_layer_norm(isa, &Serial, &x[part.clone()], residual, &gamma, &beta, 1e-5, &mut alone);
            assert_eq!(patterns(&alone), patterns(&serial[part]), "{isa:?} row {row}");
        }
    }
}

#[test]
fn empty_operands_are_valid() {
    layer_norm::<f32>(Isa::detect(), &Threads(2), &[], &[], &[], 1e-5, &mut []);
    layer_norm::<f32>(Isa::detect(), &Threads(2), &[], &[1.0; 8], &[0.0; 8], 1e-5, &mut []);
}
