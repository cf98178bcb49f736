//! AVX2 with FMA and F16C: two registers hold lanes 0..8 and 8..16.

use std::arch::x86_64::*;

use super::avx512::fold;
use super::storage::{Storage, read_lanes, write_lanes};
use super::{Kernel, LANES, Simd};
use crate::{Element, Isa};

/// Stands for AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// Two registers, the low lanes first.
#[derive(Clone, Copy)]
pub(super) struct Pair<V>(V, V);

/// Runs a kernel compiled for AVX2.
///
/// # Safety
/// The processor must have every feature that [`Isa::Avx2`] names.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

/// Calls intrinsics, from methods that are only ever inlined under [`run`].
macro_rules! intrinsics {
    ($body:expr) => {{
        // Where `both!` stands inside another body, the outer block covers it: hence `unused_unsafe`.
        // SAFETY: a token of this type is made only by `run`, whose caller vouches for the features.
        #[allow(unused_unsafe)]
        unsafe {
            $body
        }
    }};
}

/// Applies an intrinsic to both halves of its operands.
macro_rules! both {
    ($op:path, $a:expr) => {
        intrinsics!(Pair($op($a.0), $op($a.1)))
    };
    ($op:path, $a:expr, $b:expr) => {
        intrinsics!(Pair($op($a.0, $b.0), $op($a.1, $b.1)))
    };
    ($op:path, $a:expr, $b:expr, $c:expr) => {
        intrinsics!(Pair($op($a.0, $b.0, $c.0), $op($a.1, $b.1, $c.1)))
    };
}

type F32 = Pair<__m256>;
type I32 = Pair<__m256i>;

#[inline(always)]
fn lane_numbers() -> I32 {
    intrinsics!(Pair(
        _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
        _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)
    ))
}

#[inline(always)]
fn widen_bf16(halves: __m128i) -> __m256 {
    intrinsics!(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves))))
}

/// Rounds to bf16 in the upper half of each lane, to nearest even; a NaN stays one, made quiet.
#[inline(always)]
fn round_bf16(a: __m256) -> __m256i {
    intrinsics!({
        let bits = _mm256_castps_si256(a);
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
        let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
        let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(a, a));
        _mm256_srli_epi32::<16>(_mm256_blendv_epi8(rounded, quiet, nan))
    })
}

#[inline(always)]
fn bf16_bits(a: F32) -> __m256i {
    intrinsics!({
        // The pack works within 128-bit halves, so its quarters come out as 0, 2, 1, 3.
        let packed = _mm256_packus_epi32(round_bf16(a.0), round_bf16(a.1));
        _mm256_permute4x64_epi64::<0b11_01_10_00>(packed)
    })
}

#[inline(always)]
fn f16_bits(a: F32) -> __m256i {
    intrinsics!(_mm256_set_m128i(
        _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(a.1),
        _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(a.0),
    ))
}

#[inline(always)]
fn power_of_two(n: I32) -> F32 {
    let bias = intrinsics!(_mm256_set1_epi32(127));
    intrinsics!(Pair(
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n.0, bias))),
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n.1, bias))),
    ))
}

impl Simd for Avx2 {
    type F32 = F32;
    type I32 = I32;
    /// All bits of a true lane are set.
    type Mask = F32;

    const ISA: Isa = Isa::Avx2;

