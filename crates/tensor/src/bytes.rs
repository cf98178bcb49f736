//! Where a tensor's bytes live: owned and aligned, or inside a memory-mapped file.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The alignment of owned tensors: a cache line, and a whole AVX-512 register.
const ALIGNMENT: usize = 64;

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT]);

/// A zero-initialised byte buffer whose start is 64-byte aligned.
#[derive(Clone, Default)]
pub struct AlignedBytes {
    lines: Vec<Line>,
    len: usize,
}

impl AlignedBytes {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        let lines = bytemuck::allocation::zeroed_vec(len.div_ceil(ALIGNMENT));
        Self { lines, len }
    }

    /// `len` zero bytes, or `None` where that much memory is not to be had.
    pub fn try_zeroed(len: usize) -> Option<Self> {
        let lines = bytemuck::allocation::try_zeroed_slice_box(len.div_ceil(ALIGNMENT)).ok()?.into_vec();
        Some(Self { lines, len })
    }

    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.as_mut_slice().copy_from_slice(bytes);
        copy
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }

    /// The bytes, to write.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

impl fmt::Debug for AlignedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBytes({})", self.len)
    }
}

#[derive(Clone, Debug)]
enum Owner {
    Memory(Arc<AlignedBytes>),
    File(Arc<memmap2::Mmap>),
}

/// Immutable bytes, cheap to clone.
#[derive(Clone, Debug)]
pub struct Bytes {
    owner: Owner,
    range: Range<usize>,
}

impl Bytes {
    /// All of an owned buffer.
    pub fn owned(bytes: AlignedBytes) -> Self {
        let range = 0..bytes.len;
        Self { owner: Owner::Memory(Arc::new(bytes)), range }
    }

    /// A part of a mapped file; `None` if the file is shorter.
    pub(crate) fn mapped(file: Arc<memmap2::Mmap>, range: Range<usize>) -> Option<Self> {
        file.get(range.clone())?;
        Some(Self { owner: Owner::File(file), range })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        let all = match &self.owner {
            Owner::Memory(bytes) => bytes.as_slice(),
            Owner::File(file) => file,
        };
        &all[self.range.clone()]
    }
}
