//! The innermost product: a few rows of `a` times one panel of `b`, the sums held in registers.
//!
//! Everything above (linear, matmul, attention) is a way to feed these tiles. Each element of a tile is one chain of fused
//! multiply-adds over ascending k from a fresh zero, stored or added to what is there; so its bits do not depend on the
//! tile's height, and heights are chosen freely: as equal as they can be, since short tiles wait for their own sums.

use crate::Isa;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// How many steps of k are summed in one chain before the sum is added to the result. Part of the numerics, not only of
/// the speed: products cut k at its multiples, whatever their size. At 256 a block of a 32-column panel takes two thirds
/// of a 48 KiB L1, and no chain is long enough to lose more than a digit.
pub(crate) const BLOCK_K: usize = 256;

/// Columns of a panel: what one step of k multiplies a row's value with.
pub(crate) const fn panel_width(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 => 2 * LANES,
        Isa::Avx2 | Isa::Portable => LANES,
    }
}

/// Rows of the tallest tile: as many as leave registers for a step's columns, and addresses for a step's rows.
pub(crate) const fn tile_rows(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 => 11,
        Isa::Avx2 => 6,
        Isa::Portable => 4,
    }
}

/// How the left operand of a [`BlockProduct`] lies in memory. Distances are constants, so that a tile addresses all its
/// rows from one register; and rows are a cache line further apart than a power of two, so that no two fight for a set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Rows of up to 64 steps, [`Left::stride`] apart.
    ShortRows,
    /// Rows of up to [`BLOCK_K`] steps, [`Left::stride`] apart.
    LongRows,
    /// Steps, each with a row's value after the other, a panel's width apart.
    Steps,
}

const SHORT_ROW: usize = 64;

impl Left {
    /// The layout for packed rows of `steps`.
    pub(crate) const fn rows_of(steps: usize) -> Self {
        if steps <= SHORT_ROW { Left::ShortRows } else { Left::LongRows }
    }

    /// f32 between rows, or between steps for the path `isa`.
    pub(crate) const fn stride(self, isa: Isa) -> usize {
        match self {
            Left::ShortRows => SHORT_ROW + LANES,
            Left::LongRows => BLOCK_K + LANES,
            Left::Steps => panel_width(isa),
        }
    }
}

/// `c = a b` or `c += a b` for any number of rows, at most [`BLOCK_K`] steps and one panel.
pub(crate) struct BlockProduct {
    /// Rows of a and c.
    pub(crate) rows: usize,
    /// Steps of k; 0 gives zeros.
    pub(crate) steps: usize,
    /// The left operand's first element.
    pub(crate) a: *const f32,
    /// Where its others are.
    pub(crate) left: Left,
    /// `[steps, width]`.
    pub(crate) b: *const f32,
    /// `[rows, width]`.
    pub(crate) c: *mut f32,
    /// Whether the product is added to `c` rather than stored.
    pub(crate) accumulate: bool,
    /// What the next product reads, asked for ahead a line at a time, so that it is near when its turn comes.
    pub(crate) ahead: Ahead,
    /// What is wanted later, asked for by the tiles that `ahead` leaves over.
    pub(crate) later: Ahead,
    /// Where these rows of the final result go and what is added to them, if that comes next: asked for row by row.
    pub(crate) touched: Option<Touched>,
}

/// A stretch of memory to ask for; none if `bytes` is 0.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    pub(crate) start: *const u8,
    pub(crate) bytes: usize,
}

impl Ahead {
    pub(crate) const NONE: Self = Self { start: std::ptr::null(), bytes: 0 };

    /// Part `index` of `count` equal ones.
    pub(crate) fn part(self, index: usize, count: usize) -> Self {
        let from = self.bytes * index / count;
        Self { start: self.start.wrapping_add(from), bytes: self.bytes * (index + 1) / count - from }
    }
}

/// Two matrices (or one, twice), of which a row each goes with a row of the product.
#[derive(Clone, Copy)]
pub(crate) struct Touched {
    pub(crate) rows: usize,
    pub(crate) first: *const u8,
    pub(crate) second: *const u8,
    /// Bytes from one row to the next, in both.
    pub(crate) stride: usize,
}

