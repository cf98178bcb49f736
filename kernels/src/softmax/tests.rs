use half::{bf16, f16};

use super::softmax;
use crate::testing::{Format, Random, Threads, U, assert_within, patterns};
use crate::{Isa, Serial};

struct Truth {
    value: f64,
    bound: f64,
}

fn truth(x: &[f64]) -> Vec<Truth> {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|x| libm::exp(x - largest)).sum();
    let y = |x: f64| libm::exp(x - largest) / sum;
    // Differences that are -inf have weight 0.
    let spread: f64 = x.iter().filter(|x| x.is_finite()).map(|&x| y(x) * (x - largest).abs()).sum();
    let n = x.len() as f64;
    x.iter()
        .map(|&x| {
            let distance = if x.is_finite() { (x - largest).abs() } else { 0.0 };
            let bound = y(x) * (2.0 * U * (distance + spread) + n * U + 8.0 * U) + f64::powi(2.0, -150);
            Truth { value: y(x), bound }
        })
        .collect()
}

fn holds_on<T: Format>(x: &[T], n: usize, what: &str) {
    let mut first: Option<Vec<u32>> = None;
    for isa in Isa::available() {
        let mut out = vec![T::default(); x.len()];
        softmax(isa, &Serial, n, x, &mut out);
        for (row, (x, out)) in x.chunks_exact(n).zip(out.chunks_exact(n)).enumerate() {
            let exact: Vec<f64> = x.iter().map(|x| x.value()).collect();
            for (i, (truth, &got)) in truth(&exact).iter().zip(out).enumerate() {
                assert_within(got, truth.value, truth.bound, &|| {
                    format!("{isa:?} {what} n {n} row {row} column {i}")
                });
            }
        }
        if isa != Isa::Portable {
            let bits = patterns(&out);
            assert_eq!(*first.get_or_insert_with(|| bits.clone()), bits, "{isa:?} differs from avx2");
        }
    }
}

#[test]
fn rows_match_f64_at_sizes_around_each_tile() {
    for n in [1, 2, 3, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 513] {
        for deviation in [1.0, 40.0] {
            let mut random = Random(n as u64);
            holds_on::<f32>(&random.values(3 * n, 0.0, deviation), n, "f32");
            holds_on::<f16>(&random.values(3 * n, 0.0, deviation), n, "f16");
            holds_on::<bf16>(&random.values(3 * n, 0.0, deviation), n, "bf16");
        }
    }
}

#[test]
fn the_maximum_is_subtracted_first() {
    let mut random = Random(4);
    for mean in [1e4, -1e4, 3e38, -3e38] {
        holds_on::<f32>(&random.values(65, mean, 1.0), 65, "offset");
    }
}

#[test]
fn masked_positions_give_zero_and_masked_rows_zeros() {
    let masked = f32::NEG_INFINITY;
    for isa in Isa::available() {
        for n in [1, 5, 16, 40] {
            let mut out = vec![7.0f32; 2 * n];
            let mut x = vec![masked; 2 * n];
            x[n] = -3.0;
            softmax(isa, &Serial, n, &x, &mut out);
            assert!(out[..n].iter().all(|&y| y == 0.0), "{isa:?} {out:?}");
            assert_eq!(out[n], 1.0);
            assert!(out[n + 1..].iter().all(|&y| y == 0.0), "{isa:?} {out:?}");
        }
        // A large negative number is a mask too, as long as something else is larger.
        let mut out = [7.0f32; 3];
        softmax(isa, &Serial, 3, &[0.0, -1e9, 0.0], &mut out);
        assert_eq!(out, [0.5, 0.0, 0.5]);
        softmax(isa, &Serial, 3, &[-1e9; 3], &mut out);
        assert!(out.iter().all(|y| (y - 1.0 / 3.0).abs() < 1e-7));
    }
}

#[test]
fn equal_values_share_evenly() {
    for n in [2, 4, 16, 64, 512] {
        for isa in Isa::available() {
            let mut out = vec![0.0f32; n];
            softmax(isa, &Serial, n, &vec![-17.25; n], &mut out);
            assert!(out.iter().all(|&y| y == 1.0 / n as f32), "{isa:?} {n}");
        }
    }
}

#[test]
fn a_bad_value_spoils_its_own_row_only() {
    let n = 37;
    for isa in Isa::available() {
        for bad in [f32::NAN, f32::INFINITY] {
            for others in [1.0, f32::NEG_INFINITY] {
                for column in [0, 15, 16, 31, 32, 36] {
                    let mut x: Vec<f32> = Random(2).values(3 * n, 0.0, 1.0);
                    x[n..2 * n].fill(others);
                    x[n + column] = bad;
                    let mut out = vec![0.0; x.len()];
                    softmax(isa, &Serial, n, &x, &mut out);
                    assert!(
                        out[n..2 * n].iter().all(|y| y.is_nan()),
                        "{isa:?} {bad} at {column} among {others}"
                    );
                    assert!(out[..n].iter().chain(&out[2 * n..]).all(|y| y.is_finite()));
                }
            }
        }
    }
}

#[test]
fn bits_depend_neither_on_threads_nor_on_the_position_of_a_row() {
    let (rows, n) = (301, 257);
    let x: Vec<f32> = Random(11).values(rows * n, 0.0, 3.0);
    for isa in Isa::available() {
        let mut serial = vec![0.0; x.len()];
        softmax(isa, &Serial, n, &x, &mut serial);
        for threads in [2, 5] {
            let mut out = vec![0.0; x.len()];
            softmax(isa, &Threads(threads), n, &x, &mut out);
            assert_eq!(patterns(&out), patterns(&serial), "{isa:?} {threads} threads");
        }
        for row in [0, 7, 300] {
            let part = row * n..(row + 1) * n;
            let mut alone = vec![0.0; n];
            softmax(isa, &Serial, n, &x[part.clone()], &mut alone);
            assert_eq!(patterns(&alone), patterns(&serial[part]), "{isa:?} row {row}");
        }
    }
}

#[test]
fn empty_operands_are_valid() {
    softmax::<f32>(Isa::detect(), &Threads(2), 0, &[], &mut []);
    softmax::<f32>(Isa::detect(), &Threads(2), 9, &[], &mut []);
}
