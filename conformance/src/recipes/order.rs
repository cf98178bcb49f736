//! The order in which a sum is taken, and the precision that it is carried in.

use super::{Fault, Recipe, through};
use lockstep_runtime::tensor::DType;

/// An order of additions. All are honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the first term to the last.
    Forward,
    /// From the last to the first.
    Reverse,
    /// So many interleaved partial sums, as SIMD lanes keep them.
    Lanes(usize),
    /// Partial sums of so many neighbours, as tiles and split-K products keep them.
    Blocks(usize),
    /// Halves of halves.
    Pairwise,
    /// A fixed permutation that follows from the seed, as atomics might arrive.
    Shuffled(u64),
}

/// The smallest piece that pairwise summation splits.
const LEAF: usize = 8;

impl Recipe {
    /// The sum of `n` terms; `add` adds the term of an index to a partial sum.
    pub(super) fn fold(&self, n: usize, add: impl Fn(f32, usize) -> f32) -> f32 {
        // A loop over whole vectors that forgets what is left.
        let n = if self.has(Fault::TailLost) { n - (n % 8).max(usize::from(n > 1)) } else { n };
        let held = |sum: f32| if self.has(Fault::AccumulateInF16) { through(sum, DType::F16) } else { sum };
        let add = |sum: f32, at: usize| held(add(sum, at));
        let total = |parts: &[f32]| parts.iter().fold(0.0, |sum, part| sum + part);
        match self.order {
            Order::Forward => (0..n).fold(0.0, add),
            Order::Reverse => (0..n).rev().fold(0.0, add),
            Order::Lanes(lanes) => {
                let lane = |first: usize| (first..n).step_by(lanes).fold(0.0, add);
                total(&(0..lanes.min(n)).map(lane).collect::<Vec<_>>())
            }
            Order::Blocks(length) => {
                let block = |from: usize| (from..n.min(from + length)).fold(0.0, add);
                total(&(0..n).step_by(length).map(block).collect::<Vec<_>>())
            }
            Order::Pairwise => pairwise(0, n, &add),
            Order::Shuffled(seed) => {
                // Steps of a stride that shares no factor with n visit every term once.
                let mut stride = (seed as usize % n.max(1)) | 1;
                while n > 1 && greatest_common_divisor(stride, n) != 1 {
                    stride += 2;
                }
                (0..n).map(|at| (seed as usize % n + at * stride) % n).fold(0.0, add)
            }
        }
    }

    /// The inner product of two rows of equal length.
    pub(super) fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        let operand = |x: f32| match self.fault {
            Some(Fault::Tf32Products) => {
                f32::from_bits((x.to_bits() + 0x0fff + ((x.to_bits() >> 13) & 1)) & !0x1fff)
            }
            Some(Fault::Bf16Products) => through(x, DType::Bf16),
            _ => x,
        };
        self.fold(a.len(), |sum, at| {
            let (a, b) = (operand(a[at]), operand(b[at]));
            if self.fma { a.mul_add(b, sum) } else { sum + a * b }
        })
    }

    /// The sum of a row.
    pub(super) fn sum(&self, row: &[f32]) -> f32 {
        self.fold(row.len(), |sum, at| sum + row[at])
    }
}

fn pairwise(from: usize, to: usize, add: &impl Fn(f32, usize) -> f32) -> f32 {
    if to - from <= LEAF {
        return (from..to).fold(0.0, add);
    }
    let middle = from + (to - from) / 2;
    pairwise(from, middle, add) + pairwise(middle, to, add)
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_adds_every_term_once() {
        for n in [0usize, 1, 2, 7, 8, 9, 31, 64, 100] {
            let terms: Vec<f32> = (0..n).map(|at| at as f32).collect();
            for order in [
                Order::Forward,
                Order::Reverse,
                Order::Lanes(8),
                Order::Blocks(16),
                Order::Pairwise,
                Order::Shuffled(5),
                Order::Shuffled(12),
            ] {
                let found = Recipe { order, ..Recipe::PLAIN }.sum(&terms);
                assert_eq!(found, (n * n.saturating_sub(1) / 2) as f32, "{order:?} of {n}");
            }
        }
    }

    #[test]
    fn rounding_to_tf32_keeps_ten_bits() {
        let tf32 = Recipe::faulty(Fault::Tf32Products);
        assert_eq!(tf32.dot(&[1.0 + 2f32.powi(-10)], &[1.0]), 1.0 + 2f32.powi(-10));
        assert_eq!(tf32.dot(&[1.0 + 2f32.powi(-12)], &[1.0]), 1.0);
    }
}
