//! Batched product of two runtime operands, and the tiles that every product of this crate is made of.

pub(crate) mod claims;
pub(crate) mod panels;
pub(crate) mod shared;
pub(crate) mod tile;

use crate::linear::Activation;
use crate::linear::product::{PanelProduct, PanelStart, product_scratch};
use crate::simd::dispatch;
use crate::{Element, Isa, Parallel, Serial};
use claims::{Claims, MAX_WORKERS};
use panels::PackPanels;
use shared::{LINE, SharedMut, from_line};
use tile::panel_width;

/// The sizes of a batched product `out[b] = a[b] b[b]`, `[m, k] x [k, n]`, each matrix dense and row-major.
///
/// `batch` has any number of dimensions, none meaning one product; `a_strides` and `b_strides` say, for each of them, how
/// many elements lie between one matrix and the next, 0 where the operand is broadcast. `out` is dense `[batch.., m, n]`.
#[derive(Clone, Copy, Debug)]
pub struct MatmulShape<'a> {
    /// Batch dimensions, outermost first.
    pub batch: &'a [usize],
    /// Step of `a` along each batch dimension, in elements.
    pub a_strides: &'a [usize],
    /// Step of `b` along each batch dimension, in elements.
    pub b_strides: &'a [usize],
    /// Rows of `a` and of the product.
    pub m: usize,
    /// Columns of `a`, rows of `b`.
    pub k: usize,
    /// Columns of `b` and of the product.
    pub n: usize,
}

impl MatmulShape<'_> {
    /// Matrices in the batch.
    fn batch_len(&self) -> usize {
        self.batch.iter().product()
    }

    /// Where matrix `index` of the batch starts in an operand of these strides.
    fn start(&self, index: usize, strides: &[usize]) -> usize {
        let mut rest = index;
        let mut start = 0;
        for (&size, &stride) in self.batch.iter().zip(strides).rev() {
            start += rest % size * stride;
            rest /= size;
        }
        start
    }

    /// Elements that an operand of these strides must have, if its matrices have `len`.
    fn needed(&self, strides: &[usize], len: usize) -> usize {
        if self.batch_len() == 0 || len == 0 { 0 } else { self.start(self.batch_len() - 1, strides) + len }
    }

    /// The same product with the batch folded into the rows, if all of it shares one right operand.
    fn folded(&self) -> Self {
        let mut matrices = self.m * self.k;
        let mut dense = true;
        for (&size, &stride) in self.batch.iter().zip(self.a_strides).rev() {
            dense &= size == 1 || stride == matrices;
            matrices *= size;
        }
        let shared = self.batch.iter().zip(self.b_strides).all(|(&size, &stride)| size == 1 || stride == 0);
        if dense && shared {
            Self { batch: &[], a_strides: &[], b_strides: &[], m: self.m * self.batch_len(), ..*self }
        } else {
            *self
        }
    }

    /// f32 that a right operand takes in panels.
    fn panels_len(&self, isa: Isa) -> usize {
        (self.n.next_multiple_of(panel_width(isa)) * self.k).next_multiple_of(LINE)
    }
}

/// How many f32 of scratch [`matmul`] needs on a pool of `threads`.
pub fn matmul_scratch(isa: Isa, shape: &MatmulShape<'_>, threads: usize) -> usize {
    let isa = isa.min(Isa::detect());
    let shape = shape.folded();
    let alone = product_scratch(isa, true, shape.m, shape.k, 1).next_multiple_of(LINE);
    if by_matrix(&shape, threads) {
        threads.clamp(1, MAX_WORKERS) * (shape.panels_len(isa) + alone) + LINE
    } else {
        shape.panels_len(isa) + product_scratch(isa, true, shape.m, shape.k, threads) + LINE
    }
}

/// Whether each worker takes whole matrices of the batch; otherwise all work on one matrix after the other.
fn by_matrix(shape: &MatmulShape<'_>, threads: usize) -> bool {
    shape.batch_len() >= 4 * threads || shape.m.saturating_mul(shape.n).saturating_mul(shape.k) < SMALL_MACS
}

/// Multiply-adds of a matrix that is not worth sharing.
const SMALL_MACS: usize = 1 << 18;

