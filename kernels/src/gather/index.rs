//! Indices of gather and index_add: their types, and the check that comes before anything is written.

use std::fmt;

/// An integer type that indices are stored in: i32 or i64.
pub trait Index: Copy + Send + Sync + 'static {
    /// The value, exact.
    fn to_i64(self) -> i64;
}

impl Index for i32 {
    #[inline(always)]
    fn to_i64(self) -> i64 {
        i64::from(self)
    }
}

impl Index for i64 {
    #[inline(always)]
    fn to_i64(self) -> i64 {
        self
    }
}

/// An index that does not name a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexOutOfRange {
    /// Where in the index tensor, counted over all of its elements; the first such.
    pub position: usize,
    /// What is there.
    pub index: i64,
    /// How many rows there are: valid indices are `0..limit`.
    pub limit: usize,
}

impl fmt::Display for IndexOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index {} at position {} is outside 0..{}", self.index, self.position, self.limit)
    }
}

impl std::error::Error for IndexOutOfRange {}

/// Finds the first index outside `0..limit`.
pub(crate) fn check_range<I: Index>(index: &[I], limit: usize) -> Result<(), IndexOutOfRange> {
    let outside = |value: &I| !usize::try_from(value.to_i64()).is_ok_and(|value| value < limit);
    match index.iter().position(outside) {
        None => Ok(()),
        Some(position) => Err(IndexOutOfRange { position, index: index[position].to_i64(), limit }),
    }
}
