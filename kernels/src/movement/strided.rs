//! Walks over dense outputs whose operands are read with strides: broadcasting, permuting and slicing are all that.
//!
//! A walk is made once for given shapes and then used without allocating. Dimensions that every operand passes through
//! evenly are merged, so that the usual cases end as one long run or as rows and a run within each.

use std::fmt;

/// The most dimensions that a walk keeps after merging.
pub const MAX_DIMENSIONS: usize = 8;

/// A shape, permutation or slice that an operation cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// An operand's dimension is neither 1 nor the output's.
    NotBroadcastable {
        /// Which operand, from 0.
        operand: usize,
        /// Which dimension of the output.
        dimension: usize,
        /// The operand's length there.
        length: usize,
        /// The output's length there.
        expected: usize,
    },
    /// An operand has more dimensions than the output.
    TooManyOperandDimensions {
        /// Which operand, from 0.
        operand: usize,
    },
    /// More than [`MAX_DIMENSIONS`] dimensions remain after merging.
    TooManyDimensions,
    /// An axis is listed twice, or is not below the number of dimensions.
    InvalidAxis {
        /// The axis.
        axis: usize,
        /// How many dimensions there are.
        rank: usize,
    },
    /// The lists that describe the dimensions differ in length.
    RankMismatch {
        /// How many entries a list has.
        entries: usize,
        /// How many dimensions there are.
        rank: usize,
    },
    /// A slice reaches beyond its dimension.
    SliceOutOfRange {
        /// Which dimension.
        dimension: usize,
        /// Its length.
        length: usize,
    },
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBroadcastable { operand, dimension, length, expected } => write!(
                f,
                "operand {operand} has length {length} where dimension {dimension} of the output has {expected}; \
                 only 1 or {expected} broadcasts"
            ),
            Self::TooManyOperandDimensions { operand } => {
                write!(f, "operand {operand} has more dimensions than the output")
            }
            Self::TooManyDimensions => {
                write!(f, "more than {MAX_DIMENSIONS} dimensions remain after merging neighbouring ones")
            }
            Self::InvalidAxis { axis, rank } => {
                write!(f, "axis {axis} is listed twice or is not below the rank {rank}")
            }
            Self::RankMismatch { entries, rank } => write!(f, "{entries} entries for {rank} dimensions"),
            Self::SliceOutOfRange { dimension, length } => {
                write!(
                    f,
                    "the slice reaches beyond dimension {dimension} of length {length}, or its step is 0"
                )
            }
        }
    }
}

impl std::error::Error for ShapeError {}

/// One dimension of a walk: its length, and how far each operand moves for one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimension<const N: usize> {
    /// How many steps the walk takes along it.
    pub length: usize,
    /// How many elements each operand moves for one of them.
    pub strides: [usize; N],
}

/// A walk over a dense row-major output, with `N` operands read at strides of their own (in elements).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strided<const N: usize> {
    /// Outermost first; those from `rank` on are unused.
    dimensions: [Dimension<N>; MAX_DIMENSIONS],
    rank: usize,
    start: [usize; N],
    len: usize,
    source_len: [usize; N],
}

