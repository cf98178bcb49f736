//! AVX-512: one register holds all lanes.

use std::arch::x86_64::*;

use super::storage::{Storage, read_lanes, write_lanes};
use super::{Kernel, LANES, Simd};
use crate::{Element, Isa};

/// Stands for AVX-512 F, BW, DQ and VL with AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

/// Runs a kernel compiled for AVX-512.
///
/// # Safety
/// The processor must have every feature that [`Isa::Avx512`] names.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

/// Calls intrinsics, from methods that are only ever inlined under [`run`].
macro_rules! intrinsics {
    ($body:expr) => {{
        // SAFETY: a token of this type is made only by `run`, whose caller vouches for the features.
        unsafe { $body }
    }};
}

/// Adds the 8 lanes of a 256-bit register: lanes 4 apart, then 2 and 1.
macro_rules! fold {
    ($eight:expr, $op128:ident, $op_scalar:ident) => {{
        let eight = $eight;
        let four = $op128(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = $op128(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32($op_scalar(two, _mm_movehdup_ps(two)))
    }};
}
pub(super) use fold;

#[inline(always)]
fn low_bits(count: usize) -> __mmask16 {
    if count >= LANES { u16::MAX } else { (1 << count) - 1 }
}

/// Writes the first `count` of sixteen 16-bit values.
///
/// A single value goes without a mask: LLVM 22 turns a masked store whose mask is known to be one lane into a scalar store,
/// and makes it 32 bits wide if the lanes were narrowed from 32.
///
/// # Safety
/// `target` must be valid for writes of `count.min(16)` values, and the processor must have the features of [`run`].
#[inline(always)]
unsafe fn store_halves(halves: __m256i, target: *mut u16, count: usize) {
    // SAFETY: no more than `count` values are written, for which the caller vouches, as for the features.
    unsafe {
        if count == 1 {
            target.write_unaligned(_mm256_extract_epi16::<0>(halves) as u16);
        } else {
            _mm256_mask_storeu_epi16(target.cast(), low_bits(count), halves);
        }
    }
}

impl Avx512 {
    /// Rounds to bf16, to nearest even; a NaN stays one, made quiet.
    #[inline(always)]
    fn bf16_bits(self, a: __m512) -> __m256i {
        intrinsics!({
            let bits = _mm512_castps_si512(a);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
            let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a);
            let kept = _mm512_mask_blend_epi32(nan, rounded, quiet);
            _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(kept))
        })
    }

    #[inline(always)]
    fn widen_bf16(self, halves: __m256i) -> __m512 {
        intrinsics!(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves))))
    }
}

impl Simd for Avx512 {
    type F32 = __m512;
    type I32 = __m512i;
    type Mask = __mmask16;

