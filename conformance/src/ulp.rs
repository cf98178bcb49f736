//! Distances in units in the last place: how many representable numbers lie between two.

use lockstep_runtime::tensor::{DType, HostTensor};
use serde::Serialize;

/// How the distances of a tensor's elements are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UlpPercentiles {
    /// Half of the elements are at most so far.
    pub p50: u64,
    /// 99 of 100 are.
    pub p99: u64,
    /// All are.
    pub max: u64,
}

/// The place of a float among those of its format, in ascending order; both zeros are one.
fn place(bits: u64, width: u32) -> i64 {
    let sign = 1u64 << (width - 1);
    let magnitude = (bits & (sign - 1)) as i64;
    if bits & sign == 0 { magnitude } else { -magnitude }
}

/// The bits of each element, and how many there are of them.
fn float_bits(tensor: &HostTensor) -> Option<(Vec<u64>, u32)> {
    let bytes = tensor.bytes();
    Some(match tensor.dtype() {
        DType::F64 => (
            bytes.chunks_exact(8).map(|b| u64::from_le_bytes(b.try_into().unwrap_or_default())).collect(),
            64,
        ),
        DType::F32 => (
            bytes
                .chunks_exact(4)
                .map(|b| u32::from_le_bytes(b.try_into().unwrap_or_default()).into())
                .collect(),
            32,
        ),
        DType::F16 | DType::Bf16 => (
            bytes
                .chunks_exact(2)
                .map(|b| u16::from_le_bytes(b.try_into().unwrap_or_default()).into())
                .collect(),
            16,
        ),
        _ => return None,
    })
}

/// The distance of each pair of elements; a NaN is as far as can be from a number and 0 from another NaN. `None` for other
/// dtypes than floats, or two that differ in dtype or count.
pub fn ulps(a: &HostTensor, b: &HostTensor) -> Option<Vec<u64>> {
    let ((a_bits, width), (b_bits, other)) = (float_bits(a)?, float_bits(b)?);
    if a.dtype() != b.dtype() || width != other || a_bits.len() != b_bits.len() {
        return None;
    }
    let infinity = match a.dtype() {
        DType::F64 => f64::INFINITY.to_bits(),
        DType::F32 => u64::from(f32::INFINITY.to_bits()),
        DType::F16 => 0x7c00,
        _ => 0x7f80,
    };
    let is_nan = |bits: u64| place(bits, width).unsigned_abs() > infinity;
    let distance = |(&a, &b): (&u64, &u64)| match (is_nan(a), is_nan(b)) {
        (true, true) => 0,
        (false, false) => place(a, width).abs_diff(place(b, width)),
        _ => u64::MAX,
    };
    Some(a_bits.iter().zip(&b_bits).map(distance).collect())
}

/// The percentiles of distances.
pub fn percentiles(mut ulps: Vec<u64>) -> UlpPercentiles {
    if ulps.is_empty() {
        return UlpPercentiles::default();
    }
    ulps.sort_unstable();
    // The smallest distance that so many hundredths of the elements do not exceed.
    let at = |hundredths: usize| ulps[(ulps.len() * hundredths).div_ceil(100) - 1];
    UlpPercentiles { p50: at(50), p99: at(99), max: at(100) }
}

/// How many distances there are of 0, of 1, of 2 and 3, of 4 to 7, and so on by doublings, up to the largest.
pub fn histogram(ulps: &[u64]) -> Vec<usize> {
    let bin = |ulp: u64| (u64::BITS - ulp.leading_zeros()) as usize;
    let mut counts = vec![0; ulps.iter().max().map_or(0, |&largest| bin(largest) + 1)];
    for &ulp in ulps {
        counts[bin(ulp)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f32s(values: &[f32]) -> HostTensor {
        HostTensor::from_slice(&[values.len()], values).unwrap()
    }

    #[test]
    fn neighbours_are_one_apart_also_across_zero() {
        let tiny = f32::from_bits(1);
        let found = ulps(&f32s(&[1.0, tiny, -0.0, 1.0]), &f32s(&[1.0 + f32::EPSILON, -tiny, 0.0, f32::NAN]));
        assert_eq!(found.unwrap(), [1, 2, 0, u64::MAX]);
    }

    #[test]
    fn half_precision_is_counted_in_its_own_units() {
        for dtype in [DType::F16, DType::Bf16] {
            let one = HostTensor::from_f64(dtype, &[1], &[1.0]).unwrap();
            let two = HostTensor::from_f64(dtype, &[1], &[2.0]).unwrap();
            let in_between = if dtype == DType::F16 { 1 << 10 } else { 1 << 7 };
            assert_eq!(ulps(&one, &two).unwrap(), [in_between]);
        }
        assert_eq!(ulps(&f32s(&[1.0]), &HostTensor::zeros(DType::F16, &[1]).unwrap()), None);
    }

    #[test]
    fn histograms_count_by_doublings() {
        assert_eq!(histogram(&[0, 0, 1, 2, 3, 4, 7, 8]), [2, 1, 2, 2, 1]);
        assert_eq!(histogram(&[u64::MAX]).len(), 65);
        assert!(histogram(&[]).is_empty());
    }

    #[test]
    fn percentiles_are_of_the_elements() {
        let found = percentiles((1..=100).rev().collect());
        assert_eq!(found, UlpPercentiles { p50: 50, p99: 99, max: 100 });
        assert_eq!(percentiles(vec![7]), UlpPercentiles { p50: 7, p99: 7, max: 7 });
    }
}
