//! Values that are changed in a way whose effect is known.

use super::{Checks, Property, apart};
use crate::cases::{Case, floats, random};
use crate::random::Random;
use lockstep_runtime::Result;
use lockstep_runtime::graph::Op;
use lockstep_runtime::tensor::HostTensor;

impl Checks<'_, '_> {
    pub(super) fn values(&mut self, r: &mut Random) -> Result<()> {
        self.shifts(r)?;
        self.power_of_two(r)
    }

    /// The results of two cases that must be the same number may differ by what each may be off.
    fn same_within_bounds(&self, a: &Case, b: &Case) -> Result<Option<String>> {
        let ((a, of_a), (b, of_b)) = (self.held(a)?, self.held(b)?);
        Ok(apart(&a.to_f64(), &b.to_f64(), |at| of_a.worst_case[at] + of_b.worst_case[at]))
    }

    fn shifts(&mut self, r: &mut Random) -> Result<()> {
        // Multiples of an eighth, so that shifts and scales are exact in every dtype.
        let eighths: Vec<f64> = (0..3 * 17).map(|_| r.below(32) as f64 / 8.0).collect();
        let moved =
            |by: &dyn Fn(f64) -> f64| floats(&[3, 17], &eighths.iter().map(|&x| by(x)).collect::<Vec<_>>());
        let (gamma, beta) = (random(r, &[17], 1.0), random(r, &[17], 1.0));
        let softmax = |x: HostTensor| Case::new(Op::Softmax { axis: 1 }, vec![x]);
        let norm = |x: HostTensor, epsilon: f64| {
            Case::new(Op::LayerNorm { epsilon }, vec![x, gamma.clone(), beta.clone()])
        };
        let (x, shifted, scaled) = (moved(&|x| x), moved(&|x| x + 8.0), moved(&|x| 4.0 * x));
        let epsilon = 2f64.powi(-17);
        let pairs = [
            (Property::SoftmaxShift, softmax(x.clone()), softmax(shifted.clone())),
            (Property::LayerNormShift, norm(x.clone(), epsilon), norm(shifted, epsilon)),
            (Property::LayerNormScale, norm(x, epsilon), norm(scaled, 16.0 * epsilon)),
        ];
        for (property, a, b) in pairs {
            self.record(property, &a, true, |checks| checks.same_within_bounds(&a, &b))?;
        }
        Ok(())
    }

    fn power_of_two(&mut self, r: &mut Random) -> Result<()> {
        let (x, weight) = (random(r, &[5, 65], 1.0), random(r, &[65, 9], 1.0));
        let twice = floats(&[5, 65], &x.to_f64().iter().map(|x| 2.0 * x).collect::<Vec<_>>());
        let once = Case::new(Op::MatMul, vec![x, weight.clone()]);
        let doubled = Case::new(Op::MatMul, vec![twice, weight]);
        self.record(Property::PowerOfTwoScaling, &once, true, |checks| {
            let (a, b) =
                (checks.run(&once.in_dtype(checks.dtype))?, checks.run(&doubled.in_dtype(checks.dtype))?);
            let differs = a.to_f64().iter().zip(b.to_f64()).position(|(a, b)| 2.0 * a != b);
            Ok(differs.map(|at| format!("element {at}")))
        })
    }
}
