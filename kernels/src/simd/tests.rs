use half::{bf16, f16};

use super::{Kernel, LANES, Simd, dispatch};
use crate::{Element, Isa};

/// Values at which paths could differ: signs, zeros, subnormals, halves, limits of i32 and of f32, infinities, NaN.
const EDGES: [f32; 32] = [
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.5,
    -1.5,
    2.5,
    -2.5,
    0.499_999_97,
    -0.499_999_97,
    1.0,
    -1.0,
    3.7,
    -3.7,
    1e-40,
    -1e-40,
    8_388_607.5,
    -8_388_607.5,
    8_388_609.0,
    16_777_217.0,
    1e10,
    -1e10,
    1e30,
    -1e30,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    7e-46,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    -f32::NAN,
];

fn bits(lanes: [f32; LANES]) -> [u32; LANES] {
    lanes.map(|lane| if lane.is_nan() { f32::NAN.to_bits() } else { lane.to_bits() })
}

/// All pairs of edge values, sixteen at a time.
fn edge_pairs() -> Vec<([f32; LANES], [f32; LANES])> {
    let pairs: Vec<(f32, f32)> = EDGES.iter().flat_map(|&a| EDGES.iter().map(move |&b| (a, b))).collect();
    pairs
        .chunks_exact(LANES)
        .map(|c| (std::array::from_fn(|i| c[i].0), std::array::from_fn(|i| c[i].1)))
        .collect()
}

/// Runs one expression on two vectors and gives the lanes.
macro_rules! on_lanes {
    ($isa:expr, $a:expr, $b:expr, |$simd:ident, $x:ident, $y:ident| $body:expr) => {{
        struct Lanes([f32; LANES], [f32; LANES]);
        impl Kernel for Lanes {
            type Output = [f32; LANES];
            #[inline(always)]
            fn run<S: Simd>(self, $simd: S) -> [f32; LANES] {
                let ($x, $y) = ($simd.from_array(self.0), $simd.from_array(self.1));
                let result = $body;
                $simd.to_array(result)
            }
        }
        dispatch($isa, Lanes($a, $b))
    }};
}

/// Holds an operation on vectors to a scalar definition, on every path and every pair of edge values.
macro_rules! holds {
    (|$simd:ident, $x:ident, $y:ident| $body:expr, |$a:ident, $b:ident| $scalar:expr) => {
        for isa in Isa::available() {
            for (left, right) in edge_pairs() {
                let got = on_lanes!(isa, left, right, |$simd, $x, $y| {
                    let _ = $y;
                    $body
                });
                let expected: [f32; LANES] = std::array::from_fn(|i| {
                    let ($a, $b) = (left[i], right[i]);
                    let _ = $b;
                    $scalar
                });
                assert_eq!(bits(got), bits(expected), "{isa:?} {left:?} {right:?}");
            }
        }
    };
}

#[test]
fn arithmetic_is_ieee_on_every_path() {
    holds!(|simd, x, y| simd.add(x, y), |a, b| a + b);
    holds!(|simd, x, y| simd.sub(x, y), |a, b| a - b);
    holds!(|simd, x, y| simd.mul(x, y), |a, b| a * b);
    holds!(|simd, x, y| simd.div(x, y), |a, b| a / b);
    holds!(|simd, x, y| simd.sqrt(x), |a, b| a.sqrt());
    holds!(|simd, x, y| simd.abs(x), |a, b| a.abs());
    holds!(|simd, x, y| simd.neg(x), |a, b| -a);
    holds!(|simd, x, y| simd.copysign(x, y), |a, b| a.copysign(b));
    holds!(|simd, x, y| simd.round(x), |a, b| a.round_ties_even());
}

