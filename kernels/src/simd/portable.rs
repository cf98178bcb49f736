//! Any target: arrays of sixteen, in loops that the compiler turns into whatever vectors the target has.

use half::{bf16, f16};

use super::storage::{Storage, read_lanes, write_lanes};
use super::{LANES, Simd};
use crate::{Element, Isa};

/// Stands for plain Rust; every processor runs it.
#[derive(Clone, Copy)]
pub(super) struct Portable(());

impl Portable {
    pub(super) const TOKEN: Self = Portable(());
}

/// One value per lane.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Lanes<T>([T; LANES]);

/// Applies an expression to each lane of one to three operands.
macro_rules! each {
    (|$a:ident| $body:expr, $x:expr) => {{
        let x = $x;
        let mut out = Lanes([Default::default(); LANES]);
        for lane in 0..LANES {
            let $a = x.0[lane];
            out.0[lane] = $body;
        }
        out
    }};
    (|$a:ident, $b:ident| $body:expr, $x:expr, $y:expr) => {{
        let (x, y) = ($x, $y);
        let mut out = Lanes([Default::default(); LANES]);
        for lane in 0..LANES {
            let ($a, $b) = (x.0[lane], y.0[lane]);
            out.0[lane] = $body;
        }
        out
    }};
    (|$a:ident, $b:ident, $c:ident| $body:expr, $x:expr, $y:expr, $z:expr) => {{
        let (x, y, z) = ($x, $y, $z);
        let mut out = Lanes([Default::default(); LANES]);
        for lane in 0..LANES {
            let ($a, $b, $c) = (x.0[lane], y.0[lane], z.0[lane]);
            out.0[lane] = $body;
        }
        out
    }};
}

/// Whether the build target has a fused multiply-add; without one, `f32::mul_add` is a slow library call.
const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Adding and subtracting 1.5 * 2^23 leaves the nearest integer of any value below 2^22 in magnitude.
const ROUNDER: f32 = 12_582_912.0;

#[inline(always)]
fn nearest_integer(a: f32) -> f32 {
    let magnitude = a.abs();
    // 2^23 and above, infinities and NaN have no fraction. Below, adding 2^23 rounds away the fraction.
    let rounded = (magnitude + 8_388_608.0) - 8_388_608.0;
    if magnitude < 8_388_608.0 { rounded.copysign(a) } else { a }
}

#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

#[inline(always)]
fn fold<const WIDTH: usize>(lanes: &mut [f32; LANES], op: impl Fn(f32, f32) -> f32) {
    for lane in 0..WIDTH {
        lanes[lane] = op(lanes[lane], lanes[lane + WIDTH]);
    }
}

#[inline(always)]
fn tree(a: Lanes<f32>, op: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = a.0;
    fold::<8>(&mut lanes, &op);
    fold::<4>(&mut lanes, &op);
    fold::<2>(&mut lanes, &op);
    fold::<1>(&mut lanes, &op);
    lanes[0]
}

impl Simd for Portable {
    type F32 = Lanes<f32>;
    type I32 = Lanes<i32>;
    /// `u32::MAX` is true, zero is false.
    type Mask = Lanes<u32>;

    const ISA: Isa = Isa::Portable;

    #[inline(always)]
    fn splat(self, value: f32) -> Lanes<f32> {
        Lanes([value; LANES])
    }
    #[inline(always)]
    fn from_array(self, lanes: [f32; LANES]) -> Lanes<f32> {
        Lanes(lanes)
    }
    #[inline(always)]
    fn to_array(self, a: Lanes<f32>) -> [f32; LANES] {
        a.0
    }

