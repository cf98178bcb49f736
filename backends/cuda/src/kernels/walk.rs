//! Walks over operands that do not lie as the result does, as kernels take them.

use super::StepPlan;
use crate::launch::{WALK_RANK, Walk};
use lockstep_hal::{Error, Result};
use lockstep_kernels::movement::{MAX_DIMENSIONS, ShapeError, Strided};

const _: () = assert!(MAX_DIMENSIONS == WALK_RANK, "a walk of the host fits one of the device");

impl StepPlan<'_, '_> {
    /// The shapes' walk, where there is one.
    ///
    /// # Errors
    /// [`Error::Program`] with the shapes' own error.
    pub(super) fn strided<const N: usize>(
        &self,
        walk: std::result::Result<Strided<N>, ShapeError>,
    ) -> Result<Strided<N>> {
        walk.map_err(|error| Error::program(format!("{} ({}): {error}", self.step.name, self.step.op)))
    }

    /// A walk of up to three operands as a kernel takes it.
    ///
    /// # Errors
    /// As [`StepPlan::strided`], and for extents beyond 32 bits.
    pub(super) fn walk<const N: usize>(
        &self,
        walk: std::result::Result<Strided<N>, ShapeError>,
    ) -> Result<Box<Walk>> {
        let strided = self.strided(walk)?;
        // A scalar is walked along one dimension of one element.
        let mut walk = Walk { rank: strided.dimensions().len().max(1) as u32, ..Walk::default() };
        walk.extents[0] = 1;
        for (axis, dimension) in strided.dimensions().iter().enumerate() {
            walk.extents[axis] = u32::try_from(dimension.length).map_err(|_| {
                let length = dimension.length;
                let (name, op) = (&self.step.name, &self.step.op);
                Error::program(format!("{name} ({op}): an extent of {length} is beyond 32 bits"))
            })?;
            for (strides, stride) in walk.strides.iter_mut().zip(dimension.strides) {
                strides[axis] = stride as i64;
            }
        }
        Ok(Box::new(walk))
    }
}