#[test]
fn integers_come_from_truncation_and_go_back_rounded() {
    let x = [
        0.0,
        -0.9,
        0.9,
        1.5,
        -1.5,
        2.5,
        1e9,
        -1e9,
        16_777_216.0,
        8_388_607.5,
        -2_147_483_648.0,
        3.0,
        1e-40,
        7.99,
        -7.99,
        1e6,
    ];
    for isa in Isa::available() {
        let got =
            on_lanes!(isa, x, x, |simd, x, _y| simd.to_f32(simd.add_i32(simd.to_i32(x), simd.splat_i32(1))));
        assert_eq!(got, x.map(|x| (x as i32 + 1) as f32), "{isa:?}");
    }
}

#[test]
fn extremes_and_comparisons_treat_nan_as_documented() {
    holds!(|simd, x, y| simd.max(x, y), |a, b| if a > b { a } else { b });
    holds!(|simd, x, y| simd.min(x, y), |a, b| if a < b { a } else { b });
    holds!(|simd, x, y| simd.select(simd.lt(x, y), x, y), |a, b| if a < b { a } else { b });
    holds!(|simd, x, y| simd.select(simd.le(x, y), x, y), |a, b| if a <= b { a } else { b });
    holds!(|simd, x, y| simd.select(simd.eq(x, y), x, y), |a, b| if a == b { a } else { b });
    holds!(|simd, x, y| simd.select(simd.is_nan(x), simd.splat(1.0), y), |a, b| if a.is_nan() {
        1.0
    } else {
        b
    });
    holds!(
        |simd, x, y| simd.select(simd.mask_and(simd.lt(x, y), simd.lt(x, simd.zero())), x, y),
        |a, b| if a < b && a < 0.0 { a } else { b }
    );
    holds!(
        |simd, x, y| simd.select(simd.mask_or(simd.is_nan(x), simd.is_nan(y)), simd.zero(), x),
        |a, b| if a.is_nan() || b.is_nan() { 0.0 } else { a }
    );
    holds!(
        |simd, x, y| simd.select(simd.mask_and_not(simd.le(x, y), simd.eq(x, y)), x, y),
        |a, b| if a < b { a } else { b }
    );
}

#[test]
fn integer_operations_act_on_the_bits() {
    holds!(|simd, x, y| simd.from_bits(simd.and_i32(simd.bits(x), simd.splat_i32(!0xfff))), |a, b| {
        f32::from_bits(a.to_bits() & !0xfff)
    });
    holds!(|simd, x, y| simd.from_bits(simd.or_i32(simd.bits(x), simd.bits(y))), |a, b| f32::from_bits(
        a.to_bits() | b.to_bits()
    ));
    holds!(|simd, x, y| simd.from_bits(simd.add_i32(simd.bits(x), simd.bits(y))), |a, b| f32::from_bits(
        a.to_bits().wrapping_add(b.to_bits())
    ));
    holds!(|simd, x, y| simd.from_bits(simd.sub_i32(simd.bits(x), simd.bits(y))), |a, b| f32::from_bits(
        a.to_bits().wrapping_sub(b.to_bits())
    ));
    holds!(|simd, x, y| simd.from_bits(simd.shl_i32::<7>(simd.bits(x))), |a, b| f32::from_bits(
        a.to_bits() << 7
    ));
    holds!(|simd, x, y| simd.from_bits(simd.sar_i32::<9>(simd.bits(x))), |a, b| f32::from_bits(
        ((a.to_bits() as i32) >> 9) as u32
    ));
}

#[test]
fn scaling_by_a_power_of_two_rounds_once() {
    for isa in Isa::available() {
        for n in -252..=252 {
            let n = n as f32;
            let a: [f32; LANES] = std::array::from_fn(|i| {
                [1.0, -1.5, 1.999_999_9, 1.000_000_1][i % 4] * f32::powi(2.0, i as i32 - 8)
            });
            let got = on_lanes!(isa, a, [n; LANES], |simd, x, y| simd.scale_by_power_of_two(x, y));
            let expected = a.map(|a| (f64::from(a) * 2f64.powf(f64::from(n))) as f32);
            assert_eq!(bits(got), bits(expected), "{isa:?} n {n}");
        }
    }
}

