//! The product of rows with packed panels: how it is cut into items, and what one item does.
//!
//! An item is a block of rows times one panel. A worker keeps the rows it works on packed in its part of the scratch (they
//! stay in its second-level cache), and runs all blocks of k of the panel over them, so that the sums never leave the cache
//! before the epilogue.

use std::ops::Range;

use super::Activation;
use super::epilogue::Epilogue;
pub(crate) use super::pack::PanelStart;
use super::rows::{PackRows, packed_layout, packed_len, packed_stride};
use crate::matmul::claims::{Claims, MAX_WORKERS};
use crate::matmul::shared::{LINE, SharedMut, from_line};
use crate::matmul::tile::{Ahead, BLOCK_K, BlockProduct, Touched, panel_width, tile_rows};
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::{Element, Isa, Parallel};

/// f32 of packed rows that one worker keeps: what leaves room for a panel in a second-level cache of 1 MiB or 2 MiB.
const PACKED_ROWS_F32: usize = 160 * 1024;
/// And no more rows than this, since sums of a panel stay in cache too.
const MOST_ROWS: usize = 264;
/// Below this many multiply-adds, waking another thread costs more than it saves.
const SERIAL_MACS: usize = 1 << 17;

/// `out = activation(x panels + bias) + residual`.
pub(crate) struct PanelProduct<'a, T> {
    pub(crate) isa: Isa,
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    /// `[m, k]`.
    pub(crate) x: &'a [T],
    /// `[panels, k, width]`.
    pub(crate) panels: PanelStart,
    /// `[n]`.
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) activation: Activation,
    /// `[m, n]`.
    pub(crate) residual: Option<&'a [T]>,
}

// SAFETY: the panels are only read, and borrowed for as long as the product runs.
unsafe impl<T: Sync> Sync for PanelProduct<'_, T> {}

/// The most rows of an item.
fn most_rows(isa: Isa, k: usize) -> usize {
    let tile = tile_rows(isa);
    let rows = (PACKED_ROWS_F32 / packed_len(1, k).max(1)).min(MOST_ROWS);
    (rows / tile * tile).max(tile)
}

/// f32 of scratch that one worker needs for up to `m` rows. Never falls as m grows.
fn worker_scratch(isa: Isa, storage_is_f32: bool, m: usize, k: usize) -> usize {
    let rows = m.min(most_rows(isa, k));
    let width = panel_width(isa);
    let widened = if storage_is_f32 { 0 } else { k.min(BLOCK_K) * width };
    (packed_len(rows, k) + rows * width + widened).next_multiple_of(LINE)
}

/// f32 of scratch that [`PanelProduct::run`] needs.
pub(crate) fn product_scratch(isa: Isa, storage_is_f32: bool, m: usize, k: usize, threads: usize) -> usize {
    worker_scratch(isa, storage_is_f32, m, k) * threads.clamp(1, MAX_WORKERS) + LINE
}

