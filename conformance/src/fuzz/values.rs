//! Values that leaves are filled with, a kind for each graph.

use crate::bounds::{largest_finite, smallest_normal};
use crate::random::Random;
use lockstep_runtime::tensor::{DType, HostTensor};

/// What a graph's floats are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Around zero, of one of a few sizes.
    Plain,
    /// Small whole numbers: ties, equal scores, exact zeros of either sign.
    Whole,
    /// A large offset with a small spread.
    Offset,
    /// Around the smallest normal number, so that much of what follows is subnormal.
    Tiny,
    /// Up to the largest number, so that much of what follows overflows.
    Huge,
    /// Plain, with a few NaN and infinities.
    NotFinite,
}

impl Values {
    /// Half of all graphs are plain: hostile values hide as many faults as they show.
    pub(super) fn any(r: &mut Random) -> Self {
        use Values::{Huge, NotFinite, Offset, Plain, Tiny, Whole};
        r.pick(&[Plain, Plain, Plain, Plain, Plain, Whole, Offset, Tiny, Huge, NotFinite])
    }

    /// A float tensor.
    pub(super) fn floats(self, r: &mut Random, dtype: DType, shape: &[usize]) -> HostTensor {
        let count = shape.iter().product();
        let scale = r.pick(&[0.1, 1.0, 4.0, 30.0]);
        let offset = r.pick(&[64.0, -1024.0, 1e4]);
        let spread = r.pick(&[1e-3, 1.0]);
        let mut value = || match self {
            Values::Plain | Values::NotFinite => scale * r.value(),
            Values::Whole => (4.0 * r.value()).trunc(),
            Values::Offset => offset + spread * r.value(),
            Values::Tiny => 4.0 * smallest_normal(dtype) * r.value(),
            // The oracle must not overflow itself.
            Values::Huge if dtype == DType::F64 => 1e100 * r.value(),
            Values::Huge => largest_finite(dtype) * r.value(),
        };
        let mut values: Vec<f64> = (0..count).map(|_| value()).collect();
        if self == Values::NotFinite && count > 0 {
            for _ in 0..r.below(3) {
                values[r.below(count)] = r.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]);
            }
        }
        tensor(dtype, shape, &values)
    }
}

/// As many values as the shape holds, which all of our shapes get.
pub(super) fn tensor(dtype: DType, shape: &[usize], values: &[f64]) -> HostTensor {
    HostTensor::from_f64(dtype, shape, values)
        .unwrap_or_else(|error| unreachable!("a tensor of the generator: {error}"))
}
