//! Random batches of tokens, the same in every run.

use crate::failure::{Failure, Outcome};
use lockstep_bert::BertConfig;
use lockstep_runtime::tensor::HostTensor;

/// The model's three inputs, each i64 `[batch, longest]`.
#[derive(Debug)]
pub(crate) struct TokenBatch {
    tensors: [HostTensor; 3],
}

impl TokenBatch {
    /// Sequences of these lengths, of random tokens, padded to the longest.
    ///
    /// # Errors
    /// A batch that memory does not hold.
    pub(crate) fn new(lengths: &[usize], config: &BertConfig, random: &mut SplitMix64) -> Outcome<Self> {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut ids = Vec::with_capacity(lengths.len() * longest);
        let mut mask = Vec::with_capacity(lengths.len() * longest);
        for (row, &length) in lengths.iter().enumerate() {
            ids.extend((0..length).map(|_| random.below(config.vocab_size as u64) as i64));
            ids.resize((row + 1) * longest, 0);
            mask.resize(row * longest + length, 1i64);
            mask.resize((row + 1) * longest, 0);
        }
        let shape = [lengths.len(), longest];
        let tensor =
            |values: &[i64]| HostTensor::from_slice(&shape, values).map_err(|error| Failure::of(&error));
        Ok(Self { tensors: [tensor(&ids)?, tensor(&vec![0; ids.len()])?, tensor(&mask)?] })
    }

    /// The inputs by name.
    pub(crate) fn inputs(&self) -> [(&'static str, &HostTensor); 3] {
        let [ids, types, mask] = &self.tensors;
        [("input_ids", ids), ("token_type_ids", types), ("attention_mask", mask)]
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..bound`; the bias of the remainder is of no account here.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// In `0.0..1.0`.
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A length of `8..=256` with a mean of about 60: most texts are short, a few long.
    pub(crate) fn text_length(&mut self) -> usize {
        let exponential = -52.0 * (1.0 - self.uniform()).ln();
        (8.0 + exponential).min(256.0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_lengths_are_as_the_mixed_benchmark_promises() {
        let mut random = SplitMix64::new(1);
        let lengths: Vec<usize> = (0..256).map(|_| random.text_length()).collect();
        assert!(lengths.iter().all(|length| (8..=256).contains(length)));
        let mean = lengths.iter().sum::<usize>() as f64 / 256.0;
        assert!((55.0..65.0).contains(&mean), "{mean}");
        assert!(lengths.iter().any(|&length| length < 16) && lengths.iter().any(|&length| length > 180));
    }

    #[test]
    fn a_batch_is_padded_and_masked() {
        let config = BertConfig { vocab_size: 10, ..BertConfig::default() };
        let batch = TokenBatch::new(&[2, 3], &config, &mut SplitMix64::new(1)).unwrap();
        let [(_, ids), (_, types), (_, mask)] = batch.inputs();
        assert_eq!(ids.shape(), [2, 3]);
        assert!(ids.as_slice::<i64>().unwrap().iter().all(|id| (0..10).contains(id)));
        assert_eq!(types.as_slice::<i64>().unwrap(), [0; 6]);
        assert_eq!(mask.as_slice::<i64>().unwrap(), [1, 1, 0, 1, 1, 1]);
    }
}