impl<const N: usize> Strided<N> {
    /// A walk over `shape` with dense row-major operands of `operands` shapes, aligned at their last dimensions and
    /// repeated where they have length 1 (NumPy's broadcasting).
    ///
    /// # Errors
    /// [`ShapeError`] if an operand does not broadcast to `shape`, or too many dimensions remain.
    pub fn broadcast(shape: &[usize], operands: [&[usize]; N]) -> Result<Self, ShapeError> {
        for (operand, dimensions) in operands.iter().enumerate() {
            let Some(missing) = shape.len().checked_sub(dimensions.len()) else {
                return Err(ShapeError::TooManyOperandDimensions { operand });
            };
            for (index, &length) in dimensions.iter().enumerate() {
                let (dimension, expected) = (missing + index, shape[missing + index]);
                if length != expected && length != 1 {
                    return Err(ShapeError::NotBroadcastable { operand, dimension, length, expected });
                }
            }
        }
        let mut next_stride = [1; N];
        let inner_to_outer = shape.iter().enumerate().rev().map(|(dimension, &length)| {
            let mut strides = [0; N];
            for (operand, dimensions) in operands.iter().enumerate() {
                let missing = shape.len() - dimensions.len();
                if dimension >= missing {
                    let own = dimensions[dimension - missing];
                    strides[operand] = if own == 1 { 0 } else { next_stride[operand] };
                    next_stride[operand] *= own;
                }
            }
            Dimension { length, strides }
        });
        let source_len = operands.map(|dimensions| dimensions.iter().product());
        Self::merged(inner_to_outer, [0; N], source_len)
    }

    /// Merges dimensions given from the innermost outwards.
    fn merged(
        inner_to_outer: impl Iterator<Item = Dimension<N>>,
        start: [usize; N],
        source_len: [usize; N],
    ) -> Result<Self, ShapeError> {
        let mut kept = [Dimension { length: 1, strides: [0; N] }; MAX_DIMENSIONS];
        let mut rank = 0;
        let mut len = 1usize;
        for dimension in inner_to_outer {
            len *= dimension.length;
            if dimension.length == 1 {
                continue;
            }
            if rank > 0 {
                let inner = &mut kept[rank - 1];
                if (0..N).all(|n| dimension.strides[n] == inner.strides[n] * inner.length) {
                    inner.length *= dimension.length;
                    continue;
                }
            }
            if rank == MAX_DIMENSIONS {
                return Err(ShapeError::TooManyDimensions);
            }
            kept[rank] = dimension;
            rank += 1;
        }
        kept[..rank].reverse();
        Ok(Self { dimensions: kept, rank, start, len, source_len })
    }

    /// How many elements the output has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the output has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element that each operand begins with.
    pub fn start(&self) -> [usize; N] {
        self.start
    }

    /// How many elements operand `operand` has.
    pub(crate) fn source_len(&self, operand: usize) -> usize {
        self.source_len[operand]
    }

    /// The merged dimensions, outermost first.
    pub fn dimensions(&self) -> &[Dimension<N>] {
        &self.dimensions[..self.rank]
    }

    /// The innermost dimension; one element where there is none.
    pub(crate) fn inner(&self) -> Dimension<N> {
        self.dimensions().last().copied().unwrap_or(Dimension { length: 1, strides: [0; N] })
    }

    /// Where each operand starts in the row of innermost runs numbered `row`.
    pub(crate) fn row_start(&self, mut row: usize) -> [usize; N] {
        let mut at = self.start;
        for dimension in self.dimensions().iter().rev().skip(1) {
            let index = row % dimension.length;
            row /= dimension.length;
            for (at, stride) in at.iter_mut().zip(dimension.strides) {
                *at += index * stride;
            }
        }
        at
    }

    /// The runs of the innermost dimension that cover elements `from..to` of the output.
    pub(crate) fn runs(&self, from: usize, to: usize) -> Runs<'_, N> {
        Runs { walk: self, inner: self.inner(), at: from, to }
    }
}

impl Strided<1> {
    /// A walk over the dimensions of a dense operand of `shape`, reordered: output dimension `d` is operand dimension
    /// `permutation[d]`.
    ///
    /// # Errors
    /// [`ShapeError`] if `permutation` is not one, or too many dimensions remain.
    pub fn permuted(shape: &[usize], permutation: &[usize]) -> Result<Self, ShapeError> {
        let rank = shape.len();
        if permutation.len() != rank {
            return Err(ShapeError::RankMismatch { entries: permutation.len(), rank });
        }
        for (position, &axis) in permutation.iter().enumerate() {
            if axis >= rank || permutation[..position].contains(&axis) {
                return Err(ShapeError::InvalidAxis { axis, rank });
            }
        }
        let dimensions = permutation
            .iter()
            .rev()
            .map(|&axis| Dimension { length: shape[axis], strides: [shape[axis + 1..].iter().product()] });
        Self::merged(dimensions, [0], [shape.iter().product()])
    }

