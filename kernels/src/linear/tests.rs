use half::{bf16, f16};

use super::*;
use crate::Isa;
use crate::matmul::tests::{Random, Threads, bits, gamma, unit};

/// The operands of one layer.
struct Case<T> {
    m: usize,
    k: usize,
    n: usize,
    x: Vec<T>,
    weight: Vec<T>,
    bias: Vec<f32>,
    residual: Vec<T>,
}

impl<T: Element> Case<T> {
    fn new(m: usize, k: usize, n: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let x = random.values(m * k);
        let weight = random.values(n * k);
        Self { m, k, n, x, weight, bias: random.values(n), residual: random.values(m * n) }
    }

    fn run(
        &self,
        isa: Isa,
        storage: PanelStorage,
        threads: usize,
        activation: Activation,
        extras: bool,
    ) -> Vec<T> {
        let weights =
            PackedWeights::pack(isa, storage, self.n, self.k, &self.weight, extras.then_some(&self.bias[..]));
        let mut out = vec![T::from_f32(f32::NAN); self.m * self.n];
        let mut scratch = vec![f32::NAN; linear_scratch(self.m, &weights, threads)];
        let residual = extras.then_some(&self.residual[..]);
        linear(&Threads(threads), &self.x, &weights, activation, residual, &mut out, &mut scratch);
        out
    }

    /// Row i, column j before the activation, exactly, and the bound of what f32 may be off.
    fn exact(&self, i: usize, j: usize, extras: bool) -> (f64, f64) {
        let terms = (0..self.k).map(|c| {
            f64::from(self.x[i * self.k + c].to_f32()) * f64::from(self.weight[j * self.k + c].to_f32())
        });
        let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
        let bias = if extras { f64::from(self.bias[j]) } else { 0.0 };
        (sum + bias, gamma(self.k + 2) * (size + bias.abs()))
    }

    /// Compares with `function` of the sum in f64, within gamma_k (|x| |W|), the activation's own error and one rounding.
    fn check(&self, isa: Isa, storage: PanelStorage, threads: usize, activation: Activation, extras: bool) {
        let out = self.run(isa, storage, threads, activation, extras);
        let (u, tiny) = unit::<T>();
        for i in 0..self.m {
            for j in 0..self.n {
                let (sum, off) = self.exact(i, j, extras);
                let residual = if extras { f64::from(self.residual[i * self.n + j].to_f32()) } else { 0.0 };
                let exact = in_f64(activation, sum) + residual;
                // No activation is steeper than 1.13; 8 units cover the error of the functions themselves.
                let own =
                    8.0 * f64::from(f32::EPSILON) * (1.0 + sum.abs().min(in_f64(activation, sum).abs()));
                let own = if matches!(activation, Activation::None | Activation::Relu) { 0.0 } else { own };
                let bound = 1.13 * off + own + gamma(2) * exact.abs();
                let bound = bound + u * (exact.abs() + bound) + tiny;
                let got = f64::from(out[i * self.n + j].to_f32());
                assert!(
                    (got - exact).abs() <= bound,
                    "{} {storage:?} x{threads} {activation:?} [{}, {}, {}] ({i}, {j}): {got}, exactly {exact}, bound {bound:e}",
                    isa.name(),
                    self.m,
                    self.k,
                    self.n
                );
            }
        }
    }
}

fn in_f64(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::Tanh => x.tanh(),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
        }
        Activation::GeluErf => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
    }
}

