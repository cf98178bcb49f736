//! The plain product in cuBLASLt's place: sums in f32 in ascending k, each product rounded.

use half::{bf16, f16};
use lockstep_cuda::launch::Element;
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

/// One matrix of a product, `[rows, columns]`, as f32.
pub(crate) fn widened(element: Element, bytes: &[u8]) -> Vec<f32> {
    match element {
        Element::F32 => bytes.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Element::F16 => bytes.chunks_exact(2).map(|b| f16::from_ne_bytes([b[0], b[1]]).to_f32()).collect(),
        Element::Bf16 => bytes.chunks_exact(2).map(|b| bf16::from_ne_bytes([b[0], b[1]]).to_f32()).collect(),
    }
}

/// `[rows, columns]` to `[columns, rows]`.
pub(crate) fn transposed(x: &[f32], columns: usize) -> Vec<f32> {
    let rows = x.len() / columns;
    (0..x.len()).map(|at| x[at % rows * columns + at / rows]).collect()
}

/// `a [m, k]` times `b [k, n]`, row-major, to f32 bytes.
pub(crate) fn product(a: &[f32], b: &[f32], [n, k]: [usize; 2], out: &mut [u8]) {
    out.par_chunks_exact_mut(n * size_of::<f32>()).enumerate().for_each(|(row, out)| {
        let mut sums = vec![0.0_f32; n];
        for (&x, b) in a[row * k..(row + 1) * k].iter().zip(b.chunks_exact(n)) {
            for (sum, &y) in sums.iter_mut().zip(b) {
                *sum += x * y;
            }
        }
        for (to, sum) in out.chunks_exact_mut(size_of::<f32>()).zip(sums) {
            to.copy_from_slice(&sum.to_ne_bytes());
        }
    });
}