#[test]
fn sums_and_extremes_follow_one_tree() {
    let mut seed = 7u32;
    for _ in 0..200 {
        let lanes: [f32; LANES] = std::array::from_fn(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed as f32 / 4e9 - 0.5) * 10f32.powi((seed >> 28) as i32)
        });
        let mut tree = lanes.to_vec();
        while tree.len() > 1 {
            let half = tree.len() / 2;
            tree = (0..half).map(|i| tree[i] + tree[i + half]).collect();
        }
        let largest = lanes.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let smallest = lanes.iter().copied().fold(f32::INFINITY, f32::min);
        for isa in Isa::available() {
            let sum = on_lanes!(isa, lanes, lanes, |simd, x, _y| simd.splat(simd.sum(x)))[0];
            assert_eq!(sum.to_bits(), tree[0].to_bits(), "{isa:?} {lanes:?}");
            assert_eq!(on_lanes!(isa, lanes, lanes, |simd, x, _y| simd.splat(simd.largest(x)))[0], largest);
            assert_eq!(on_lanes!(isa, lanes, lanes, |simd, x, _y| simd.splat(simd.smallest(x)))[0], smallest);
        }
    }
}

struct Load<'a, T>(&'a [T], f32);

impl<T: Element> Kernel for Load<'_, T> {
    type Output = [f32; LANES];
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> [f32; LANES] {
        let whole = self.0.len() >= LANES;
        simd.to_array(if whole { simd.load(self.0) } else { simd.load_partial(self.0, self.1) })
    }
}

struct Store<'a, T>([f32; LANES], &'a mut [T]);

impl<T: Element> Kernel for Store<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let value = simd.from_array(self.0);
        if self.1.len() >= LANES { simd.store(value, self.1) } else { simd.store_partial(value, self.1) }
    }
}

#[test]
fn every_half_is_read_exactly() {
    for isa in Isa::available() {
        for start in (0..=u16::MAX).step_by(LANES) {
            let halves: [f16; LANES] = std::array::from_fn(|i| f16::from_bits(start + i as u16));
            assert_eq!(bits(dispatch(isa, Load(&halves, 0.0))), bits(halves.map(f16::to_f32)), "{isa:?}");
            let brains: [bf16; LANES] = std::array::from_fn(|i| bf16::from_bits(start + i as u16));
            assert_eq!(bits(dispatch(isa, Load(&brains, 0.0))), bits(brains.map(bf16::to_f32)), "{isa:?}");
        }
    }
}

#[test]
fn halves_are_written_with_one_rounding() {
    for isa in Isa::available() {
        let patterns: Vec<u32> = (0..=u32::MAX).step_by(12_289).collect();
        // Beside a stride over all numbers, the ties of both formats and their neighbours.
        let ties = (0..=u32::MAX)
            .step_by(1 << 15)
            .flat_map(|p| [p.wrapping_sub(1), p, p + 1, p + 0x1000, p + 0xfff]);
        let patterns: Vec<u32> = patterns.into_iter().chain(ties).collect();
        for chunk in patterns.chunks_exact(LANES) {
            let lanes: [f32; LANES] = std::array::from_fn(|i| f32::from_bits(chunk[i]));
            let mut halves = [f16::ZERO; LANES];
            dispatch(isa, Store(lanes, &mut halves));
            assert_eq!(
                bits(halves.map(f16::to_f32)),
                bits(lanes.map(|x| f16::from_f32_const(x).to_f32())),
                "{lanes:?}"
            );
            let mut brains = [bf16::ZERO; LANES];
            dispatch(isa, Store(lanes, &mut brains));
            assert_eq!(
                bits(brains.map(bf16::to_f32)),
                bits(lanes.map(|x| bf16::from_f32(x).to_f32())),
                "{lanes:?}"
            );
        }
    }
}