impl BlockProduct {
    /// Computes the product on the path `isa`.
    ///
    /// # Safety
    /// `a` and `b` must be valid for reads, and `c` for reads and writes, of the elements that `rows`, `steps`, `left` and
    /// the width of a panel give; `c` must not overlap the others.
    #[inline(always)]
    pub(crate) unsafe fn run(&self, isa: Isa) {
        match self.left {
            Left::ShortRows => dispatch(isa, Tiles::<SHORT_ROWS> { block: self }),
            Left::LongRows => dispatch(isa, Tiles::<LONG_ROWS> { block: self }),
            Left::Steps => dispatch(isa, Tiles::<STEPS> { block: self }),
        }
    }
}

// `Left` as a constant parameter, which an enum cannot be.
const SHORT_ROWS: usize = Left::ShortRows as usize;
const LONG_ROWS: usize = Left::LongRows as usize;
const STEPS: usize = Left::Steps as usize;

/// f32 from one row to the next, and from one step to the next.
const fn distances(left: usize, isa: Isa) -> (usize, usize) {
    match left {
        SHORT_ROWS => (Left::ShortRows.stride(isa), 1),
        LONG_ROWS => (Left::LongRows.stride(isa), 1),
        _ => (1, Left::Steps.stride(isa)),
    }
}

/// The tiles of a block, for one layout of its left operand. Only built by [`BlockProduct::run`], whose contract it has.
///
/// A reference, for speed: a kernel that is moved is copied in vectors from fields just stored one by one, which waits until
/// every store before has left the store buffer.
struct Tiles<'a, const LEFT: usize> {
    block: &'a BlockProduct,
}

impl<const LEFT: usize> Kernel for Tiles<'_, LEFT> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let block = self.block;
        let (tallest, width) = const { (tile_rows(S::ISA), panel_width(S::ISA)) };
        let (row_distance, _) = const { distances(LEFT, S::ISA) };
        let tiles = block.rows.div_ceil(tallest);
        // As many lines a step as it takes to ask for all of `ahead` here; `later` gets what tiles are left.
        let lines = block.ahead.bytes.div_ceil(64);
        let line_step = 64 * lines.div_ceil((tiles * block.steps).max(1)).max(1);
        let tile_bytes = block.steps * line_step;
        let ahead_tiles = block.ahead.bytes.div_ceil(tile_bytes.max(1));
        let mut row = 0;
        for tile in 0..tiles {
            let rows = (block.rows - row).div_ceil(tiles - tile);
            let (ahead, at) = match tile.checked_sub(ahead_tiles) {
                None => (&block.ahead, tile * tile_bytes),
                Some(left) => (&block.later, left * tile_bytes),
            };
            let call = TileCall {
                steps: block.steps,
                a: block.a.wrapping_add(row * row_distance),
                b: block.b,
                c: block.c.wrapping_add(row * width),
                accumulate: block.accumulate,
                ahead: ahead.start.wrapping_add(at),
                ahead_step: if at < ahead.bytes { line_step } else { 0 },
                touched: block.touched.map(|touched| Touched {
                    rows: touched.rows.saturating_sub(row).min(rows),
                    first: touched.first.wrapping_add(row * touched.stride),
                    second: touched.second.wrapping_add(row * touched.stride),
                    ..touched
                }),
            };
            // SAFETY: `BlockProduct::run` vouches for the operands, and `rows` is 1 to the tallest height.
            unsafe { of_height::<S, LEFT>(simd, rows, &call) };
            row += rows;
        }
    }
}

struct TileCall {
    steps: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    accumulate: bool,
    ahead: *const u8,
    ahead_step: usize,
    touched: Option<Touched>,
}