/// Batched matrix product with f32 accumulation; the sizes are in [`MatmulShape`].
///
/// The right operand is brought into panels first, so a weight that stays the same belongs in [`crate::linear`] instead.
/// `scratch`: [`matmul_scratch`] values; their contents are ignored and lost.
///
/// # Panics
/// If a slice's length does not fit the sizes, or the strides do not have the batch's number of dimensions.
pub fn matmul<T: Element>(
    isa: Isa,
    pool: &dyn Parallel,
    shape: &MatmulShape<'_>,
    a: &[T],
    b: &[T],
    out: &mut [T],
    scratch: &mut [f32],
) {
    let isa = isa.min(Isa::detect());
    let dimensions = shape.batch.len();
    assert!(
        shape.a_strides.len() == dimensions && shape.b_strides.len() == dimensions,
        "a stride per dimension"
    );
    let (m, k, n) = (shape.m, shape.k, shape.n);
    assert_eq!(
        out.len(),
        shape.batch_len() * m * n,
        "out is [batch.., m, n] = [{:?}, {m}, {n}]",
        shape.batch
    );
    assert!(
        a.len() >= shape.needed(shape.a_strides, m * k),
        "a holds [m, k] = [{m}, {k}] for the whole batch"
    );
    assert!(
        b.len() >= shape.needed(shape.b_strides, k * n),
        "b holds [k, n] = [{k}, {n}] for the whole batch"
    );
    if out.is_empty() {
        return;
    }
    let shape = shape.folded();
    let panels_len = shape.panels_len(isa);
    let scratch = from_line(scratch);
    let operands = Operands { isa, shape: &shape, a, b };
    if by_matrix(&shape, pool.threads()) {
        let part = panels_len + product_scratch(isa, true, shape.m, k, 1).next_multiple_of(LINE);
        let workers = pool.threads().clamp(1, MAX_WORKERS).min(shape.batch_len());
        assert!(scratch.len() >= part * workers, "scratch is at least matmul_scratch");
        let claims = Claims::new(shape.batch_len(), workers);
        let (scratch, out) = (SharedMut::new(scratch), SharedMut::new(out));
        pool.run(workers, &|worker| {
            // SAFETY: each worker has its own part.
            let scratch = unsafe { scratch.part(worker * part..(worker + 1) * part) };
            while let Some(index) = claims.next(worker) {
                // SAFETY: each matrix is claimed once.
                let out = unsafe { out.part(index * shape.m * n..(index + 1) * shape.m * n) };
                operands.multiply(&Serial, index, out, scratch);
            }
        });
    } else {
        for (index, out) in out.chunks_exact_mut(shape.m * n).enumerate() {
            operands.multiply(pool, index, out, scratch);
        }
    }
}

struct Operands<'a, T> {
    isa: Isa,
    shape: &'a MatmulShape<'a>,
    a: &'a [T],
    b: &'a [T],
}

impl<T: Element> Operands<'_, T> {
    /// Multiplies matrix `index` of the batch; `scratch` holds its panels and the product's own.
    fn multiply(&self, pool: &dyn Parallel, index: usize, out: &mut [T], scratch: &mut [f32]) {
        let &MatmulShape { m, k, n, a_strides, b_strides, .. } = self.shape;
        let (isa, width) = (self.isa, panel_width(self.isa));
        let (panels, scratch) = scratch.split_at_mut(self.shape.panels_len(isa));
        let b = &self.b[self.shape.start(index, b_strides)..][..k * n];
        let shared = SharedMut::new(panels);
        pool.run(if k == 0 { 0 } else { n.div_ceil(width) }, &|panel| {
            let column = panel * width;
            // SAFETY: each panel is one piece's.
            let to = unsafe { shared.part(panel * k * width..(panel + 1) * k * width) }.as_mut_ptr();
            let columns = width.min(n - column);
            let from = b[column..].as_ptr();
            dispatch(isa, &PackPanels { rows: k, panel_rows: k, columns, from, stride: n, width, to });
        });
        let product = PanelProduct {
            isa,
            m,
            k,
            n,
            x: &self.a[self.shape.start(index, a_strides)..][..m * k],
            panels: PanelStart::F32(panels.as_ptr()),
            bias: None,
            activation: Activation::None,
            residual: None,
        };
        // SAFETY: the panels were just made, for this path.
        unsafe { product.run(pool, out, scratch) };
    }
}

#[cfg(test)]
pub(crate) mod tests;
