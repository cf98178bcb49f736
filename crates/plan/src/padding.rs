//! Filling a batch up to its bucket, or to a gear of a compiled model, and cutting the results back.
//!
//! Sequences are added, not tokens to sequences: each is of tokens of the first one, so that whatever values an op takes, it
//! can take these. Packing, or that the graph could be packed, has made sure that no sequence sees another.

use crate::buckets::Bucket;
use crate::{Derived, DerivedInput, MaskInput, Result};
use lockstep_hal::CompiledModel;
use lockstep_hal::graph::{Dim, Graph, HostTensor, TensorType, ValueId};
use lockstep_hal::tensor::{AlignedBytes, Bytes};
use std::collections::BTreeMap;

/// What a graph's batches are filled up by.
#[derive(Clone, Debug)]
pub(crate) struct Padding {
    mask: MaskInput,
    /// Whose gears are filled, in place of buckets.
    compiled: Option<CompiledModel>,
}

/// A batch that fills its bucket.
#[derive(Clone, Debug)]
pub struct PaddedBatch {
    inputs: Vec<(String, HostTensor)>,
    dims: [Dim; 2],
    /// Sequences and positions that were asked for.
    asked: [usize; 2],
}

impl Padding {
    /// To buckets, or to a compiled model's gears, for a graph that is packed with these inputs or could be; `Err` says what
    /// forbids it.
    pub(crate) fn new(
        graph: &Graph,
        mask: &MaskInput,
        derived: &[DerivedInput],
        compiled: Option<&CompiledModel>,
    ) -> std::result::Result<Self, String> {
        // A sequence that fills a bucket may be of one token.
        if let Some(later) = derived.iter().find(|input| matches!(input.kind, Derived::TokenAt(1..))) {
            return Err(format!(
                "`{}` reads a position that a sequence of one token does not have",
                later.name
            ));
        }
        let dims = mask.dims();
        let fits = |id: ValueId| {
            let shape = &graph.value(id).ty.shape;
            let in_place = shape.iter().enumerate().all(|(axis, dim)| {
                dim.symbols().iter().all(|symbol| !mask.extents.contains(symbol))
                    || dims.get(axis).is_some_and(|allowed| allowed == dim)
            });
            // Positions are of the batch's rows, or of one that stands for all.
            let by_position = shape.get(1) == Some(&dims[1]);
            in_place && (!by_position || shape[0] == dims[0] || shape[0] == Dim::from(1))
        };
        let edge = graph.inputs().iter().copied().chain(graph.pinned());
        for id in edge {
            if !fits(id) {
                let value = graph.value(id);
                return Err(format!(
                    "`{}` is {}; batches are filled up along their first two axes",
                    value.name, value.ty
                ));
            }
        }
        Ok(Self { mask: mask.clone(), compiled: compiled.cloned() })
    }

    /// What holds so many sequences, positions and tokens.
    fn bucket(&self, batch: usize, seq: usize, tokens: usize) -> Option<Bucket> {
        let Some(compiled) = &self.compiled else { return Bucket::holding(batch, seq, tokens) };
        let &[filled, seq] = compiled.smallest_holding(&self.mask.name, &[batch, seq])? else { return None };
        // A token for each sequence that nobody asked for.
        Some(Bucket { batch: filled, seq, tokens: tokens + (filled - batch) })
    }

    /// The batch in its bucket: `None` where it fills it already, or where no bucket holds it.
    pub(crate) fn padded(
        &self,
        graph: &Graph,
        inputs: &BTreeMap<&str, &HostTensor>,
    ) -> Result<Option<PaddedBatch>> {
        let mask_name = self.mask.name.as_str();
        let Some(mask) = inputs.get(mask_name) else { return Ok(None) };
        let &[batch, seq] = mask.shape() else { return Ok(None) };
        let counts: Vec<bool> = mask.to_f64().into_iter().map(|value| value != 0.0).collect();
        let tokens = counts.iter().filter(|counts| **counts).count();
        let first = counts.iter().take(seq).position(|counts| *counts);
        let (Some(first), Some(bucket)) = (first, self.bucket(batch, seq, tokens)) else {
            return Ok(None);
        };
        if (bucket.batch, bucket.seq) == (batch, seq) && bucket.tokens == tokens {
            return Ok(None);
        }
        let dims = self.mask.dims();
        let lengths = lengths(&bucket, batch, tokens);
        let fill = Fill { dims: &dims, batch, seq, first, bucket, lengths };
        let mut filled = Vec::new();
        for (&name, tensor) in inputs {
            if let Some(id) = graph.input(name) {
                filled.push((name.to_owned(), fill.tensor(tensor, &graph.value(id).ty, name == mask_name)?));
            }
        }
        Ok(Some(PaddedBatch { inputs: filled, dims, asked: [batch, seq] }))
    }
}

