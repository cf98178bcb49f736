//! Transposing a block of queries, so that queries are lanes and softmax needs no sum across them.

use crate::Isa;
use crate::simd::LANES;

/// `to[c * width + r] = from[r * stride + c]` for `rows <= width` and `columns`; lanes without a row become zero.
///
/// `stride` is at least `columns` rounded up to 16, and `from` as long as that takes.
pub(super) fn transpose(
    isa: Isa,
    from: &[f32],
    stride: usize,
    (rows, columns): (usize, usize),
    to: &mut [f32],
    width: usize,
) {
    for first_row in (0..width).step_by(LANES) {
        let count = rows.saturating_sub(first_row).min(LANES);
        for first_column in (0..columns).step_by(LANES) {
            let from = from.get(first_row * stride + first_column..).unwrap_or(&[]);
            let to = &mut to[first_column * width + first_row..];
            let tall = (columns - first_column).min(LANES);
            #[cfg(target_arch = "x86_64")]
            if isa == Isa::Avx512 && count == LANES && tall == LANES {
                assert!(
                    from.len() >= 15 * stride + LANES && to.len() >= 15 * width + LANES,
                    "sixteen whole rows"
                );
                // SAFETY: the processor has AVX-512, as a path of that name says; both blocks were just measured.
                unsafe { avx512::transpose_16x16(from.as_ptr(), stride, to.as_mut_ptr(), width) };
                continue;
            }
            let _ = isa;
            for column in 0..tall {
                let to = &mut to[column * width..][..LANES];
                for (row, to) in to.iter_mut().enumerate() {
                    *to = if row < count { from[row * stride + column] } else { 0.0 };
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    /// # Safety
    /// AVX-512 F; `from` is readable for 16 rows of 16 that are `stride` apart, `to` writable for 16 rows `width` apart.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn transpose_16x16(from: *const f32, stride: usize, to: *mut f32, width: usize) {
        // Neighbouring rows are interleaved twice (rows 4g..4g+4 within each 128-bit quarter), then quarters are gathered.
        let mut pairs = [_mm512_setzero_ps(); 16];
        for i in 0..8 {
            // SAFETY: rows 2i and 2i + 1 are readable.
            let (a, b) = unsafe {
                (_mm512_loadu_ps(from.add(2 * i * stride)), _mm512_loadu_ps(from.add((2 * i + 1) * stride)))
            };
            pairs[2 * i] = _mm512_unpacklo_ps(a, b);
            pairs[2 * i + 1] = _mm512_unpackhi_ps(a, b);
        }
        // fours[4g + c]: column c of each quarter, of rows 4g..4g+4.
        let mut fours = [_mm512_setzero_ps(); 16];
        for g in 0..4 {
            for half in 0..2 {
                let a = _mm512_castps_pd(pairs[4 * g + half]);
                let b = _mm512_castps_pd(pairs[4 * g + 2 + half]);
                fours[4 * g + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
                fours[4 * g + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
            }
        }
        for c in 0..4 {
            let (a, b, d, e) = (fours[c], fours[4 + c], fours[8 + c], fours[12 + c]);
            let low = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0x88>(d, e));
            let high = (_mm512_shuffle_f32x4::<0xdd>(a, b), _mm512_shuffle_f32x4::<0xdd>(d, e));
            let columns = [
                (c, _mm512_shuffle_f32x4::<0x88>(low.0, low.1)),
                (4 + c, _mm512_shuffle_f32x4::<0x88>(high.0, high.1)),
                (8 + c, _mm512_shuffle_f32x4::<0xdd>(low.0, low.1)),
                (12 + c, _mm512_shuffle_f32x4::<0xdd>(high.0, high.1)),
            ];
            for (column, lanes) in columns {
                // SAFETY: 16 rows are writable.
                unsafe { _mm512_storeu_ps(to.add(column * width), lanes) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_goes_to_its_mirror_place_and_missing_rows_are_zero() {
        for isa in Isa::available() {
            for (rows, columns) in
                [(1usize, 1usize), (16, 16), (16, 17), (32, 64), (31, 40), (17, 16), (32, 5)]
            {
                let (stride, width) = (columns.next_multiple_of(16) + 16, 32);
                let from: Vec<f32> = (0..rows * stride).map(|i| i as f32 + 1.0).collect();
                let mut to = vec![f32::NAN; columns * width];
                transpose(isa, &from, stride, (rows, columns), &mut to, width);
                for (i, &value) in to.iter().enumerate() {
                    let (column, row) = (i / width, i % width);
                    let expected = if row < rows { from[row * stride + column] } else { 0.0 };
                    assert_eq!(value, expected, "{isa:?} {rows}x{columns} at ({row}, {column})");
                }
            }
        }
    }
}
