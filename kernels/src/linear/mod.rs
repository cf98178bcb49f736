//! `y = activation(x W^T + b) + residual` with constant weights: what a transformer on the CPU lives on.
//!
//! The weights are packed once into panels ([`PackedWeights`]); a call packs blocks of `x`, multiplies them panel by panel
//! with the tiles of [`crate::matmul`], and applies bias, activation and residual to each block while it is still in cache.
//! Every output element is summed in one canonical order (see `spec.md`), so a row's bits depend on that row alone.

mod epilogue;
mod pack;
pub(crate) mod product;
pub(crate) mod rows;

pub use pack::{PackedWeights, PanelStorage};

use crate::{Element, Isa, Parallel};
use product::{PanelProduct, product_scratch};

/// What is applied to `x W^T + b`, elementwise, before the residual is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `v/2 (1 + erf(v / sqrt 2))`: BERT's GELU.
    GeluErf,
    /// `v/2 (1 + tanh(sqrt(2/pi) (v + 0.044715 v^3)))`: GPT-2's GELU.
    GeluTanh,
    /// `max(v, 0)`; NaN stays NaN.
    Relu,
    /// `tanh(v)`: BERT's pooler.
    Tanh,
}

/// How many f32 of scratch [`linear`] needs for up to `m` rows on a pool of `threads`; never falls as m grows.
pub fn linear_scratch(m: usize, weights: &PackedWeights, threads: usize) -> usize {
    product_scratch(weights.isa(), weights.storage() == PanelStorage::F32, m, weights.k(), threads)
}

/// [`linear_scratch`] by sizes, for planning before the weights are packed; `k` is the number of inputs.
pub fn linear_scratch_for(isa: Isa, storage: PanelStorage, m: usize, k: usize, threads: usize) -> usize {
    product_scratch(isa.min(Isa::detect()), storage == PanelStorage::F32, m, k, threads)
}

/// `out = activation(x W^T + bias) + residual`.
///
/// * `x`: `[m, k]` row-major; `out`, `residual`: `[m, n]`; `n`, `k` and the bias are those of `weights`, m is `out`'s.
/// * `scratch`: at least [`linear_scratch`]`(m, weights, pool.threads())` values; its contents are ignored and lost.
///
/// # Panics
/// If a slice's length does not fit the sizes.
pub fn linear<T: Element>(
    pool: &dyn Parallel,
    x: &[T],
    weights: &PackedWeights,
    activation: Activation,
    residual: Option<&[T]>,
    out: &mut [T],
    scratch: &mut [f32],
) {
    let (n, k) = (weights.n(), weights.k());
    if out.is_empty() {
        return;
    }
    assert!(n > 0 && out.len().is_multiple_of(n), "out is [m, n] with n = {n}, not {} values", out.len());
    let product = PanelProduct {
        isa: weights.isa(),
        m: out.len() / n,
        k,
        n,
        x,
        panels: weights.panels(),
        bias: weights.bias(),
        activation,
        residual,
    };
    // SAFETY: `PackedWeights::pack` made the panels for `n`, `k` and a path that this processor has.
    unsafe { product.run(pool, out, scratch) };
}

#[cfg(test)]
mod tests;