    #[inline(always)]
    fn add(self, a: Lanes<f32>, b: Lanes<f32>) -> Lanes<f32> {
        each!(|x, y| x + y, a, b)
    }
    #[inline(always)]
    fn sub(self, a: Lanes<f32>, b: Lanes<f32>) -> Lanes<f32> {
        each!(|x, y| x - y, a, b)
    }
    #[inline(always)]
    fn mul(self, a: Lanes<f32>, b: Lanes<f32>) -> Lanes<f32> {
        each!(|x, y| x * y, a, b)
    }
    #[inline(always)]
    fn div(self, a: Lanes<f32>, b: Lanes<f32>) -> Lanes<f32> {
        each!(|x, y| x / y, a, b)
    }
    #[inline(always)]
    fn fma(self, a: Lanes<f32>, b: Lanes<f32>, c: Lanes<f32>) -> Lanes<f32> {
        each!(|x, y, z| multiply_add(x, y, z), a, b, c)
    }
    #[inline(always)]
    fn neg_fma(self, a: Lanes<f32>, b: Lanes<f32>, c: Lanes<f32>) -> Lanes<f32> {
        each!(|x, y, z| multiply_add(-x, y, z), a, b, c)
    }
    #[inline(always)]
    fn max(self, a: Lanes<f32>, b: Lanes<f32>) -> Lanes<f32> {
        each!(|x, y| if x > y { x } else { y }, a, b)
    }
    #[inline(always)]
    fn min(self, a: Lanes<f32>, b: Lanes<f32>) -> Lanes<f32> {
        each!(|x, y| if x < y { x } else { y }, a, b)
    }
    #[inline(always)]
    fn sqrt(self, a: Lanes<f32>) -> Lanes<f32> {
        each!(|x| x.sqrt(), a)
    }
    #[inline(always)]
    fn abs(self, a: Lanes<f32>) -> Lanes<f32> {
        each!(|x| x.abs(), a)
    }
    #[inline(always)]
    fn neg(self, a: Lanes<f32>) -> Lanes<f32> {
        each!(|x| -x, a)
    }
    #[inline(always)]
    fn copysign(self, a: Lanes<f32>, sign: Lanes<f32>) -> Lanes<f32> {
        each!(|x, y| x.copysign(y), a, sign)
    }
    #[inline(always)]
    fn round(self, a: Lanes<f32>) -> Lanes<f32> {
        each!(|x| nearest_integer(x), a)
    }
    #[inline(always)]
    fn scale_by_power_of_two(self, a: Lanes<f32>, n: Lanes<f32>) -> Lanes<f32> {
        // Two factors, each a normal number; the first product is exact, so that only the second rounds.
        // The low bits of n + 1.5 * 2^23 are n: cheaper than a conversion that must treat NaN.
        let n = each!(|x| ((x + ROUNDER).to_bits() as i32).wrapping_sub(ROUNDER.to_bits() as i32), n);
        let half = each!(|x| x >> 1, n);
        let rest = each!(|x, y| x.wrapping_sub(y), n, half);
        each!(|x, h, r| x * power_of_two(h) * power_of_two(r), a, half, rest)
    }

    #[inline(always)]
    fn lt(self, a: Lanes<f32>, b: Lanes<f32>) -> Lanes<u32> {
        each!(|x, y| if x < y { u32::MAX } else { 0 }, a, b)
    }
    #[inline(always)]
    fn le(self, a: Lanes<f32>, b: Lanes<f32>) -> Lanes<u32> {
        each!(|x, y| if x <= y { u32::MAX } else { 0 }, a, b)
    }
    #[inline(always)]
    fn eq(self, a: Lanes<f32>, b: Lanes<f32>) -> Lanes<u32> {
        each!(|x, y| if x == y { u32::MAX } else { 0 }, a, b)
    }
    #[inline(always)]
    fn is_nan(self, a: Lanes<f32>) -> Lanes<u32> {
        each!(|x| if x.is_nan() { u32::MAX } else { 0 }, a)
    }
    #[inline(always)]
    fn mask_and(self, a: Lanes<u32>, b: Lanes<u32>) -> Lanes<u32> {
        each!(|x, y| x & y, a, b)
    }
    #[inline(always)]
    fn mask_or(self, a: Lanes<u32>, b: Lanes<u32>) -> Lanes<u32> {
        each!(|x, y| x | y, a, b)
    }
    #[inline(always)]
    fn mask_and_not(self, a: Lanes<u32>, b: Lanes<u32>) -> Lanes<u32> {
        each!(|x, y| x & !y, a, b)
    }
    #[inline(always)]
    fn mask_bits(self, a: Lanes<u32>) -> u16 {
        (0..LANES).fold(0, |bits, lane| bits | ((a.0[lane] & 1) as u16) << lane)
    }
    #[inline(always)]
    fn first_lanes(self, count: usize) -> Lanes<u32> {
        let mut mask = Lanes([0; LANES]);
        for lane in 0..LANES {
            mask.0[lane] = if lane < count { u32::MAX } else { 0 };
        }
        mask
    }
    #[inline(always)]
    fn select(self, mask: Lanes<u32>, a: Lanes<f32>, b: Lanes<f32>) -> Lanes<f32> {
        each!(|m, x, y| f32::from_bits((x.to_bits() & m) | (y.to_bits() & !m)), mask, a, b)
    }

