//! Which rows a sequence has, and how all sequences, heads and blocks of queries are numbered as items of work.

use std::ops::Range;

use super::Sequences;

/// The rows of each sequence, however they were given.
#[derive(Clone, Copy)]
pub(super) struct Spans<'a>(Sequences<'a>);

/// The rows of one sequence.
#[derive(Clone)]
pub(super) struct Span<'a> {
    pub(super) queries: Range<usize>,
    pub(super) keys: Range<usize>,
    /// One per key.
    pub(super) mask: Option<&'a [u8]>,
}

impl<'a> Spans<'a> {
    /// # Panics
    /// If offsets do not ascend from 0, or a mask is not `[batch, key_len]`.
    pub(super) fn new(sequences: Sequences<'a>) -> Self {
        match sequences {
            Sequences::Offsets(offsets) => {
                assert!(offsets.first().is_none_or(|&first| first == 0), "offsets start at 0");
                assert!(offsets.is_sorted(), "offsets ascend");
            }
            Sequences::Dense { batch, key_len, key_mask, .. } => {
                let fits = key_mask.is_none_or(|mask| mask.len() == batch * key_len);
                assert!(fits, "key_mask is [batch, key_len] = [{batch}, {key_len}]");
            }
        }
        Self(sequences)
    }

    pub(super) fn len(&self) -> usize {
        match self.0 {
            Sequences::Offsets(offsets) => offsets.len().saturating_sub(1),
            Sequences::Dense { batch, .. } => batch,
        }
    }

    /// Query rows and key rows of all sequences.
    pub(super) fn rows(&self) -> (usize, usize) {
        match self.0 {
            // Not negative: they ascend from 0.
            Sequences::Offsets(offsets) => {
                offsets.last().map_or((0, 0), |&last| (last as usize, last as usize))
            }
            Sequences::Dense { batch, query_len, key_len, .. } => (batch * query_len, batch * key_len),
        }
    }

    pub(super) fn get(&self, index: usize) -> Span<'a> {
        match self.0 {
            Sequences::Offsets(offsets) => {
                let rows = offsets[index] as usize..offsets[index + 1] as usize;
                Span { queries: rows.clone(), keys: rows, mask: None }
            }
            Sequences::Dense { query_len, key_len, key_mask, .. } => {
                let keys = index * key_len..(index + 1) * key_len;
                let mask = key_mask.map(|mask| &mask[keys.clone()]);
                Span { queries: index * query_len..(index + 1) * query_len, keys, mask }
            }
        }
    }
}

/// All work of a call, cut into items: a block of queries of one head of one sequence. Blocks of a head are neighbours, and
/// so are heads of a sequence; blocks count from the sequence's start.
pub(super) struct Cut<'a> {
    spans: Spans<'a>,
    heads: usize,
    block: usize,
    /// How many items there are.
    pub(super) items: usize,
    /// The most keys of a sequence.
    pub(super) longest: usize,
}

impl<'a> Cut<'a> {
    pub(super) fn new(spans: &Spans<'a>, heads: usize, block: usize) -> Self {
        let mut cut = Self { spans: *spans, heads, block, items: 0, longest: 0 };
        for index in 0..spans.len() {
            let span = spans.get(index);
            cut.items += cut.items_of(&span);
            cut.longest = cut.longest.max(span.keys.len());
        }
        cut
    }

    fn items_of(&self, span: &Span<'_>) -> usize {
        self.heads * span.queries.len().div_ceil(self.block)
    }

    pub(super) fn cursor(&self) -> Cursor<'_, 'a> {
        Cursor { cut: self, sequence: 0, first: 0 }
    }
}

/// Finds items, cheaply if they are asked for in ascending order.
pub(super) struct Cursor<'c, 'a> {
    cut: &'c Cut<'a>,
    sequence: usize,
    /// The first item of `sequence`.
    first: usize,
}

/// What an item is.
pub(super) struct Place<'a> {
    pub(super) sequence: usize,
    pub(super) span: Span<'a>,
    pub(super) head: usize,
    /// Rows of q and out.
    pub(super) queries: Range<usize>,
}

impl<'a> Cursor<'_, 'a> {
    /// The item of this number, which must be below the cut's `items`.
    pub(super) fn at(&mut self, item: usize) -> Place<'a> {
        if item < self.first {
            (self.sequence, self.first) = (0, 0);
        }
        loop {
            let span = self.cut.spans.get(self.sequence);
            let items = self.cut.items_of(&span);
            if item - self.first < items {
                let blocks = items / self.cut.heads;
                let (head, block) = ((item - self.first) / blocks, (item - self.first) % blocks);
                let start = span.queries.start + block.saturating_mul(self.cut.block);
                let queries = start..span.queries.end.min(start.saturating_add(self.cut.block));
                return Place { sequence: self.sequence, span, head, queries };
            }
            self.first += items;
            self.sequence += 1;
        }
    }
}
