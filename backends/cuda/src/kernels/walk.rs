//! Walks over operands that do not lie as the result does.

use super::StepPlan;
use crate::launch::{WALK_RANK, Walk};
use lockstep_hal::{Error, Result};

/// Row-major strides of a shape.
pub(super) fn dense(shape: &[usize]) -> Vec<i64> {
    let mut strides = vec![0; shape.len()];
    let mut stride = 1;
    for axis in (0..shape.len()).rev() {
        strides[axis] = stride;
        stride *= shape[axis] as i64;
    }
    strides
}

/// The strides of a dense operand as NumPy broadcasts it to `out`.
pub(super) fn broadcast(shape: &[usize], out: &[usize]) -> Vec<i64> {
    let lead = out.len() - shape.len();
    let own = dense(shape);
    (0..out.len())
        .map(|axis| if axis < lead || shape[axis - lead] == 1 { 0 } else { own[axis - lead] })
        .collect()
}

/// Extents and strides with neighbouring dimensions merged where every operand goes through both as through one.
pub(super) fn merged<const N: usize>(extents: &[usize], strides: [&[i64]; N]) -> (Vec<usize>, [Vec<i64>; N]) {
    let mut shape: Vec<usize> = Vec::new();
    let mut walked: [Vec<i64>; N] = std::array::from_fn(|_| Vec::new());
    for (axis, &extent) in extents.iter().enumerate().filter(|(_, extent)| **extent != 1) {
        let joins = !shape.is_empty()
            && (0..N).all(|n| walked[n].last() == Some(&(strides[n][axis] * extent as i64)));
        match shape.last_mut().filter(|_| joins) {
            Some(last) => *last *= extent,
            None => shape.push(extent),
        }
        for n in 0..N {
            if joins {
                walked[n].pop();
            }
            walked[n].push(strides[n][axis]);
        }
    }
    if shape.is_empty() {
        shape.push(1);
        walked.iter_mut().for_each(|strides| strides.push(0));
    }
    (shape, walked)
}

impl StepPlan<'_, '_> {
    /// The walk of up to three operands.
    ///
    /// # Errors
    /// [`Error::Program`] for more dimensions than a kernel takes.
    pub(super) fn walk<const N: usize>(&self, extents: &[usize], strides: [&[i64]; N]) -> Result<Box<Walk>> {
        let (extents, strides) = merged(extents, strides);
        if extents.len() > WALK_RANK || extents.iter().any(|extent| *extent > u32::MAX as usize) {
            return Err(Error::program(format!(
                "{} ({}): more than {WALK_RANK} dimensions remain after neighbours are merged",
                self.step.name, self.step.op
            )));
        }
        let mut walk = Walk { rank: extents.len() as u32, ..Walk::default() };
        for (to, from) in walk.extents.iter_mut().zip(&extents) {
            *to = *from as u32;
        }
        for (to, from) in walk.strides.iter_mut().zip(&strides) {
            to[..from.len()].copy_from_slice(from);
        }
        Ok(Box::new(walk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_that_move_together_are_one_dimension() {
        let shape = [2, 3, 1, 4];
        let (extents, [strides]) = merged(&shape, [&dense(&shape)]);
        assert_eq!((extents, strides), (vec![24], vec![1]));
    }

    #[test]
    fn a_broadcast_dimension_stays_apart() {
        let out = [2, 3, 4];
        let (extents, [a, b]) = merged(&out, [&dense(&out), &broadcast(&[3, 1], &out)]);
        assert_eq!(extents, [2, 3, 4]);
        assert_eq!((a, b), (vec![12, 4, 1], vec![0, 1, 0]));
    }

    #[test]
    fn a_scalar_has_one_dimension() {
        let (extents, [strides]) = merged(&[], [&[]]);
        assert_eq!((extents, strides), (vec![1], vec![0]));
    }
}