/// How many tokens each added sequence has.
fn lengths(bucket: &Bucket, batch: usize, tokens: usize) -> Vec<usize> {
    let mut left = bucket.tokens - tokens;
    let added = bucket.batch - batch;
    let take = |at: usize| {
        let length = bucket.seq.min(left - (added - 1 - at));
        left -= length;
        length
    };
    (0..added).map(take).collect()
}

/// One batch and its bucket.
struct Fill<'a> {
    dims: &'a [Dim; 2],
    batch: usize,
    seq: usize,
    /// The position of the first row's first token.
    first: usize,
    bucket: Bucket,
    lengths: Vec<usize>,
}

impl Fill<'_> {
    /// An input in the bucket's extents.
    fn tensor(&self, tensor: &HostTensor, ty: &TensorType, is_mask: bool) -> Result<HostTensor> {
        let [by_row, by_position] = self.dims.each_ref().map(|dim| ty.shape.contains(dim));
        if !by_row && !by_position {
            return Ok(tensor.clone());
        }
        // As [rows, positions, rest], of 1 row or 1 position where it has no such axis.
        let (rows, wanted_rows) = if by_row { (self.batch, self.bucket.batch) } else { (1, 1) };
        let (positions, wanted_positions) = if by_position { (self.seq, self.bucket.seq) } else { (1, 1) };
        let element = tensor.bytes().len() / (rows * positions).max(1);
        let mut filled = AlignedBytes::zeroed(wanted_rows * wanted_positions * element);
        let target = filled.as_mut_slice();
        let width = positions * element;
        // A token of the first row stands for every position that is added; the mask keeps as many as a sequence has.
        let from = if by_position { self.first * element } else { 0 };
        let token = &tensor.bytes()[from..from + element];
        for row in 0..wanted_rows {
            let at = row * wanted_positions * element;
            let target = &mut target[at..at + wanted_positions * element];
            let given = if row < rows { width } else { 0 };
            target[..given].copy_from_slice(&tensor.bytes()[row.min(rows - 1) * width..][..given]);
            let kept = match (is_mask, row.checked_sub(rows)) {
                (false, _) => wanted_positions * element,
                (true, None) => given,
                (true, Some(added)) => self.lengths[added] * element,
            };
            target[given..kept]
                .chunks_exact_mut(element.max(1))
                .for_each(|place| place.copy_from_slice(token));
        }
        let shape = in_extents(ty, tensor, self.dims, [self.bucket.batch, self.bucket.seq]);
        Ok(HostTensor::from_bytes(tensor.dtype(), &shape, Bytes::owned(filled))?)
    }
}

/// The shape of a tensor with other extents along the dims of the mask.
fn in_extents(ty: &TensorType, tensor: &HostTensor, dims: &[Dim; 2], extents: [usize; 2]) -> Vec<usize> {
    let extent = |(dim, &given): (&Dim, &usize)| {
        let of_mask = dims.iter().position(|of_mask| of_mask == dim);
        of_mask.map_or(given, |which| extents[which])
    };
    ty.shape.iter().zip(tensor.shape()).map(extent).collect()
}

impl PaddedBatch {
    /// The graph's inputs, by name.
    pub fn inputs(&self) -> BTreeMap<&str, &HostTensor> {
        self.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
    }

    /// The part of a result that was asked for; `declared` is its type in the graph that was given.
    pub(crate) fn cut(&self, result: &HostTensor, declared: &TensorType) -> Result<HostTensor> {
        let shape = in_extents(declared, result, &self.dims, self.asked);
        if shape == result.shape() {
            return Ok(result.clone());
        }
        let size = result.dtype().size();
        let bytes_of = |row: &[usize]| row.iter().product::<usize>() * size;
        // Only the first two extents differ, so that what is kept of a row lies at its beginning.
        let (row, kept) = (bytes_of(&result.shape()[1..]), bytes_of(&shape[1..]));
        let mut cut = AlignedBytes::zeroed(shape[0] * kept);
        for (at, target) in cut.as_mut_slice().chunks_exact_mut(kept.max(1)).enumerate() {
            target.copy_from_slice(&result.bytes()[at * row..][..kept]);
        }
        Ok(HostTensor::from_bytes(result.dtype(), &shape, Bytes::owned(cut))?)
    }
}