    /// A walk over a part of a dense operand of `shape`: along dimension `d` the `lengths[d]` indices `starts[d]`,
    /// `starts[d] + steps[d]`, and so on.
    ///
    /// # Errors
    /// [`ShapeError`] if a list's length is not the rank, an index is outside, a step is 0, or too many dimensions
    /// remain.
    pub fn sliced(
        shape: &[usize],
        starts: &[usize],
        steps: &[usize],
        lengths: &[usize],
    ) -> Result<Self, ShapeError> {
        let rank = shape.len();
        for entries in [starts.len(), steps.len(), lengths.len()] {
            if entries != rank {
                return Err(ShapeError::RankMismatch { entries, rank });
            }
        }
        for dimension in 0..rank {
            let (start, step, count) = (starts[dimension], steps[dimension], lengths[dimension]);
            let last = count.saturating_sub(1).checked_mul(step).and_then(|reach| reach.checked_add(start));
            let within = count == 0 || last.is_some_and(|last| last < shape[dimension]);
            if step == 0 || !within {
                return Err(ShapeError::SliceOutOfRange { dimension, length: shape[dimension] });
            }
        }
        let stride = |dimension: usize| shape[dimension + 1..].iter().product::<usize>();
        // With no element to read, a start may lie anywhere.
        let empty = lengths.contains(&0);
        let start =
            if empty { 0 } else { (0..rank).map(|dimension| starts[dimension] * stride(dimension)).sum() };
        let dimensions = (0..rank).rev().map(|dimension| Dimension {
            length: lengths[dimension],
            // A step that is never taken may be as large as it likes.
            strides: [if lengths[dimension] > 1 { steps[dimension] * stride(dimension) } else { 0 }],
        });
        Self::merged(dimensions, [start], [shape.iter().product()])
    }
}

impl Strided<1> {
    /// A walk over some dimensions of a dense operand of `shape`, in their order: those for which `chosen` is true.
    ///
    /// # Errors
    /// [`ShapeError`] if too many dimensions remain.
    pub fn over(shape: &[usize], chosen: impl Fn(usize) -> bool) -> Result<Self, ShapeError> {
        let dimensions = (0..shape.len())
            .rev()
            .filter(|&axis| chosen(axis))
            .map(|axis| Dimension { length: shape[axis], strides: [shape[axis + 1..].iter().product()] });
        Self::merged(dimensions, [0], [shape.iter().product()])
    }
}

/// A stretch of output whose operands move evenly.
pub(crate) struct Run<const N: usize> {
    /// Its first element, counted over the whole output.
    pub(crate) at: usize,
    /// How many elements.
    pub(crate) length: usize,
    /// Where each operand starts.
    pub(crate) starts: [usize; N],
    /// How far each operand moves for one element.
    pub(crate) strides: [usize; N],
}

/// The stretches of a part of a walk.
pub(crate) struct Runs<'a, const N: usize> {
    walk: &'a Strided<N>,
    inner: Dimension<N>,
    at: usize,
    to: usize,
}

impl<const N: usize> Iterator for Runs<'_, N> {
    type Item = Run<N>;

    #[inline]
    fn next(&mut self) -> Option<Run<N>> {
        if self.at >= self.to {
            return None;
        }
        let (row, column) = (self.at / self.inner.length, self.at % self.inner.length);
        let length = (self.inner.length - column).min(self.to - self.at);
        let mut starts = self.walk.row_start(row);
        for (start, stride) in starts.iter_mut().zip(self.inner.strides) {
            *start += column * stride;
        }
        let run = Run { at: self.at, length, starts, strides: self.inner.strides };
        self.at += length;
        Some(run)
    }
}