    #[inline(always)]
    fn splat(self, value: f32) -> F32 {
        intrinsics!(Pair(_mm256_set1_ps(value), _mm256_set1_ps(value)))
    }
    #[inline(always)]
    fn from_array(self, lanes: [f32; LANES]) -> F32 {
        intrinsics!(Pair(_mm256_loadu_ps(lanes.as_ptr()), _mm256_loadu_ps(lanes.as_ptr().add(8))))
    }
    #[inline(always)]
    fn to_array(self, a: F32) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        intrinsics!({
            _mm256_storeu_ps(lanes.as_mut_ptr(), a.0);
            _mm256_storeu_ps(lanes.as_mut_ptr().add(8), a.1);
        });
        lanes
    }

    #[inline(always)]
    fn add(self, a: F32, b: F32) -> F32 {
        both!(_mm256_add_ps, a, b)
    }
    #[inline(always)]
    fn sub(self, a: F32, b: F32) -> F32 {
        both!(_mm256_sub_ps, a, b)
    }
    #[inline(always)]
    fn mul(self, a: F32, b: F32) -> F32 {
        both!(_mm256_mul_ps, a, b)
    }
    #[inline(always)]
    fn div(self, a: F32, b: F32) -> F32 {
        both!(_mm256_div_ps, a, b)
    }
    #[inline(always)]
    fn fma(self, a: F32, b: F32, c: F32) -> F32 {
        both!(_mm256_fmadd_ps, a, b, c)
    }
    #[inline(always)]
    fn neg_fma(self, a: F32, b: F32, c: F32) -> F32 {
        both!(_mm256_fnmadd_ps, a, b, c)
    }
    #[inline(always)]
    fn max(self, a: F32, b: F32) -> F32 {
        both!(_mm256_max_ps, a, b)
    }
    #[inline(always)]
    fn min(self, a: F32, b: F32) -> F32 {
        both!(_mm256_min_ps, a, b)
    }
    #[inline(always)]
    fn sqrt(self, a: F32) -> F32 {
        both!(_mm256_sqrt_ps, a)
    }
    #[inline(always)]
    fn abs(self, a: F32) -> F32 {
        both!(_mm256_andnot_ps, self.splat(-0.0), a)
    }
    #[inline(always)]
    fn neg(self, a: F32) -> F32 {
        both!(_mm256_xor_ps, self.splat(-0.0), a)
    }
    #[inline(always)]
    fn copysign(self, a: F32, sign: F32) -> F32 {
        let bit = self.splat(-0.0);
        both!(_mm256_or_ps, both!(_mm256_andnot_ps, bit, a), both!(_mm256_and_ps, bit, sign))
    }
    #[inline(always)]
    fn round(self, a: F32) -> F32 {
        both!(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>, a)
    }
    #[inline(always)]
    fn scale_by_power_of_two(self, a: F32, n: F32) -> F32 {
        // Two factors, each a normal number; the first product is exact, so that only the second rounds.
        let n = both!(_mm256_cvtps_epi32, n);
        let half = self.sar_i32::<1>(n);
        self.mul(self.mul(a, power_of_two(half)), power_of_two(self.sub_i32(n, half)))
    }

    #[inline(always)]
    fn lt(self, a: F32, b: F32) -> F32 {
        both!(_mm256_cmp_ps::<_CMP_LT_OQ>, a, b)
    }
    #[inline(always)]
    fn le(self, a: F32, b: F32) -> F32 {
        both!(_mm256_cmp_ps::<_CMP_LE_OQ>, a, b)
    }
    #[inline(always)]
    fn eq(self, a: F32, b: F32) -> F32 {
        both!(_mm256_cmp_ps::<_CMP_EQ_OQ>, a, b)
    }
    #[inline(always)]
    fn is_nan(self, a: F32) -> F32 {
        both!(_mm256_cmp_ps::<_CMP_UNORD_Q>, a, a)
    }
    #[inline(always)]
    fn mask_and(self, a: F32, b: F32) -> F32 {
        both!(_mm256_and_ps, a, b)
    }
    #[inline(always)]
    fn mask_or(self, a: F32, b: F32) -> F32 {
        both!(_mm256_or_ps, a, b)
    }
    #[inline(always)]
    fn mask_and_not(self, a: F32, b: F32) -> F32 {
        both!(_mm256_andnot_ps, b, a)
    }
    #[inline(always)]
    fn mask_bits(self, a: F32) -> u16 {
        intrinsics!(_mm256_movemask_ps(a.0) as u16 | (_mm256_movemask_ps(a.1) as u16) << 8)
    }
    #[inline(always)]
    fn first_lanes(self, count: usize) -> F32 {
        let lane = lane_numbers();
        let count = self.splat_i32(count.min(LANES) as i32);
        let within = both!(_mm256_cmpgt_epi32, count, lane);
        self.from_bits(within)
    }
    #[inline(always)]
    fn select(self, mask: F32, a: F32, b: F32) -> F32 {
        both!(_mm256_blendv_ps, b, a, mask)
    }

    #[inline(always)]
    fn splat_i32(self, value: i32) -> I32 {
        intrinsics!(Pair(_mm256_set1_epi32(value), _mm256_set1_epi32(value)))
    }
    #[inline(always)]
    fn add_i32(self, a: I32, b: I32) -> I32 {
        both!(_mm256_add_epi32, a, b)
    }
    #[inline(always)]
    fn sub_i32(self, a: I32, b: I32) -> I32 {
        both!(_mm256_sub_epi32, a, b)
    }
    #[inline(always)]
    fn and_i32(self, a: I32, b: I32) -> I32 {
        both!(_mm256_and_si256, a, b)
    }
    #[inline(always)]
    fn or_i32(self, a: I32, b: I32) -> I32 {
        both!(_mm256_or_si256, a, b)
    }
    #[inline(always)]
    fn shl_i32<const COUNT: u32>(self, a: I32) -> I32 {
        // The count as a vector of equal lanes compiles to the immediate form.
        both!(_mm256_sllv_epi32, a, self.splat_i32(COUNT as i32))
    }
    #[inline(always)]
    fn sar_i32<const COUNT: u32>(self, a: I32) -> I32 {
        both!(_mm256_srav_epi32, a, self.splat_i32(COUNT as i32))
    }
    #[inline(always)]
    fn to_i32(self, a: F32) -> I32 {
        both!(_mm256_cvttps_epi32, a)
    }
    #[inline(always)]
    fn to_f32(self, a: I32) -> F32 {
        both!(_mm256_cvtepi32_ps, a)
    }
    #[inline(always)]
    fn bits(self, a: F32) -> I32 {
        both!(_mm256_castps_si256, a)
    }
    #[inline(always)]
    fn from_bits(self, a: I32) -> F32 {
        both!(_mm256_castsi256_ps, a)
    }

    #[inline(always)]
    fn sum(self, a: F32) -> f32 {
        intrinsics!(fold!(_mm256_add_ps(a.0, a.1), _mm_add_ps, _mm_add_ss))
    }
    #[inline(always)]
    fn largest(self, a: F32) -> f32 {
        intrinsics!(fold!(_mm256_max_ps(a.0, a.1), _mm_max_ps, _mm_max_ss))
    }
    #[inline(always)]
    fn smallest(self, a: F32) -> f32 {
        intrinsics!(fold!(_mm256_min_ps(a.0, a.1), _mm_min_ps, _mm_min_ss))
    }

    #[inline(always)]
    unsafe fn load_from<T: Element>(self, source: *const T) -> F32 {
        // SAFETY: the caller vouches for 16 readable values; the token, for the features.
        unsafe {
            match Storage::of::<T>() {
                Storage::F32 => {
                    Pair(_mm256_loadu_ps(source.cast()), _mm256_loadu_ps(source.cast::<f32>().add(8)))
                }
                Storage::F16 => Pair(
                    _mm256_cvtph_ps(_mm_loadu_si128(source.cast())),
                    _mm256_cvtph_ps(_mm_loadu_si128(source.cast::<__m128i>().add(1))),
                ),
                Storage::Bf16 => Pair(
                    widen_bf16(_mm_loadu_si128(source.cast())),
                    widen_bf16(_mm_loadu_si128(source.cast::<__m128i>().add(1))),
                ),
                Storage::Other => self.from_array(read_lanes(source, LANES)),
            }
        }
    }
    #[inline(always)]
    unsafe fn load_first_from<T: Element>(self, source: *const T, count: usize) -> F32 {
        let count = count.min(LANES);
        // SAFETY: no more than `count` values are read, for which the caller vouches; the token, for the features.
        unsafe {
            match Storage::of::<T>() {
                Storage::F32 => {
                    let mask = self.bits(self.first_lanes(count));
                    // The address of the upper half may lie past the end of the array, so it is only computed.
                    let upper = source.cast::<f32>().wrapping_add(8);
                    Pair(_mm256_maskload_ps(source.cast(), mask.0), _mm256_maskload_ps(upper, mask.1))
                }
                Storage::F16 | Storage::Bf16 => {
                    let mut bits = [0u16; LANES];
                    std::ptr::copy_nonoverlapping(
                        source.cast::<u8>(),
                        bits.as_mut_ptr().cast::<u8>(),
                        2 * count,
                    );
                    self.load_from(bits.as_ptr().cast::<T>())
                }
                Storage::Other => self.from_array(read_lanes(source, count)),
            }
        }
    }
    #[inline(always)]
    unsafe fn store_to<T: Element>(self, a: F32, target: *mut T) {
        // SAFETY: the caller vouches for 16 writable values; the token, for the features.
        unsafe {
            match Storage::of::<T>() {
                Storage::F32 => {
                    _mm256_storeu_ps(target.cast(), a.0);
                    _mm256_storeu_ps(target.cast::<f32>().add(8), a.1);
                }
                Storage::F16 => _mm256_storeu_si256(target.cast(), f16_bits(a)),
                Storage::Bf16 => _mm256_storeu_si256(target.cast(), bf16_bits(a)),
                Storage::Other => write_lanes(self.to_array(a), target, LANES),
            }
        }
    }
    #[inline(always)]
    unsafe fn store_first_to<T: Element>(self, a: F32, target: *mut T, count: usize) {
        let count = count.min(LANES);
        // SAFETY: no more than `count` values are written, for which the caller vouches; the token, for the features.
        unsafe {
            match Storage::of::<T>() {
                Storage::F32 => {
                    let mask = self.bits(self.first_lanes(count));
                    let upper = target.cast::<f32>().wrapping_add(8);
                    _mm256_maskstore_ps(target.cast(), mask.0, a.0);
                    _mm256_maskstore_ps(upper, mask.1, a.1);
                }
                Storage::F16 | Storage::Bf16 => {
                    let mut bits = [0u16; LANES];
                    self.store_to(a, bits.as_mut_ptr().cast::<T>());
                    std::ptr::copy_nonoverlapping(bits.as_ptr().cast::<u8>(), target.cast::<u8>(), 2 * count);
                }
                Storage::Other => write_lanes(self.to_array(a), target, count),
            }
        }
    }
}