fn partial_access<T: Element + PartialEq + std::fmt::Debug>(isa: Isa) {
    let guard = T::from_f32(-77.0);
    let source: Vec<T> = (0..LANES).map(|i| T::from_f32(i as f32 + 1.0)).collect();
    for count in 0..=LANES {
        let expected: [f32; LANES] =
            std::array::from_fn(|i| if i < count { i as f32 + 1.0 } else { f32::NEG_INFINITY });
        assert_eq!(dispatch(isa, Load(&source[..count], f32::NEG_INFINITY)), expected, "{isa:?} {count}");

        let mut target = [guard; LANES + 4];
        let lanes = std::array::from_fn(|i| i as f32 + 1.0);
        dispatch(isa, Store(lanes, &mut target[..count]));
        assert_eq!(target[..count], source[..count], "{isa:?} {count}");
        assert!(target[count..].iter().all(|&value| value == guard), "{isa:?} wrote past {count}");
    }
}

#[test]
fn partial_access_stays_within_its_count() {
    for isa in Isa::available() {
        partial_access::<f32>(isa);
        partial_access::<f16>(isa);
        partial_access::<bf16>(isa);
    }
}

/// Stores with a count that the compiler knows, which it may turn into other instructions than an unknown one.
struct StoreConst<'a, T, const COUNT: usize>(f32, &'a mut [T; COUNT]);

impl<T: Element, const COUNT: usize> Kernel for StoreConst<'_, T, COUNT> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        simd.store_partial(simd.splat(self.0), self.1);
    }
}

fn known_count<T: Element + PartialEq + std::fmt::Debug, const COUNT: usize>(isa: Isa) {
    let mut target = [T::from_f32(-77.0); LANES + 4];
    let (written, rest) = target.split_first_chunk_mut::<COUNT>().expect("shorter than the array");
    dispatch(isa, StoreConst(3.0, written));
    assert!(written.iter().all(|&value| value == T::from_f32(3.0)), "{isa:?} {COUNT} {written:?}");
    assert!(rest.iter().all(|&value| value == T::from_f32(-77.0)), "{isa:?} {COUNT} wrote into {rest:?}");
}

fn known_counts<T: Element + PartialEq + std::fmt::Debug>(isa: Isa) {
    known_count::<T, 0>(isa);
    known_count::<T, 1>(isa);
    known_count::<T, 2>(isa);
    known_count::<T, 3>(isa);
    known_count::<T, 8>(isa);
    known_count::<T, 15>(isa);
    known_count::<T, 16>(isa);
}

#[test]
fn counts_known_while_compiling_are_kept_too() {
    for isa in Isa::available() {
        known_counts::<f32>(isa);
        known_counts::<f16>(isa);
        known_counts::<bf16>(isa);
    }
}

#[test]
fn masks_number_lanes_from_the_first() {
    struct Bits(usize);
    impl Kernel for Bits {
        type Output = u16;
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> u16 {
            simd.mask_bits(simd.first_lanes(self.0))
        }
    }
    for isa in Isa::available() {
        for count in 0..=LANES + 3 {
            let expected =
                (0..LANES).fold(0, |bits, lane| if lane < count { bits | 1 << lane } else { bits });
            assert_eq!(dispatch(isa, Bits(count)), expected, "{isa:?} {count}");
        }
    }
}

#[test]
fn a_path_runs_as_itself_where_the_processor_has_it() {
    struct Path;
    impl Kernel for Path {
        type Output = Isa;
        #[inline(always)]
        fn run<S: Simd>(self, _simd: S) -> Isa {
            S::ISA
        }
    }
    for isa in Isa::available() {
        assert_eq!(dispatch(isa, Path), isa);
    }
    assert_eq!(dispatch(Isa::Avx512, Path), Isa::detect());
}
