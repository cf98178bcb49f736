//! Ops that only move elements.

use crate::buffer::{ReferenceTensor, Values};
use crate::layout::{Offsets, strides};

pub(super) fn transpose(x: &ReferenceTensor, permutation: &[usize], shape: &[usize]) -> Values {
    let strides = strides(&x.shape);
    x.values.pick(Offsets::new(shape, permutation.iter().map(|&axis| strides[axis]).collect(), 0))
}

pub(super) fn expand(x: &ReferenceTensor, shape: &[usize]) -> Values {
    x.values.pick(Offsets::broadcast(&x.shape, shape))
}

pub(super) fn slice(x: &ReferenceTensor, axis: usize, start: usize, step: usize, shape: &[usize]) -> Values {
    let mut strides = strides(&x.shape);
    let start = start * strides[axis];
    strides[axis] *= step;
    x.values.pick(Offsets::new(shape, strides, start))
}

/// `None` where the inputs are of several kinds.
pub(super) fn concat(inputs: &[ReferenceTensor], axis: usize) -> Option<Values> {
    /// For each position of the axes before the joined one, each input's block in turn.
    fn joined<T: Copy>(parts: &[(&Vec<T>, usize)], outer: usize) -> Vec<T> {
        let blocks =
            (0..outer).flat_map(|at| parts.iter().map(move |(part, len)| &part[at * len..(at + 1) * len]));
        blocks.flatten().copied().collect()
    }
    macro_rules! parts {
        ($kind:path, $make:path) => {{
            let part = |input: &'_ ReferenceTensor| input.shape[axis..].iter().product::<usize>();
            let mut parts = Vec::with_capacity(inputs.len());
            for input in inputs {
                let $kind(values) = &input.values else { return None };
                parts.push((values.as_ref(), part(input)));
            }
            $make(joined(&parts, inputs[0].shape[..axis].iter().product()))
        }};
    }
    Some(match inputs.first()?.values {
        Values::Float(_) => parts!(Values::Float, Values::floats),
        Values::Integer(_) => parts!(Values::Integer, Values::integers),
        Values::Truth(_) => parts!(Values::Truth, Values::truths),
    })
}
