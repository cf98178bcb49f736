//! Matrix products: each element is the sum over k, in ascending order, of products rounded to f64.
//!
//! The loops run i-k-j, over a few rows at a time, so that the compiler vectorises the innermost one and each row of b is
//! fetched once for those rows. Neither that nor the split over threads changes the order of any element's sum.

use crate::buffer::{ReferenceTensor, Values};
use crate::layout::Offsets;

/// Rows of the output that share a pass over b.
const ROWS: usize = 8;
/// Multiplications below which a thread costs more than it saves.
const WORTH_A_THREAD: usize = 1 << 21;

/// `[.., m, k] x [.., k, n]`, leading axes broadcast to `shape`'s. `None` for anything but floats.
pub(super) fn matmul(a: &ReferenceTensor, b: &ReferenceTensor, shape: &[usize]) -> Option<Values> {
    let (Values::Float(a_values), Values::Float(b_values)) = (&a.values, &b.values) else { return None };
    let rank = shape.len();
    let (m, n, k) = (shape[rank - 2], shape[rank - 1], a.shape[a.shape.len() - 1]);
    let mut product = vec![0.0; shape.iter().product()];
    if product.is_empty() || k == 0 {
        return Some(Values::floats(product));
    }
    let batch = &shape[..rank - 2];
    let matrices: Vec<(usize, usize)> = Offsets::broadcast(&a.shape[..a.shape.len() - 2], batch)
        .zip(Offsets::broadcast(&b.shape[..b.shape.len() - 2], batch))
        .collect();
    // Some rows of the product with the rows of a and the matrix of b that they come from.
    let mut parts: Vec<(&mut [f64], &[f64], &[f64])> = Vec::new();
    for (matrix, (a_at, b_at)) in product.chunks_mut(m * n).zip(matrices) {
        let a_rows = a_values[a_at * m * k..(a_at + 1) * m * k].chunks(ROWS * k);
        let b_matrix = &b_values[b_at * k * n..(b_at + 1) * k * n];
        parts.extend(matrix.chunks_mut(ROWS * n).zip(a_rows).map(|(rows, a_rows)| (rows, a_rows, b_matrix)));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(matrix_work(&parts, k) / WORTH_A_THREAD).clamp(1, parts.len());
    let share = parts.len().div_ceil(threads);
    if threads == 1 {
        parts.into_iter().for_each(|(rows, a_rows, b)| multiply_rows(rows, a_rows, b, k, n));
    } else {
        std::thread::scope(|scope| {
            while !parts.is_empty() {
                let mine: Vec<_> = parts.drain(..share.min(parts.len())).collect();
                scope.spawn(move || {
                    mine.into_iter().for_each(|(rows, a_rows, b)| multiply_rows(rows, a_rows, b, k, n));
                });
            }
        });
    }
    Some(Values::floats(product))
}

fn matrix_work(parts: &[(&mut [f64], &[f64], &[f64])], k: usize) -> usize {
    parts.iter().map(|(rows, ..)| rows.len()).sum::<usize>().saturating_mul(k)
}

fn multiply_rows(rows: &mut [f64], a_rows: &[f64], b: &[f64], k: usize, n: usize) {
    for (at, b_row) in b.chunks(n).enumerate() {
        for (row, a_row) in rows.chunks_mut(n).zip(a_rows.chunks(k)) {
            let factor = a_row[at];
            for (sum, &element) in row.iter_mut().zip(b_row) {
                *sum += factor * element;
            }
        }
    }
}