    #[inline(always)]
    fn splat_i32(self, value: i32) -> Lanes<i32> {
        Lanes([value; LANES])
    }
    #[inline(always)]
    fn add_i32(self, a: Lanes<i32>, b: Lanes<i32>) -> Lanes<i32> {
        each!(|x, y| x.wrapping_add(y), a, b)
    }
    #[inline(always)]
    fn sub_i32(self, a: Lanes<i32>, b: Lanes<i32>) -> Lanes<i32> {
        each!(|x, y| x.wrapping_sub(y), a, b)
    }
    #[inline(always)]
    fn and_i32(self, a: Lanes<i32>, b: Lanes<i32>) -> Lanes<i32> {
        each!(|x, y| x & y, a, b)
    }
    #[inline(always)]
    fn or_i32(self, a: Lanes<i32>, b: Lanes<i32>) -> Lanes<i32> {
        each!(|x, y| x | y, a, b)
    }
    #[inline(always)]
    fn shl_i32<const COUNT: u32>(self, a: Lanes<i32>) -> Lanes<i32> {
        each!(|x| x << COUNT, a)
    }
    #[inline(always)]
    fn sar_i32<const COUNT: u32>(self, a: Lanes<i32>) -> Lanes<i32> {
        each!(|x| x >> COUNT, a)
    }
    #[inline(always)]
    fn to_i32(self, a: Lanes<f32>) -> Lanes<i32> {
        each!(|x| x as i32, a)
    }
    #[inline(always)]
    fn to_f32(self, a: Lanes<i32>) -> Lanes<f32> {
        each!(|x| x as f32, a)
    }
    #[inline(always)]
    fn bits(self, a: Lanes<f32>) -> Lanes<i32> {
        each!(|x| x.to_bits() as i32, a)
    }
    #[inline(always)]
    fn from_bits(self, a: Lanes<i32>) -> Lanes<f32> {
        each!(|x| f32::from_bits(x as u32), a)
    }

    #[inline(always)]
    fn sum(self, a: Lanes<f32>) -> f32 {
        tree(a, |x, y| x + y)
    }
    #[inline(always)]
    fn largest(self, a: Lanes<f32>) -> f32 {
        tree(a, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    fn smallest(self, a: Lanes<f32>) -> f32 {
        tree(a, |x, y| if x < y { x } else { y })
    }

    #[inline(always)]
    unsafe fn load_from<T: Element>(self, source: *const T) -> Lanes<f32> {
        // SAFETY: the caller vouches for 16 readable values.
        unsafe { self.load_first_from(source, LANES) }
    }
    #[inline(always)]
    unsafe fn load_first_from<T: Element>(self, source: *const T, count: usize) -> Lanes<f32> {
        let count = count.min(LANES);
        let mut out = Lanes([0.0; LANES]);
        // SAFETY: no more than `count` values are read, for which the caller vouches.
        unsafe {
            match Storage::of::<T>() {
                Storage::F32 => std::ptr::copy_nonoverlapping(
                    source.cast::<u8>(),
                    out.0.as_mut_ptr().cast::<u8>(),
                    4 * count,
                ),
                // The const form is plain arithmetic: the other asks for the processor's features at every value.
                Storage::F16 => {
                    let source = source.cast::<f16>();
                    for (lane, value) in out.0.iter_mut().enumerate().take(count) {
                        *value = source.add(lane).read_unaligned().to_f32_const();
                    }
                }
                Storage::Bf16 | Storage::Other => out.0 = read_lanes(source, count),
            }
        }
        out
    }
    #[inline(always)]
    unsafe fn store_to<T: Element>(self, a: Lanes<f32>, target: *mut T) {
        // SAFETY: the caller vouches for 16 writable values.
        unsafe { self.store_first_to(a, target, LANES) }
    }
    #[inline(always)]
    unsafe fn store_first_to<T: Element>(self, a: Lanes<f32>, target: *mut T, count: usize) {
        let count = count.min(LANES);
        // SAFETY: no more than `count` values are written, for which the caller vouches.
        unsafe {
            match Storage::of::<T>() {
                Storage::F32 => {
                    std::ptr::copy_nonoverlapping(a.0.as_ptr().cast::<u8>(), target.cast::<u8>(), 4 * count)
                }
                Storage::F16 => {
                    let target = target.cast::<f16>();
                    for (lane, value) in a.0.into_iter().enumerate().take(count) {
                        target.add(lane).write_unaligned(f16::from_f32_const(value));
                    }
                }
                Storage::Bf16 => {
                    let target = target.cast::<bf16>();
                    for (lane, value) in a.0.into_iter().enumerate().take(count) {
                        target.add(lane).write_unaligned(bf16::from_f32(value));
                    }
                }
                Storage::Other => write_lanes(a.0, target, count),
            }
        }
    }
}
