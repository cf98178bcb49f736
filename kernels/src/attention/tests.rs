use half::{bf16, f16};

use super::*;
use crate::matmul::tests::{Random, Threads, bits, unit};

fn run<T: Element>(
    isa: Isa,
    threads: usize,
    inputs: &AttentionInputs<'_, T>,
    rows: usize,
    longest: usize,
) -> Vec<T> {
    let mut out = vec![T::from_f32(f32::NAN); rows * inputs.heads * inputs.head_size];
    let mut scratch = vec![f32::NAN; attention_scratch(isa, inputs.head_size, longest, threads)];
    attention(isa, &Threads(threads), inputs, &mut out, &mut scratch);
    out
}

/// One `[rows, 3 * hidden + spare]` matrix and the three parts of it.
fn merged<T>(data: &[T], hidden: usize, spare: usize) -> [Rows<'_, T>; 3] {
    [0, 1, 2].map(|part| Rows { data, stride: 3 * hidden + spare, offset: part * hidden })
}

/// One output element in f64, with the bound of what f32 may be off: errors of scores go through exp, and the weights are
/// a convex combination.
fn exact<T: Element>(
    inputs: &AttentionInputs<'_, T>,
    query: usize,
    keys: &[usize],
    head: usize,
) -> Vec<(f64, f64)> {
    let size = inputs.head_size;
    let at = |rows: &Rows<'_, T>, row: usize, column: usize| {
        f64::from(rows.data[row * rows.stride + rows.offset + head * size + column].to_f32())
    };
    let scale = f64::from(inputs.scale);
    let mut scores = Vec::new();
    let mut worst = 0f64;
    for &key in keys {
        let terms = (0..size).map(|c| at(&inputs.q, query, c) * at(&inputs.k, key, c) * scale);
        let (sum, total) = terms.fold((0.0, 0.0), |(sum, total), term| (sum + term, total + term.abs()));
        worst = worst.max(total);
        scores.push(sum);
    }
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let terms: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = terms.iter().sum();
    let u = f64::from(f32::EPSILON) / 2.0;
    // Scores off by (size + 2) u worst, twice (the largest too); exp, sums over the keys, and the product with values.
    let relative = 2.0 * (size as f64 + 2.0) * u * worst + (2.0 * keys.len() as f64 + 12.0) * u;
    (0..size)
        .map(|c| {
            let values = keys.iter().zip(&terms).map(|(&key, term)| (term / sum) * at(&inputs.v, key, c));
            let (value, total) =
                values.fold((0.0, 0.0), |(value, total), term| (value + term, total + term.abs()));
            (value, 2.0 * relative * total)
        })
        .collect()
}

fn check<T: Element>(isa: Isa, threads: usize, inputs: &AttentionInputs<'_, T>, longest: usize, about: &str) {
    let spans = Spans::new(inputs.sequences);
    let out = run(isa, threads, inputs, spans.rows().0, longest);
    let (u, tiny) = unit::<T>();
    for sequence in 0..spans.len() {
        let span = spans.get(sequence);
        let first = span.keys.start;
        let keys: Vec<usize> =
            span.keys.clone().filter(|key| span.mask.is_none_or(|mask| mask[key - first] != 0)).collect();
        for query in span.queries.clone() {
            for head in 0..inputs.heads {
                for (c, (value, bound)) in exact(inputs, query, &keys, head).into_iter().enumerate() {
                    let got = f64::from(out[(query * inputs.heads + head) * inputs.head_size + c].to_f32());
                    let value = if keys.is_empty() { 0.0 } else { value };
                    let bound = bound + u * (value.abs() + bound) + tiny;
                    assert!(
                        (got - value).abs() <= bound,
                        "{} x{threads} {about}, query {query}, head {head}, {c}: {got}, exactly {value}, bound {bound:e}",
                        isa.name()
                    );
                }
            }
        }
    }
}