impl<T: Element> PanelProduct<'_, T> {
    /// Computes `out`, `[m, n]`, on the threads of `pool`.
    ///
    /// # Safety
    /// `panels` must hold `[ceil(n / width), k, width]` values for the path `isa`, which this processor must have.
    ///
    /// # Panics
    /// If a slice does not fit the sizes, or `scratch` is shorter than [`product_scratch`] for `pool`'s threads.
    pub(crate) unsafe fn run(&self, pool: &dyn Parallel, out: &mut [T], scratch: &mut [f32]) {
        let &Self { isa, m, k, n, .. } = self;
        assert_eq!(self.x.len(), m * k, "x is [m, k] = [{m}, {k}]");
        assert_eq!(out.len(), m * n, "out is [m, n] = [{m}, {n}]");
        assert!(
            self.residual.is_none_or(|residual| residual.len() == m * n),
            "residual is [m, n] = [{m}, {n}]"
        );
        assert!(self.bias.is_none_or(|bias| bias.len() == n), "bias is [n] = [{n}]");
        if m == 0 || n == 0 {
            return;
        }
        let threads = if m.saturating_mul(n).saturating_mul(k) < SERIAL_MACS { 1 } else { pool.threads() };
        let panels = n.div_ceil(panel_width(isa));
        let rows = self.item_rows(panels, threads);
        let items = m.div_ceil(rows) * panels;
        let workers = threads.clamp(1, MAX_WORKERS).min(items);

        let part = worker_scratch(isa, matches!(self.panels, PanelStart::F32(_)), m, k);
        let scratch = from_line(scratch);
        assert!(scratch.len() >= part * workers, "scratch is at least product_scratch");
        let (scratch, out, claims) =
            (SharedMut::new(scratch), SharedMut::new(out), Claims::new(items, workers));
        pool.run(workers, &|worker| {
            // SAFETY: each worker has its own part.
            let scratch = unsafe { scratch.part(worker * part..(worker + 1) * part) };
            let (packed, rest) = scratch.split_at_mut(packed_len(rows.min(m), k));
            let (sums, widened) = rest.split_at_mut(rows.min(m) * panel_width(isa));
            let mut packed_block = usize::MAX;
            while let Some(item) = claims.next(worker) {
                let (block, panel) = (item / panels, item % panels);
                let first_row = block * rows;
                let count = rows.min(m - first_row);
                if packed_block != block {
                    packed_block = block;
                    let from = self.x[first_row * k..].as_ptr();
                    let to = packed.as_mut_ptr();
                    dispatch(isa, &PackRows { rows: count, block_rows: count, k, from, stride: k, to });
                }
                let later = self.rows_after(block, rows).part(panel, panels);
                self.multiply(&Item { panel, first_row, rows: count, later }, packed, sums, widened, &out);
            }
        });
    }

    /// Rows of an item: as many as the cache holds, fewer where there would be too few items to share evenly.
    fn item_rows(&self, panels: usize, threads: usize) -> usize {
        let tile = tile_rows(self.isa);
        let fewest = self.m.div_ceil(most_rows(self.isa, self.k));
        let wanted = if threads == 1 { 1 } else { (ITEMS_PER_THREAD * threads).div_ceil(panels) };
        let blocks = wanted.min(self.m / (4 * tile)).max(fewest);
        self.m.div_ceil(blocks).next_multiple_of(tile).min(most_rows(self.isa, self.k))
    }

    /// Computes an item, whose rows are packed: all blocks of k, the last of them with the epilogue.
    fn multiply(
        &self,
        item: &Item,
        packed: &[f32],
        sums: &mut [f32],
        widened: &mut [f32],
        out: &SharedMut<'_, T>,
    ) {
        let (isa, k, width) = (self.isa, self.k, panel_width(self.isa));
        let groups = item.rows.div_ceil(GROUP_TILES * tile_rows(isa));
        let mut start = 0;
        loop {
            let steps = (k - start).min(BLOCK_K);
            let at = (item.panel * k + start) * width;
            let block = BlockProduct {
                rows: item.rows,
                steps,
                a: packed.as_ptr().wrapping_add(start / BLOCK_K * item.rows * packed_stride(k)),
                left: packed_layout(k),
                b: self.panel_block(at, steps * width, widened),
                c: sums.as_mut_ptr(),
                accumulate: start > 0,
                ahead: self.panel_stretch(at + steps * width, steps * width),
                later: item.later.part(start / BLOCK_K, k.div_ceil(BLOCK_K).max(1)),
                touched: None,
            };
            start += steps;
            if start < k {
                let touched = (start + BLOCK_K >= k).then(|| self.touched(item, 0, groups, out));
                // SAFETY: `packed` and `sums` were sized for the item's rows; the panel was vouched for by `run`'s caller.
                unsafe { BlockProduct { touched, ..block }.run(isa) };
                continue;
            }
            for group in 0..groups {
                let rows = item.group(group, groups);
                let part = BlockProduct {
                    rows: rows.len(),
                    a: block.a.wrapping_add(rows.start * packed_stride(k)),
                    c: block.c.wrapping_add(rows.start * width),
                    ahead: block.ahead.part(group, groups),
                    later: block.later.part(group, groups),
                    touched: (group + 1 < groups).then(|| self.touched(item, group + 1, groups, out)),
                    ..block
                };
                // SAFETY: as above; these rows are some of the item's.
                unsafe { part.run(isa) };
                self.finish(item, rows, sums, out);
            }
            return;
        }
    }

    /// A block of weights as f32, widened into scratch if it is stored narrower.
    fn panel_block(&self, at: usize, len: usize, widened: &mut [f32]) -> *const f32 {
        match self.panels {
            PanelStart::F32(panels) => panels.wrapping_add(at),
            PanelStart::F16(panels) => widen(self.isa, panels.wrapping_add(at), &mut widened[..len]),
            PanelStart::Bf16(panels) => widen(self.isa, panels.wrapping_add(at), &mut widened[..len]),
        }
    }

    /// Where `len` stored weights lie, which may be past the last panel's end.
    fn panel_stretch(&self, at: usize, len: usize) -> Ahead {
        match self.panels {
            PanelStart::F32(panels) => Ahead { start: panels.wrapping_add(at).cast(), bytes: 4 * len },
            PanelStart::F16(panels) => Ahead { start: panels.wrapping_add(at).cast(), bytes: 2 * len },
            PanelStart::Bf16(panels) => Ahead { start: panels.wrapping_add(at).cast(), bytes: 2 * len },
        }
    }

    /// The rows of x that are packed after those of `block`.
    fn rows_after(&self, block: usize, rows: usize) -> Ahead {
        let from = self.m.min((block + 1) * rows) * self.k;
        let next = &self.x[from..self.m.min((block + 2) * rows) * self.k];
        Ahead { start: next.as_ptr().cast(), bytes: size_of_val(next) }
    }

    /// What the epilogue of a group of rows will write and read.
    fn touched(&self, item: &Item, group: usize, groups: usize, out: &SharedMut<'_, T>) -> Touched {
        let rows = item.group(group, groups);
        let at = (item.first_row + rows.start) * self.n + item.panel * panel_width(self.isa);
        let first = out.as_mut_ptr().wrapping_add(at).cast_const();
        let second = self.residual.map_or(first, |residual| residual.as_ptr().wrapping_add(at));
        Touched {
            rows: rows.len(),
            first: first.cast(),
            second: second.cast(),
            stride: self.n * size_of::<T>(),
        }
    }

    /// The epilogue of some rows of an item.
    fn finish(&self, item: &Item, rows: Range<usize>, sums: &[f32], out: &SharedMut<'_, T>) {
        let width = panel_width(self.isa);
        let column = item.panel * width;
        let at = (item.first_row + rows.start) * self.n + column;
        let epilogue = Epilogue {
            sums: sums[rows.start * width..].as_ptr(),
            width,
            rows: rows.len(),
            columns: width.min(self.n - column),
            bias: self.bias.map_or(std::ptr::null(), |bias| bias[column..].as_ptr()),
            activation: self.activation,
            residual: self.residual.map_or(std::ptr::null(), |residual| residual[at..].as_ptr()),
            out: out.as_mut_ptr().wrapping_add(at),
            stride: self.n,
        };
        dispatch(self.isa, &epilogue);
    }
}

