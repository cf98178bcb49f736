//! The aclnn operators, two symbols each: phase 1 checks and prepares, phase 2 submits.
//!
//! In-place operators take no output. Which operators exist depends on the release, and whether one takes a
//! dtype on the device: phase 1 tells. There is no `aclnnLinear` and no `aclnnInplaceIndexAdd`.

use crate::Symbol;
use core::ffi::c_void;
use core::ptr::NonNull;

pub mod activation;
pub mod attention;
pub mod elementwise;
pub mod index;
pub mod layout;
pub mod matmul;
pub mod normalization;

/// All operators, by kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ops {
    /// Matrix products.
    pub matmul: matmul::MatMul,
    /// Normalisations and reductions.
    pub normalization: normalization::Normalization,
    /// Activations and softmaxes.
    pub activation: activation::Activation,
    /// Arithmetic and casts.
    pub elementwise: elementwise::Elementwise,
    /// Gather, scatter, index.
    pub index: index::Index,
    /// Moving, filling, selecting.
    pub layout: layout::Layout,
    /// Attention.
    pub attention: attention::Attention,
}

impl Ops {
    /// Asks `resolve` for the symbols of every operator, as each kind's `load` does.
    pub fn load(resolve: &mut dyn FnMut(&Symbol) -> Option<NonNull<c_void>>) -> Self {
        Self {
            matmul: matmul::MatMul::load(resolve),
            normalization: normalization::Normalization::load(resolve),
            activation: activation::Activation::load(resolve),
            elementwise: elementwise::Elementwise::load(resolve),
            index: index::Index::load(resolve),
            layout: layout::Layout::load(resolve),
            attention: attention::Attention::load(resolve),
        }
    }
}

/// The symbols of all operators, phase 1 before phase 2.
pub fn symbols() -> impl Iterator<Item = &'static Symbol> {
    [
        matmul::SYMBOLS,
        normalization::SYMBOLS,
        activation::SYMBOLS,
        elementwise::SYMBOLS,
        index::SYMBOLS,
        layout::SYMBOLS,
        attention::SYMBOLS,
    ]
    .into_iter()
    .flatten()
}