#[test]
fn packed_sequences_of_every_length_around_the_tiles_are_within_the_bound() {
    let lengths = [0, 1, 2, 15, 16, 17, 31, 32, 33, 0, 64, 70, 11];
    let offsets: Vec<i64> = std::iter::once(0)
        .chain(lengths.iter().scan(0, |at, n| {
            *at += n;
            Some(*at)
        }))
        .collect();
    let rows = lengths.iter().sum::<i64>() as usize;
    for isa in Isa::available() {
        for (heads, head_size) in [(2, 64), (1, 1), (3, 17), (2, 40), (1, 80), (1, 300)] {
            let hidden = heads * head_size;
            let data = Random(hidden as u64).values::<f32>(rows * (3 * hidden + 5));
            let [q, k, v] = merged(&data, hidden, 5);
            let sequences = Sequences::Offsets(&offsets);
            let inputs = AttentionInputs { heads, head_size, scale: 0.3, q, k, v, sequences };
            check(isa, 2, &inputs, 70, &format!("{heads} heads of {head_size}"));
        }
    }
}

#[test]
fn long_sequences_cross_the_blocks_of_keys() {
    for isa in Isa::available() {
        let (heads, head_size, rows) = (1, 24, 530);
        let data = Random(1).values::<f32>(rows * 3 * head_size);
        let [q, k, v] = merged(&data, head_size, 0);
        let inputs = AttentionInputs {
            heads,
            head_size,
            scale: 0.2,
            q,
            k,
            v,
            sequences: Sequences::Offsets(&[0, 530]),
        };
        check(isa, 3, &inputs, rows, "530 keys");
    }
}

#[test]
fn dense_batches_may_have_other_keys_than_queries_and_any_mask() {
    for isa in Isa::available() {
        let (heads, head_size, batch, query_len, key_len) = (2, 32, 4, 19, 37);
        let hidden = heads * head_size;
        let mut random = Random(2);
        let queries = random.values::<f32>(batch * query_len * hidden);
        let keys = random.values::<f32>(batch * key_len * 2 * hidden);
        let mut mask: Vec<u8> = (0..batch * key_len).map(|_| u8::from(random.value() > -0.3) * 3).collect();
        mask[2 * key_len..3 * key_len].fill(0);
        let inputs = AttentionInputs {
            heads,
            head_size,
            scale: 0.2,
            q: Rows { data: &queries, stride: hidden, offset: 0 },
            k: Rows { data: &keys, stride: 2 * hidden, offset: 0 },
            v: Rows { data: &keys, stride: 2 * hidden, offset: hidden },
            sequences: Sequences::Dense { batch, query_len, key_len, key_mask: Some(&mask) },
        };
        check(isa, 2, &inputs, key_len, "masked");
        let out = run(isa, 2, &inputs, batch * query_len, key_len);
        let masked = &out[2 * query_len * hidden..3 * query_len * hidden];
        assert!(masked.iter().all(|value| value.to_bits() == 0), "a wholly masked sequence gives zeros");
        let sequences = Sequences::Dense { batch, query_len, key_len, key_mask: None };
        check(isa, 2, &AttentionInputs { sequences, ..inputs }, key_len, "without a mask");
    }
}

#[test]
fn half_width_values_are_rounded_once() {
    for isa in Isa::available() {
        let offsets = [0, 20, 53];
        let data = Random(3).values::<f16>(53 * 3 * 80);
        let [q, k, v] = merged(&data, 80, 0);
        let sequences = Sequences::Offsets(&offsets);
        check(
            isa,
            2,
            &AttentionInputs { heads: 2, head_size: 40, scale: 0.2, q, k, v, sequences },
            33,
            "f16",
        );
        let data = Random(4).values::<bf16>(53 * 3 * 80);
        let [q, k, v] = merged(&data, 80, 0);
        check(
            isa,
            2,
            &AttentionInputs { heads: 2, head_size: 40, scale: 0.2, q, k, v, sequences },
            33,
            "bf16",
        );
    }
}

