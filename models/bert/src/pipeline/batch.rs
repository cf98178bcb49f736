//! Encodings of unequal length as the graph's three inputs.

use crate::error::Result;
use crate::tokenizer::Encoding;
use lockstep_graph::HostTensor;

/// `input_ids`, `token_type_ids` and `attention_mask`, each i64 `[batch, longest]`, padded at the end.
#[derive(Debug)]
pub(super) struct PaddedBatch {
    input_ids: HostTensor,
    token_type_ids: HostTensor,
    attention_mask: HostTensor,
}

impl PaddedBatch {
    /// Pads with `padding_id`, segment 0 and mask 0.
    ///
    /// # Errors
    /// A batch beyond this machine's address space.
    pub(super) fn new(encodings: &[&Encoding], padding_id: u32) -> Result<Self> {
        let longest = encodings.iter().map(|encoding| encoding.len()).max().unwrap_or(0);
        let padded = |padding: i64, values: &dyn Fn(&Encoding) -> Vec<i64>| {
            let mut all = Vec::with_capacity(encodings.len() * longest);
            for (row, encoding) in encodings.iter().enumerate() {
                all.extend(values(encoding));
                all.resize((row + 1) * longest, padding);
            }
            HostTensor::from_slice(&[encodings.len(), longest], &all)
        };
        let wide = |values: &[u32]| values.iter().map(|&value| i64::from(value)).collect();
        Ok(Self {
            input_ids: padded(i64::from(padding_id), &|encoding| wide(&encoding.ids))?,
            token_type_ids: padded(0, &|encoding| wide(&encoding.type_ids))?,
            attention_mask: padded(0, &|encoding| vec![1; encoding.len()])?,
        })
    }

    /// The inputs by name.
    pub(super) fn inputs(&self) -> [(&'static str, &HostTensor); 3] {
        [
            ("input_ids", &self.input_ids),
            ("token_type_ids", &self.token_type_ids),
            ("attention_mask", &self.attention_mask),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(ids: &[u32], type_ids: &[u32]) -> Encoding {
        Encoding {
            ids: ids.to_vec(),
            type_ids: type_ids.to_vec(),
            offsets: vec![(0, 0); ids.len()],
            word_ids: vec![None; ids.len()],
            sequence_ids: vec![None; ids.len()],
            special_mask: vec![false; ids.len()],
            truncated: None,
        }
    }

    #[test]
    fn shorter_texts_are_padded_at_the_end_and_masked() {
        let (short, long) = (encoding(&[2, 3], &[0, 1]), encoding(&[2, 9, 8, 3], &[0, 0, 1, 1]));
        let batch = PaddedBatch::new(&[&short, &long], 7).unwrap();
        let values = batch.inputs().map(|(name, tensor)| {
            assert_eq!(tensor.shape(), [2, 4], "{name}");
            tensor.as_slice::<i64>().unwrap().to_vec()
        });
        assert_eq!(values[0], [2, 3, 7, 7, 2, 9, 8, 3]);
        assert_eq!(values[1], [0, 1, 0, 0, 0, 0, 1, 1]);
        assert_eq!(values[2], [1, 1, 0, 0, 1, 1, 1, 1]);
    }
}