    const ISA: Isa = Isa::Avx512;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        intrinsics!(_mm512_set1_ps(value))
    }
    #[inline(always)]
    fn from_array(self, lanes: [f32; LANES]) -> __m512 {
        intrinsics!(_mm512_loadu_ps(lanes.as_ptr()))
    }
    #[inline(always)]
    fn to_array(self, a: __m512) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        intrinsics!(_mm512_storeu_ps(lanes.as_mut_ptr(), a));
        lanes
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        intrinsics!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        intrinsics!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        intrinsics!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        intrinsics!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        intrinsics!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn neg_fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        intrinsics!(_mm512_fnmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        intrinsics!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        intrinsics!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        intrinsics!(_mm512_sqrt_ps(a))
    }
    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        intrinsics!(_mm512_andnot_ps(_mm512_set1_ps(-0.0), a))
    }
    #[inline(always)]
    fn neg(self, a: __m512) -> __m512 {
        intrinsics!(_mm512_xor_ps(_mm512_set1_ps(-0.0), a))
    }
    #[inline(always)]
    fn copysign(self, a: __m512, sign: __m512) -> __m512 {
        intrinsics!({
            let bit = _mm512_set1_ps(-0.0);
            _mm512_or_ps(_mm512_andnot_ps(bit, a), _mm512_and_ps(bit, sign))
        })
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        intrinsics!(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn scale_by_power_of_two(self, a: __m512, n: __m512) -> __m512 {
        intrinsics!(_mm512_scalef_ps(a, n))
    }

    #[inline(always)]
    fn lt(self, a: __m512, b: __m512) -> __mmask16 {
        intrinsics!(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b))
    }
    #[inline(always)]
    fn le(self, a: __m512, b: __m512) -> __mmask16 {
        intrinsics!(_mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b))
    }
    #[inline(always)]
    fn eq(self, a: __m512, b: __m512) -> __mmask16 {
        intrinsics!(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b))
    }
    #[inline(always)]
    fn is_nan(self, a: __m512) -> __mmask16 {
        intrinsics!(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a))
    }
    #[inline(always)]
    fn mask_and(self, a: __mmask16, b: __mmask16) -> __mmask16 {
        a & b
    }
    #[inline(always)]
    fn mask_or(self, a: __mmask16, b: __mmask16) -> __mmask16 {
        a | b
    }
    #[inline(always)]
    fn mask_and_not(self, a: __mmask16, b: __mmask16) -> __mmask16 {
        a & !b
    }
    #[inline(always)]
    fn mask_bits(self, a: __mmask16) -> u16 {
        a
    }
    #[inline(always)]
    fn first_lanes(self, count: usize) -> __mmask16 {
        low_bits(count)
    }
    #[inline(always)]
    fn select(self, mask: __mmask16, a: __m512, b: __m512) -> __m512 {
        intrinsics!(_mm512_mask_blend_ps(mask, b, a))
    }

    #[inline(always)]
    fn splat_i32(self, value: i32) -> __m512i {
        intrinsics!(_mm512_set1_epi32(value))
    }
    #[inline(always)]
    fn add_i32(self, a: __m512i, b: __m512i) -> __m512i {
        intrinsics!(_mm512_add_epi32(a, b))
    }
    #[inline(always)]
    fn sub_i32(self, a: __m512i, b: __m512i) -> __m512i {
        intrinsics!(_mm512_sub_epi32(a, b))
    }
    #[inline(always)]
    fn and_i32(self, a: __m512i, b: __m512i) -> __m512i {
        intrinsics!(_mm512_and_si512(a, b))
    }
    #[inline(always)]
    fn or_i32(self, a: __m512i, b: __m512i) -> __m512i {
        intrinsics!(_mm512_or_si512(a, b))
    }
    #[inline(always)]
    fn shl_i32<const COUNT: u32>(self, a: __m512i) -> __m512i {
        intrinsics!(_mm512_slli_epi32::<COUNT>(a))
    }
    #[inline(always)]
    fn sar_i32<const COUNT: u32>(self, a: __m512i) -> __m512i {
        intrinsics!(_mm512_srai_epi32::<COUNT>(a))
    }
    #[inline(always)]
    fn to_i32(self, a: __m512) -> __m512i {
        intrinsics!(_mm512_cvttps_epi32(a))
    }
    #[inline(always)]
    fn to_f32(self, a: __m512i) -> __m512 {
        intrinsics!(_mm512_cvtepi32_ps(a))
    }
    #[inline(always)]
    fn bits(self, a: __m512) -> __m512i {
        intrinsics!(_mm512_castps_si512(a))
    }
    #[inline(always)]
    fn from_bits(self, a: __m512i) -> __m512 {
        intrinsics!(_mm512_castsi512_ps(a))
    }

    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        intrinsics!({
            let eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
            fold!(eight, _mm_add_ps, _mm_add_ss)
        })
    }
    #[inline(always)]
    fn largest(self, a: __m512) -> f32 {
        intrinsics!({
            let eight = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
            fold!(eight, _mm_max_ps, _mm_max_ss)
        })
    }
    #[inline(always)]
    fn smallest(self, a: __m512) -> f32 {
        intrinsics!({
            let eight = _mm256_min_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
            fold!(eight, _mm_min_ps, _mm_min_ss)
        })
    }

    #[inline(always)]
    unsafe fn load_from<T: Element>(self, source: *const T) -> __m512 {
        // SAFETY: the caller vouches for 16 readable values; the token, for the features.
        unsafe {
            match Storage::of::<T>() {
                Storage::F32 => _mm512_loadu_ps(source.cast()),
                Storage::F16 => _mm512_cvtph_ps(_mm256_loadu_si256(source.cast())),
                Storage::Bf16 => self.widen_bf16(_mm256_loadu_si256(source.cast())),
                Storage::Other => self.from_array(read_lanes(source, LANES)),
            }
        }
    }
    #[inline(always)]
    unsafe fn load_first_from<T: Element>(self, source: *const T, count: usize) -> __m512 {
        let mask = low_bits(count);
        // SAFETY: masked lanes are not read, and the caller vouches for the others; the token, for the features.
        unsafe {
            match Storage::of::<T>() {
                Storage::F32 => _mm512_maskz_loadu_ps(mask, source.cast()),
                Storage::F16 => _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, source.cast())),
                Storage::Bf16 => self.widen_bf16(_mm256_maskz_loadu_epi16(mask, source.cast())),
                Storage::Other => self.from_array(read_lanes(source, count.min(LANES))),
            }
        }
    }
    #[inline(always)]
    unsafe fn store_to<T: Element>(self, a: __m512, target: *mut T) {
        // SAFETY: the caller vouches for 16 writable values; the token, for the features.
        unsafe {
            match Storage::of::<T>() {
                Storage::F32 => _mm512_storeu_ps(target.cast(), a),
                Storage::F16 => {
                    _mm256_storeu_si256(target.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(a))
                }
                Storage::Bf16 => _mm256_storeu_si256(target.cast(), self.bf16_bits(a)),
                Storage::Other => write_lanes(self.to_array(a), target, LANES),
            }
        }
    }
    #[inline(always)]
    unsafe fn store_first_to<T: Element>(self, a: __m512, target: *mut T, count: usize) {
        // SAFETY: masked lanes are not written, and the caller vouches for the others; the token, for the features.
        unsafe {
            match Storage::of::<T>() {
                Storage::F32 => _mm512_mask_storeu_ps(target.cast(), low_bits(count), a),
                Storage::F16 => {
                    store_halves(_mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(a), target.cast(), count)
                }
                Storage::Bf16 => store_halves(self.bf16_bits(a), target.cast(), count),
                Storage::Other => write_lanes(self.to_array(a), target, count.min(LANES)),
            }
        }
    }
}