/// The Maclaurin series of erf; enough terms for |x| <= 5, and 1 beyond, where the rest is below 2e-12.
fn erf(x: f64) -> f64 {
    if x.abs() > 5.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for i in 1..150 {
        term *= -x * x / f64::from(i);
        sum += term / f64::from(2 * i + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn every_size_around_the_tiles_is_within_the_bound() {
    for isa in Isa::available() {
        for m in [0, 1, 4, 5, 6, 10, 11, 12, 22, 23, 45] {
            for n in [1, 15, 16, 17, 32, 33, 70] {
                for k in [0, 1, 17, 64, 80, 256, 257, 600] {
                    let case = Case::<f32>::new(m, k, n, (m * 100_000 + n * 1000 + k) as u64);
                    case.check(isa, PanelStorage::F32, 2, Activation::None, true);
                }
            }
        }
    }
}

#[test]
fn blocks_of_rows_and_threads_cover_tall_products() {
    for isa in Isa::available() {
        for (m, k, n) in [(264, 30, 20), (265, 512, 40), (700, 100, 33), (90, 2100, 17)] {
            Case::<f32>::new(m, k, n, m as u64).check(isa, PanelStorage::F32, 3, Activation::None, false);
        }
    }
}

#[test]
fn activations_follow_bias_and_precede_the_residual() {
    for isa in Isa::available() {
        for activation in [Activation::GeluErf, Activation::GeluTanh, Activation::Relu, Activation::Tanh] {
            let case = Case::<f32>::new(13, 20, 37, 7);
            case.check(isa, PanelStorage::F32, 2, activation, true);
            case.check(isa, PanelStorage::F32, 1, activation, false);
        }
    }
}

#[test]
fn half_width_values_are_rounded_once() {
    for isa in Isa::available() {
        for storage in [PanelStorage::F32, PanelStorage::F16] {
            Case::<f16>::new(23, 300, 35, 8).check(isa, storage, 2, Activation::GeluErf, true);
        }
        for storage in [PanelStorage::F32, PanelStorage::Bf16] {
            Case::<bf16>::new(23, 300, 35, 9).check(isa, storage, 2, Activation::None, true);
        }
    }
}

#[test]
fn half_width_panels_of_half_width_weights_give_the_bits_of_f32_panels() {
    for isa in Isa::available() {
        let case = Case::<f16>::new(40, 530, 50, 10);
        let wide = bits(&case.run(isa, PanelStorage::F32, 2, Activation::None, true));
        assert_eq!(bits(&case.run(isa, PanelStorage::F16, 2, Activation::None, true)), wide);
        let case = Case::<bf16>::new(40, 530, 50, 11);
        let wide = bits(&case.run(isa, PanelStorage::F32, 2, Activation::None, true));
        assert_eq!(bits(&case.run(isa, PanelStorage::Bf16, 2, Activation::None, true)), wide);
    }
}

#[test]
fn a_rows_bits_depend_on_nothing_but_the_row() {
    for isa in Isa::available() {
        let (m, k, n) = (300, 600, 70);
        let case = Case::<f32>::new(m, k, n, 12);
        let whole = bits(&case.run(isa, PanelStorage::F32, 1, Activation::GeluErf, true));
        for threads in [2, 3] {
            let again = bits(&case.run(isa, PanelStorage::F32, threads, Activation::GeluErf, true));
            assert_eq!(again, whole, "{} x{threads}", isa.name());
        }
        for (first, count) in [(0, 1), (299, 1), (1, 11), (3, 12), (17, 100), (30, 270)] {
            let rows = first..first + count;
            let part = Case {
                m: count,
                x: case.x[rows.start * k..rows.end * k].to_vec(),
                residual: case.residual[rows.start * n..rows.end * n].to_vec(),
                weight: case.weight.clone(),
                bias: case.bias.clone(),
                ..case
            };
            let part = bits(&part.run(isa, PanelStorage::F32, 2, Activation::GeluErf, true));
            assert_eq!(part, whole[rows.start * n..rows.end * n], "{} rows {rows:?}", isa.name());
        }
    }
}

#[test]
fn paths_with_fused_multiply_add_agree_to_the_bit() {
    let fused: Vec<_> = Isa::available().into_iter().filter(|&isa| isa != Isa::Portable).collect();
    let case = Case::<f32>::new(50, 600, 70, 13);
    for activation in [Activation::None, Activation::GeluErf, Activation::GeluTanh, Activation::Tanh] {
        for pair in fused.windows(2) {
            let [a, b] =
                [pair[0], pair[1]].map(|isa| bits(&case.run(isa, PanelStorage::F32, 1, activation, true)));
            assert_eq!(a, b, "{activation:?}");
        }
    }
}

#[test]
fn nan_and_infinity_stay_in_their_row() {
    for isa in Isa::available() {
        for bad in [f32::NAN, f32::INFINITY] {
            for activation in [Activation::None, Activation::GeluErf, Activation::Relu, Activation::Tanh] {
                let (m, k, n) = (25, 300, 40);
                let mut case = Case::<f32>::new(m, k, n, 14);
                let clean = bits(&case.run(isa, PanelStorage::F32, 2, activation, true));
                case.x[7 * k + 270] = bad;
                let out = case.run(isa, PanelStorage::F32, 2, activation, true);
                for i in (0..m).filter(|&i| i != 7) {
                    assert_eq!(bits(&out[i * n..(i + 1) * n]), clean[i * n..(i + 1) * n], "row {i}");
                }
                if bad.is_nan() {
                    assert!(out[7 * n..8 * n].iter().all(|value| value.is_nan()), "{activation:?}");
                }
            }
        }
    }
}

#[test]
fn no_rows_and_no_outputs_do_nothing() {
    for isa in Isa::available() {
        assert!(
            Case::<f32>::new(0, 5, 7, 15).run(isa, PanelStorage::F32, 2, Activation::None, true).is_empty()
        );
        assert!(
            Case::<f32>::new(0, 5, 0, 16).run(isa, PanelStorage::F16, 2, Activation::None, true).is_empty()
        );
    }
}

#[test]
fn scratch_for_more_rows_is_enough_for_fewer() {
    let weight = vec![0f32; 600 * 40];
    for isa in Isa::available() {
        let weights = PackedWeights::pack::<f32, f32>(isa, PanelStorage::F16, 40, 600, &weight, None);
        let sizes: Vec<_> = (0..1000).map(|m| linear_scratch(m, &weights, 2)).collect();
        assert!(sizes.is_sorted());
    }
}