/// Picks the tile compiled for a number of rows.
///
/// # Safety
/// As [`tile`], for `rows` rows; `rows` is 1 to `tile_rows(S::ISA)`.
#[inline(always)]
unsafe fn of_height<S: Simd, const LEFT: usize>(simd: S, rows: usize, call: &TileCall) {
    macro_rules! tile_of {
        ($columns:literal, [$($r:literal)*]) => {
            match rows {
                // SAFETY: the caller vouches for `rows` rows.
                $($r => unsafe { tile::<S, $r, $columns, LEFT>(simd, call) },)*
                _ => unreachable!("a tile has at most tile_rows rows"),
            }
        };
    }
    match S::ISA {
        Isa::Avx512 => tile_of!(2, [1 2 3 4 5 6 7 8 9 10 11]),
        Isa::Avx2 => tile_of!(1, [1 2 3 4 5 6]),
        Isa::Portable => tile_of!(1, [1 2 3 4]),
    }
}

/// `ROWS` rows by `VECTORS` vectors of columns.
///
/// # Safety
/// `call` must cover that many rows and columns, and its steps.
#[inline(always)]
unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize, const LEFT: usize>(
    simd: S,
    call: &TileCall,
) {
    const UNROLL: usize = 4;
    let (_, step_distance) = const { distances(LEFT, S::ISA) };
    let mut sums = [[simd.zero(); VECTORS]; ROWS];
    let (mut a, mut b, mut ahead) = (call.a, call.b, call.ahead);
    let mut touched = call.touched.unwrap_or(Touched { rows: 0, first: ahead, second: ahead, stride: 0 });
    for _ in 0..call.steps / UNROLL {
        if touched.rows > 0 {
            touched.rows -= 1;
            prefetch(touched.first);
            prefetch(touched.second);
            prefetch(touched.first.wrapping_add(64));
            prefetch(touched.second.wrapping_add(64));
            touched.first = touched.first.wrapping_add(touched.stride);
            touched.second = touched.second.wrapping_add(touched.stride);
        }
        for _ in 0..UNROLL {
            prefetch(ahead);
            ahead = ahead.wrapping_add(call.ahead_step);
            // SAFETY: `a` and `b` are at a step that the caller vouches for.
            unsafe { step::<S, ROWS, VECTORS, LEFT>(simd, &mut sums, a, b) };
            a = a.wrapping_add(step_distance);
            b = b.wrapping_add(VECTORS * LANES);
        }
    }
    for _ in 0..call.steps % UNROLL {
        // SAFETY: as above.
        unsafe { step::<S, ROWS, VECTORS, LEFT>(simd, &mut sums, a, b) };
        a = a.wrapping_add(step_distance);
        b = b.wrapping_add(VECTORS * LANES);
    }
    for (r, sums) in sums.iter().enumerate() {
        for (v, &sum) in sums.iter().enumerate() {
            // SAFETY: row `r` and vector `v` are within the tile, which the caller vouches for.
            unsafe {
                let to = call.c.add((r * VECTORS + v) * LANES);
                let sum = if call.accumulate { simd.add(simd.load_from(to), sum) } else { sum };
                simd.store_to(sum, to);
            }
        }
    }
}

/// One step of k: every row's value times every column.
///
/// # Safety
/// `a` must be readable for `ROWS` rows and `b` for `VECTORS` vectors.
#[inline(always)]
unsafe fn step<S: Simd, const ROWS: usize, const VECTORS: usize, const LEFT: usize>(
    simd: S,
    sums: &mut [[S::F32; VECTORS]; ROWS],
    a: *const f32,
    b: *const f32,
) {
    let (row_distance, _) = const { distances(LEFT, S::ISA) };
    let mut columns = [simd.zero(); VECTORS];
    for (v, column) in columns.iter_mut().enumerate() {
        // SAFETY: the caller vouches for `b`.
        *column = unsafe { simd.load_from(b.add(v * LANES)) };
    }
    for (r, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller vouches for `a`.
        let value = simd.splat(unsafe { *a.add(r * row_distance) });
        for (sum, &column) in sums.iter_mut().zip(&columns) {
            *sum = simd.fma(value, column, *sum);
        }
    }
}

/// Asks for the line at `at` to be brought to the second-level cache; never faults, whatever the address.
#[inline(always)]
fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: part of every x86-64; a hint about an address, not an access.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