/// Sequences of these lengths, packed, and the same padded to the longest with NaN where nothing may be read.
#[test]
fn padding_neighbours_and_threads_change_no_bit() {
    let (heads, head_size) = (2, 64);
    let hidden = heads * head_size;
    let lengths = [7usize, 300, 33, 64, 1];
    let longest = 300;
    let rows: usize = lengths.iter().sum();
    let packed = Random(5).values::<f32>(rows * 3 * hidden);
    let offsets: Vec<i64> = std::iter::once(0)
        .chain(lengths.iter().scan(0, |at, &n| {
            *at += n as i64;
            Some(*at)
        }))
        .collect();
    let mut padded = vec![0.25f32; lengths.len() * longest * 3 * hidden];
    let mut mask = vec![0u8; lengths.len() * longest];
    for (s, &length) in lengths.iter().enumerate() {
        let from = &packed[offsets[s] as usize * 3 * hidden..][..length * 3 * hidden];
        padded[s * longest * 3 * hidden..][..from.len()].copy_from_slice(from);
        mask[s * longest..][..length].fill(1);
        // What the mask drops may hold anything.
        padded[(s * longest + length) * 3 * hidden..(s + 1) * longest * 3 * hidden].fill(f32::NAN);
    }
    for isa in Isa::available() {
        let [q, k, v] = merged(&packed, hidden, 0);
        let sequences = Sequences::Offsets(&offsets);
        let inputs = AttentionInputs { heads, head_size, scale: 0.125, q, k, v, sequences };
        let whole = bits(&run(isa, 1, &inputs, rows, longest));
        for threads in [2, 3] {
            assert_eq!(bits(&run(isa, threads, &inputs, rows, longest)), whole, "{} x{threads}", isa.name());
        }
        let [q, k, v] = merged(&padded, hidden, 0);
        let (batch, key_mask) = (lengths.len(), Some(&mask[..]));
        let sequences = Sequences::Dense { batch, query_len: longest, key_len: longest, key_mask };
        let inputs = AttentionInputs { q, k, v, sequences, ..inputs };
        let out = bits(&run(isa, 2, &inputs, lengths.len() * longest, longest));
        for (s, &length) in lengths.iter().enumerate() {
            let alone = [0, length as i64];
            let part = &packed[offsets[s] as usize * 3 * hidden..];
            let [q, k, v] = merged(part, hidden, 0);
            let inputs = AttentionInputs { q, k, v, sequences: Sequences::Offsets(&alone), ..inputs };
            let alone = bits(&run(isa, 1, &inputs, length, length));
            let first = offsets[s] as usize * hidden;
            assert_eq!(alone, whole[first..first + length * hidden], "{} sequence {s} alone", isa.name());
            let first = s * longest * hidden;
            assert_eq!(alone, out[first..first + length * hidden], "{} sequence {s} padded", isa.name());
        }
    }
}

#[test]
fn paths_with_fused_multiply_add_agree_to_the_bit() {
    let fused: Vec<_> = Isa::available().into_iter().filter(|&isa| isa != Isa::Portable).collect();
    let data = Random(6).values::<f32>(400 * 3 * 64);
    let [q, k, v] = merged(&data, 64, 0);
    let sequences = Sequences::Offsets(&[0, 70, 400]);
    let inputs = AttentionInputs { heads: 1, head_size: 64, scale: 0.125, q, k, v, sequences };
    for pair in fused.windows(2) {
        assert_eq!(bits(&run(pair[0], 1, &inputs, 400, 330)), bits(&run(pair[1], 1, &inputs, 400, 330)));
    }
}

#[test]
fn nan_in_a_query_stays_in_its_row_and_head() {
    for isa in Isa::available() {
        let (heads, head_size, rows) = (2, 20, 40);
        let hidden = heads * head_size;
        let mut data = Random(7).values::<f32>(rows * 3 * hidden);
        let sequences = Sequences::Offsets(&[0, 40]);
        let clean = {
            let [q, k, v] = merged(&data, hidden, 0);
            bits(&run(
                isa,
                1,
                &AttentionInputs { heads, head_size, scale: 0.2, q, k, v, sequences },
                rows,
                rows,
            ))
        };
        data[9 * 3 * hidden + 25] = f32::NAN;
        let [q, k, v] = merged(&data, hidden, 0);
        let out =
            run(isa, 1, &AttentionInputs { heads, head_size, scale: 0.2, q, k, v, sequences }, rows, rows);
        for (at, value) in out.iter().enumerate() {
            let in_row = at / hidden == 9 && at % hidden / head_size == 1;
            assert_eq!(value.is_nan(), in_row, "at {at}");
            assert!(in_row || value.to_bits() == clean[at], "at {at}");
        }
    }
}

#[test]
fn no_sequences_and_empty_sequences_do_nothing() {
    for isa in Isa::available() {
        for offsets in [&[][..], &[0], &[0, 0, 0]] {
            let rows = || Rows { data: &[0f32; 0][..], stride: 8, offset: 0 };
            let (q, k, v, sequences) = (rows(), rows(), rows(), Sequences::Offsets(offsets));
            let inputs = AttentionInputs { heads: 2, head_size: 4, scale: 1.0, q, k, v, sequences };
            assert!(run(isa, 2, &inputs, 0, 0).is_empty());
        }
    }
}
