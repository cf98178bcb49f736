use half::{bf16, f16};

use super::{InvalidOffsets, Pooling, pool_packed, pool_padded};
use crate::testing::{Format, Random, Threads, U, assert_within, patterns};
use crate::{Isa, Serial};

/// Sequences of these lengths, packed.
fn offsets(lengths: &[usize]) -> Vec<i64> {
    let mut offsets = vec![0];
    for &length in lengths {
        offsets.push(offsets[offsets.len() - 1] + length as i64);
    }
    offsets
}

/// The same sequences padded on the right with values that would show.
fn padded<T: Format>(
    x: &[T],
    lengths: &[usize],
    length: usize,
    width: usize,
    padding: f32,
) -> (Vec<T>, Vec<u8>) {
    let mut out = vec![T::from_f32(padding); lengths.len() * length * width];
    let mut mask = vec![0; lengths.len() * length];
    let mut from = 0;
    for (sequence, &count) in lengths.iter().enumerate() {
        let to = sequence * length * width;
        out[to..to + count * width].copy_from_slice(&x[from..from + count * width]);
        mask[sequence * length..sequence * length + count].fill(1);
        from += count * width;
    }
    (out, mask)
}

fn holds_on<T: Format>(width: usize) {
    let lengths = [5, 1, 0, 33, 2];
    let tokens: usize = lengths.iter().sum();
    let x: Vec<T> = Random(width as u64).values(tokens * width, 0.3, 1.0);
    let offsets = offsets(&lengths);
    for isa in Isa::available() {
        let mut mean = vec![T::default(); lengths.len() * width];
        pool_packed(isa, &Serial, Pooling::Mean, width, &x, &offsets, &mut mean).expect("valid");
        let mut max = mean.clone();
        pool_packed(isa, &Serial, Pooling::Max, width, &x, &offsets, &mut max).expect("valid");
        for (sequence, &count) in lengths.iter().enumerate() {
            for column in 0..width {
                let first = offsets[sequence] as usize;
                let values = || (first..first + count).map(|token| x[token * width + column].value());
                let largest = values().fold(f64::NEG_INFINITY, f64::max);
                assert_eq!(max[sequence * width + column].value(), largest, "{isa:?} {width}");
                let divisor = count.max(1) as f64;
                let bound = (divisor + 1.0) * U * values().map(f64::abs).sum::<f64>() / divisor;
                let truth = values().sum::<f64>() / divisor;
                assert_within(mean[sequence * width + column], truth, bound, &|| {
                    format!("{isa:?} width {width} sequence {sequence} column {column}")
                });
            }
        }
        // Packed or padded, and whatever the padding holds: the same bits.
        for length in [33, 40] {
            for padding in [0.0, 1e4, f32::NAN] {
                let (x, mask) = padded(&x, &lengths, length, width, padding);
                for (pooling, expected) in [(Pooling::Mean, &mean), (Pooling::Max, &max)] {
                    let mut out = vec![T::default(); expected.len()];
                    pool_padded(isa, &Serial, pooling, length, width, &x, &mask, &mut out);
                    assert_eq!(patterns(&out), patterns(expected), "{isa:?} {pooling:?} {length} {padding}");
                }
            }
        }
    }
}

#[test]
fn packed_and_padded_match_f64_and_each_other() {
    for width in [1, 15, 16, 17, 64, 65, 130] {
        holds_on::<f32>(width);
        holds_on::<f16>(width);
        holds_on::<bf16>(width);
    }
}

#[test]
fn masked_out_tokens_in_the_middle_are_left_out() {
    let x = [1.0f32, 100.0, 3.0, 5.0];
    let mut out = [0.0];
    pool_padded(Isa::detect(), &Serial, Pooling::Mean, 4, 1, &x, &[1, 0, 1, 1], &mut out);
    assert_eq!(out, [3.0]);
    pool_padded(Isa::detect(), &Serial, Pooling::Max, 4, 1, &x, &[1, 0, 1, 0], &mut out);
    assert_eq!(out, [3.0]);
}

#[test]
fn a_nan_spoils_its_own_column_and_sequence_only() {
    for isa in Isa::available() {
        for token in 0..3 {
            let mut x = [1.0f32; 12];
            x[token * 2 + 1] = f32::NAN;
            for pooling in [Pooling::Mean, Pooling::Max] {
                let mut out = [0.0; 4];
                pool_packed(isa, &Serial, pooling, 2, &x, &[0, 3, 6], &mut out).expect("valid");
                assert_eq!(
                    patterns(&out),
                    patterns(&[1.0, f32::NAN, 1.0, 1.0]),
                    "{isa:?} {pooling:?} {token}"
                );
            }
        }
    }
}

#[test]
fn sequences_without_tokens_are_defined() {
    for isa in Isa::available() {
        let mut out = [7.0f32; 3];
        pool_padded(isa, &Serial, Pooling::Mean, 2, 3, &[f32::NAN; 6], &[0, 0], &mut out);
        assert_eq!(out, [0.0; 3]);
        pool_padded(isa, &Serial, Pooling::Max, 2, 3, &[1.0; 6], &[0, 0], &mut out);
        assert_eq!(out, [f32::NEG_INFINITY; 3]);
        pool_padded(isa, &Serial, Pooling::Mean, 0, 3, &[], &[], &mut out);
        assert_eq!(out, [0.0; 3]);
    }
    assert_eq!(pool_packed::<f32>(Isa::detect(), &Serial, Pooling::Mean, 3, &[], &[], &mut []), Ok(()));
    assert_eq!(pool_packed::<f32>(Isa::detect(), &Serial, Pooling::Mean, 0, &[], &[0, 4], &mut []), Ok(()));
}

#[test]
fn bad_offsets_are_named_and_nothing_is_written() {
    let x = [1.0f32; 8];
    let cases: [([i64; 3], usize); 5] =
        [([-1, 2, 4], 0), ([0, 5, 4], 1), ([0, 3, 2], 2), ([0, 2, 5], 2), ([i64::MAX, 0, 0], 0)];
    for (offsets, position) in cases {
        let mut out = [7.0; 4];
        let result = pool_packed(Isa::detect(), &Serial, Pooling::Mean, 2, &x, &offsets, &mut out);
        assert_eq!(
            result,
            Err(InvalidOffsets { position, offset: offsets[position], tokens: 4 }),
            "{offsets:?}"
        );
        assert_eq!(out, [7.0; 4]);
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let lengths: Vec<usize> = (0..40).map(|i| i % 37).collect();
    let tokens: usize = lengths.iter().sum();
    let x: Vec<f32> = Random(5).values(tokens * 130, 0.0, 1.0);
    for isa in Isa::available() {
        let mut serial = vec![0.0; 40 * 130];
        pool_packed(isa, &Serial, Pooling::Mean, 130, &x, &offsets(&lengths), &mut serial).expect("valid");
        let mut out = vec![0.0; 40 * 130];
        pool_packed(isa, &Threads(3), Pooling::Mean, 130, &x, &offsets(&lengths), &mut out).expect("valid");
        assert_eq!(patterns(&out), patterns(&serial));
        let (x, mask) = padded(&x, &lengths, 37, 130, 1.0);
        pool_padded(isa, &Threads(3), Pooling::Mean, 37, 130, &x, &mask, &mut out);
        assert_eq!(patterns(&out), patterns(&serial));
    }
}
