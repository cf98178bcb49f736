//! Buckets: the extents that programs are made for, where a device would rather serve many batches with one program.
//!
//! Extents are rounded up to few sizes and the batch is filled up with sequences that nobody asked for, so that a program
//! that was compiled, and on a GPU captured, serves every batch of about its size. Sizes are so close to each other that
//! what is computed in vain is about an eighth of the tokens at most, from 128 of them on.

/// The most tokens of a bucket; larger batches get a program of their own extents.
const LARGEST_TOKENS: usize = 32 << 10;
/// Positions and tokens are multiples of it: a tile of most kernels, so that fewer would cost the same.
const TILE: usize = 16;

/// Extents of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Sequences, with those that fill it.
    pub(crate) batch: usize,
    /// Positions of a row.
    pub(crate) seq: usize,
    /// Tokens, with those of the sequences that fill it.
    pub(crate) tokens: usize,
}

impl Bucket {
    /// The smallest bucket for so many sequences, positions and tokens; `None` where they are more than any holds.
    ///
    /// A sequence has at least one token and at most `seq`, also one that fills the bucket.
    pub(crate) fn holding(batch: usize, seq: usize, tokens: usize) -> Option<Self> {
        let seq = rounded(seq, TILE, 4)?;
        let exact = Self { batch: sequences(batch)?, seq, tokens: rounded(tokens, TILE, 8)? };
        if exact.batch == batch && exact.tokens == tokens {
            return Some(exact);
        }
        let mut filling = 1;
        loop {
            let padded = rounded(tokens.checked_add(filling)?, TILE, 8)?;
            let fewest = (padded - tokens).div_ceil(seq);
            let padded_batch = sequences(batch.checked_add(fewest)?)?;
            filling = padded_batch - batch;
            if filling <= padded - tokens {
                return Some(Self { batch: padded_batch, seq, tokens: padded });
            }
        }
    }
}

/// So many sequences, or a few more.
fn sequences(batch: usize) -> Option<usize> {
    rounded(batch, 1, 8)
}

/// The next multiple of `tile` that is one of `steps` equal steps between two powers of two.
fn rounded(extent: usize, tile: usize, steps: usize) -> Option<usize> {
    if extent > LARGEST_TOKENS {
        return None;
    }
    let octave = extent.max(1).next_power_of_two() / 2;
    Some(extent.max(1).next_multiple_of((octave / steps).max(tile)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_fits_its_bucket_and_can_fill_it() {
        for batch in (1..40).chain([64, 100, 255, 256]) {
            for seq in [1, 2, 15, 16, 17, 63, 128, 300, 512] {
                for tokens in [batch, batch + 1, (batch + batch * seq) / 2, batch * seq] {
                    if !(batch..=batch * seq).contains(&tokens) {
                        continue;
                    }
                    let Some(bucket) = Bucket::holding(batch, seq, tokens) else {
                        assert!(tokens > LARGEST_TOKENS / 2, "{batch} x {seq}, {tokens} tokens");
                        continue;
                    };
                    let (more, filling) = (bucket.tokens - tokens, bucket.batch - batch);
                    let fits = bucket.seq >= seq && filling <= more && more <= filling * bucket.seq;
                    assert!(fits, "{batch} x {seq}, {tokens} tokens: {bucket:?}");
                }
            }
        }
    }

    #[test]
    fn a_bucket_is_its_own_and_large_ones_waste_less_than_an_eighth() {
        for tokens in 128..20_000 {
            let bucket = Bucket::holding(8, 4096, tokens).unwrap();
            assert_eq!(Bucket::holding(bucket.batch, bucket.seq, bucket.tokens), Some(bucket));
            assert!(bucket.tokens * 8 <= tokens * 9 + 8, "{tokens}: {bucket:?}");
        }
        let exact = Bucket { batch: 32, seq: 128, tokens: 4096 };
        assert_eq!(Bucket::holding(32, 128, 4096), Some(exact), "nothing to fill");
    }

    #[test]
    fn texts_of_every_length_need_few_programs() {
        let programs = (1..=512).map(|tokens| Bucket::holding(1, tokens, tokens).unwrap());
        let mut programs: Vec<_> = programs.map(|bucket| (bucket.batch, bucket.seq, bucket.tokens)).collect();
        programs.sort_unstable();
        programs.dedup();
        assert!(programs.len() <= 64, "{}: {programs:?}", programs.len());
    }

    #[test]
    fn more_tokens_than_a_bucket_holds_have_none() {
        assert_eq!(Bucket::holding(257, 128, 257 * 128), None);
        assert_eq!(Bucket::holding(1, LARGEST_TOKENS + 1, 1), None);
        assert_eq!(Bucket::holding(usize::MAX, 1, usize::MAX), None);
    }
}