/// A block of rows times a panel.
struct Item {
    panel: usize,
    first_row: usize,
    rows: usize,
    /// This item's share of what is to be packed next.
    later: Ahead,
}

impl Item {
    /// The rows of one of `groups` groups, counted from the item's first.
    fn group(&self, group: usize, groups: usize) -> Range<usize> {
        self.rows * group / groups..self.rows * (group + 1) / groups
    }
}

/// Tiles after which their rows are finished: soon enough that the stores drain while the next ones multiply.
const GROUP_TILES: usize = 2;

/// Items that each thread should have, so that one held up leaves little to wait for.
const ITEMS_PER_THREAD: usize = 12;

/// A block of half-width weights as f32.
fn widen<W: Element>(isa: Isa, from: *const W, to: &mut [f32]) -> *const f32 {
    dispatch(isa, &mut Widen { from, to: &mut *to });
    to.as_ptr()
}

/// Reads `to.len()` values, a multiple of 16, from `from`.
struct Widen<'a, W> {
    from: *const W,
    to: &'a mut [f32],
}

impl<W: Element> Kernel for &mut Widen<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (i, to) in self.to.chunks_exact_mut(LANES).enumerate() {
            // SAFETY: a panel has as many values at `from` as `to` has room for.
            simd.store(unsafe { simd.load_from(self.from.add(i * LANES)) }, to);
        }
    }
}
