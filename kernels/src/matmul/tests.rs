use half::{bf16, f16};

use super::*;

/// Uniform in -1..1 (SplitMix64), for the tests of products.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn value(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn values<T: Element>(&mut self, count: usize) -> Vec<T> {
        (0..count).map(|_| T::from_f32(self.value())).collect()
    }
}

/// As many threads as it says, each with every so many pieces.
pub(crate) struct Threads(pub(crate) usize);

impl Parallel for Threads {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| {
            for thread in 0..self.0.min(pieces) {
                scope.spawn(move || (thread..pieces).step_by(self.0).for_each(piece));
            }
        });
    }
}

/// `k u / (1 - k u)`, u half a unit in the last place of 1: the bound of a sum of k rounded products, in any order.
pub(crate) fn gamma(roundings: usize) -> f64 {
    let ku = roundings as f64 * (f32::EPSILON / 2.0) as f64;
    ku / (1.0 - ku)
}

/// Half a unit in the last place of 1 in T, and its smallest subnormal.
pub(crate) fn unit<T: Element>() -> (f64, f64) {
    match size_of::<T>() {
        4 => (f64::from(f32::EPSILON) / 2.0, 1.5e-45),
        _ if T::from_f32(65536.0).to_f32().is_infinite() => (2f64.powi(-11), 6e-8),
        _ => (2f64.powi(-8), 1e-40),
    }
}

pub(crate) fn bits<T: Element>(values: &[T]) -> Vec<u32> {
    values.iter().map(|value| value.to_f32().to_bits()).collect()
}

fn product<T: Element>(isa: Isa, threads: usize, shape: &MatmulShape<'_>, a: &[T], b: &[T]) -> Vec<T> {
    let mut out = vec![T::from_f32(f32::NAN); shape.batch_len() * shape.m * shape.n];
    let mut scratch = vec![f32::NAN; matmul_scratch(isa, shape, threads)];
    matmul(isa, &Threads(threads), shape, a, b, &mut out, &mut scratch);
    out
}

/// Compares with the product in f64, within `gamma_k (|a| |b|)` and one rounding to T.
fn check<T: Element>(isa: Isa, threads: usize, shape: &MatmulShape<'_>, seed: u64) {
    let mut random = Random(seed);
    let a = random.values::<T>(shape.needed(shape.a_strides, shape.m * shape.k));
    let b = random.values::<T>(shape.needed(shape.b_strides, shape.k * shape.n));
    let out = product(isa, threads, shape, &a, &b);
    let (u, tiny) = unit::<T>();
    for index in 0..shape.batch_len() {
        let (a, b) = (&a[shape.start(index, shape.a_strides)..], &b[shape.start(index, shape.b_strides)..]);
        for i in 0..shape.m {
            for j in 0..shape.n {
                let (mut exact, mut size) = (0f64, 0f64);
                for c in 0..shape.k {
                    let term =
                        f64::from(a[i * shape.k + c].to_f32()) * f64::from(b[c * shape.n + j].to_f32());
                    exact += term;
                    size += term.abs();
                }
                let got = f64::from(out[(index * shape.m + i) * shape.n + j].to_f32());
                let bound = gamma(shape.k + 1) * size + u * (exact.abs() + size * gamma(shape.k + 1)) + tiny;
                assert!(
                    (got - exact).abs() <= bound,
                    "{} x{threads}, {shape:?}, seed {seed}, matrix {index}, ({i}, {j}): {got}, exactly {exact}, bound {bound:e}",
                    isa.name()
                );
            }
        }
    }
}

fn single(m: usize, k: usize, n: usize) -> MatmulShape<'static> {
    MatmulShape { batch: &[], a_strides: &[], b_strides: &[], m, k, n }
}

#[test]
fn products_of_every_size_around_the_tiles_are_within_the_bound() {
    for isa in Isa::available() {
        for m in [0, 1, 2, 5, 6, 7, 11, 12, 13, 23] {
            for n in [0, 1, 15, 16, 17, 31, 32, 33, 65] {
                for k in [0, 1, 3, 64, 65, 255, 256, 257] {
                    check::<f32>(isa, 2, &single(m, k, n), (m * 10_000 + n * 1000 + k) as u64);
                }
            }
        }
        check::<f32>(isa, 2, &single(300, 520, 100), 1);
        check::<f16>(isa, 2, &single(13, 300, 33), 2);
        check::<bf16>(isa, 3, &single(13, 300, 33), 3);
    }
}

#[test]
fn batches_are_broadcast_by_zero_strides() {
    for isa in Isa::available() {
        let (m, k, n) = (7, 10, 9);
        let (a, b) = (m * k, k * n);
        let case = |threads, batch: &[usize], a_strides: &[usize], b_strides: &[usize], seed| {
            check::<f32>(isa, threads, &MatmulShape { batch, a_strides, b_strides, m, k, n }, seed);
        };
        case(2, &[3, 4], &[4 * a, a], &[4 * b, b], 4);
        case(2, &[3, 4], &[4 * a, a], &[0, 0], 5);
        case(2, &[3, 4], &[a, 0], &[0, b], 6);
        case(3, &[2, 1], &[0, 17], &[b, 0], 7);
        case(3, &[0, 5], &[a, a], &[b, b], 8);
        let large =
            MatmulShape { batch: &[2], a_strides: &[64 * 300], b_strides: &[300 * 70], m: 64, k: 300, n: 70 };
        check::<f32>(isa, 2, &large, 9);
    }
}

#[test]
fn bits_do_not_depend_on_threads_or_on_what_else_is_in_the_product() {
    for isa in Isa::available() {
        let (m, k, n) = (130, 600, 40);
        let mut random = Random(10);
        let (a, b) = (random.values::<f32>(m * k), random.values::<f32>(k * n));
        let whole = bits(&product(isa, 1, &single(m, k, n), &a, &b));
        for threads in [2, 3] {
            assert_eq!(
                bits(&product(isa, threads, &single(m, k, n), &a, &b)),
                whole,
                "{} x{threads}",
                isa.name()
            );
        }
        for (first, count) in [(0, 1), (129, 1), (5, 17), (64, 66)] {
            let part = product(isa, 2, &single(count, k, n), &a[first * k..(first + count) * k], &b);
            assert_eq!(
                bits(&part),
                whole[first * n..(first + count) * n],
                "{} rows {first}+{count}",
                isa.name()
            );
        }
    }
}

#[test]
fn paths_with_fused_multiply_add_agree_to_the_bit() {
    let fused: Vec<_> = Isa::available().into_iter().filter(|&isa| isa != Isa::Portable).collect();
    let shape = single(29, 700, 45);
    let mut random = Random(11);
    let (a, b) = (random.values::<f32>(29 * 700), random.values::<f32>(700 * 45));
    for pair in fused.windows(2) {
        assert_eq!(bits(&product(pair[0], 1, &shape, &a, &b)), bits(&product(pair[1], 1, &shape, &a, &b)));
    }
}
