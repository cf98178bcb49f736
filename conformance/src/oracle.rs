//! The judge of one op: its truth in f64 on exactly the values that the device was given, and the bound around it.

use crate::bounds::Arithmetic;
use crate::judgement::Judgement;
use crate::one_op::{self, Argument};
use crate::op_bounds::bound;
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::graph::{DType, Op};
use lockstep_runtime::hal::NumericsProfile;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Device, Fallback, Result};
use std::sync::Arc;

/// The reference device, as the source of truth.
#[derive(Clone, Debug)]
pub struct Oracle {
    reference: Arc<dyn Device>,
}

/// What a judgement needs to know of the device and of how it ran the op.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// What the device promised sums to be carried in.
    pub accumulate: DType,
    /// How it computes.
    pub profile: &'a NumericsProfile,
}

impl Oracle {
    /// The reference backend.
    ///
    /// # Errors
    /// None in practice: it needs nothing.
    pub fn new() -> Result<Self> {
        Ok(Self { reference: ReferenceBackend::new().open(0)? })
    }

    /// The device behind it.
    pub fn device(&self) -> &Arc<dyn Device> {
        &self.reference
    }

    /// An op's outputs in f64 on these values, without any rounding.
    ///
    /// # Errors
    /// Values that the op cannot take.
    pub fn truth(&self, name: &str, op: &Op, arguments: &[Argument]) -> Result<Vec<HostTensor>> {
        let (op, arguments) = one_op::in_dtype(op, arguments, DType::F64)?;
        let outputs = one_op::run(&self.reference, Fallback::Decompose, name, &op, &arguments)?;
        // What was gathered from a stored table is as it is stored; in f64 it is the same numbers.
        outputs
            .into_iter()
            .map(|y| if y.dtype().is_float() { Ok(y.cast(DType::F64)?) } else { Ok(y) })
            .collect()
    }

    /// How far results of `op` on `arguments`, stored in `storage`, may be from their `truth`.
    ///
    /// # Errors
    /// Those of the reference, which computes magnitudes.
    pub fn limits(
        &self,
        op: &Op,
        arguments: &[Argument],
        truth: &HostTensor,
        storage: DType,
        terms: Terms<'_>,
    ) -> Result<Limits> {
        if !storage.is_float() || !truth.dtype().is_float() {
            return Ok(Limits::default());
        }
        let (wide_op, wide) = one_op::in_dtype(op, arguments, DType::F64)?;
        let inputs: Vec<HostTensor> = wide.iter().map(|argument| argument.tensor().clone()).collect();
        let on_reference = |op: &Op, inputs: &[HostTensor]| -> Result<HostTensor> {
            let arguments: Vec<Argument> = inputs.iter().cloned().map(Argument::Given).collect();
            let mut outputs = one_op::run(&self.reference, Fallback::Decompose, "bound", op, &arguments)?;
            Ok(outputs.swap_remove(0))
        };
        let worst_case = Arithmetic::worst_case(storage, terms.accumulate);
        let probable = worst_case.probable(truth.element_count());
        let bounds = |arithmetic| bound(&wide_op, &inputs, truth, arithmetic, terms.profile, &on_reference);
        Ok(Limits { worst_case: bounds(worst_case)?, probable: bounds(probable)? })
    }

    /// Holds what a device `found` against the `truth`, both outputs of `op` on `arguments`.
    ///
    /// # Errors
    /// As [`Oracle::limits`].
    pub fn judge(
        &self,
        op: &Op,
        arguments: &[Argument],
        truth: &HostTensor,
        found: &HostTensor,
        terms: Terms<'_>,
    ) -> Result<Judgement> {
        self.limits(op, arguments, truth, found.dtype(), terms)?.judge(truth, found)
    }
}

/// How far each element of a result may be from its truth; empty for what must be equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Beyond it no order of roundings leads.
    pub worst_case: Vec<f64>,
    /// Beyond it independent roundings do not lead.
    pub probable: Vec<f64>,
}

impl Limits {
    /// Holds what a device `found` against the `truth`.
    ///
    /// # Errors
    /// None in practice: the truth is rounded to the dtype of what was found.
    pub fn judge(&self, truth: &HostTensor, found: &HostTensor) -> Result<Judgement> {
        if found.shape() != truth.shape() || self.worst_case.len() != truth.element_count() {
            return Ok(Judgement::of_equality(truth, found));
        }
        Judgement::of_floats(truth, found, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;
    use lockstep_runtime::graph::BinaryOp;

    fn judged(x: &[f32], y: &[f32], found: &[f32]) -> Judgement {
        let oracle = Oracle::new().unwrap();
        let tensor = |values: &[f32]| HostTensor::from_slice(&[values.len()], values).unwrap();
        let arguments = [Argument::Given(tensor(x)), Argument::Given(tensor(y))];
        let op = Op::Binary(BinaryOp::Add);
        let truth = oracle.truth("sum", &op, &arguments).unwrap();
        let profile = oracle.device().info().numerics.clone();
        let terms = Terms { accumulate: DType::F32, profile: &profile };
        oracle.judge(&op, &arguments, &truth[0], &tensor(found), terms).unwrap()
    }

    #[test]
    fn one_rounding_is_exact_and_one_unit_more_is_not() {
        assert_eq!(judged(&[1.0, 0.1], &[2.0, 0.2], &[3.0, 0.1 + 0.2]).verdict, Verdict::Exact);
        let off = f32::from_bits(3f32.to_bits() + 8);
        let found = judged(&[1.0, 1.0], &[2.0, 2.0], &[3.0, off]);
        assert_eq!(found.verdict, Verdict::Wrong);
        assert_eq!(found.worst[0].at, [1]);
        assert_eq!(found.ulp.max, 8);
    }

    #[test]
    fn a_nan_in_place_of_a_number_is_wrong_and_in_place_of_a_nan_exact() {
        let found = judged(&[1.0], &[1.0], &[f32::NAN]);
        assert_eq!((found.verdict, found.class_mismatches), (Verdict::Wrong, 1));
        assert_eq!(found.of_worst_case, f64::INFINITY);
        assert_eq!(judged(&[f32::NAN], &[1.0], &[f32::NAN]).verdict, Verdict::Exact);
        assert_eq!(judged(&[f32::NAN], &[1.0], &[0.0]).verdict, Verdict::Wrong);
        assert_eq!(judged(&[f32::INFINITY], &[1.0], &[f32::MAX]).verdict, Verdict::Wrong);
    }

    /// In f32 two of these sums overflow on their way or not, as their order has it; in the last nothing but the infinity does.
    #[test]
    fn a_partial_result_may_overflow_and_an_infinity_may_not_be_lost() {
        let oracle = Oracle::new().unwrap();
        let x = HostTensor::from_slice(&[3, 2], &[3e38f32, -3e38, 3e38, 3e38, f32::INFINITY, 1.0]).unwrap();
        let y = HostTensor::from_slice(&[2, 1], &[1.0f32, 1.0]).unwrap();
        let arguments = [Argument::Given(x), Argument::Given(y)];
        let truth = oracle.truth("product", &Op::MatMul, &arguments).unwrap();
        let profile = oracle.device().info().numerics.clone();
        let judged = |found: [f32; 3]| {
            let found = HostTensor::from_slice(&[3, 1], &found).unwrap();
            let terms = Terms { accumulate: DType::F32, profile: &profile };
            oracle.judge(&Op::MatMul, &arguments, &truth[0], &found, terms).unwrap().verdict
        };
        let inf = f32::INFINITY;
        assert_eq!(judged([0.0, inf, inf]), Verdict::Exact);
        assert_eq!(judged([f32::NAN, inf, inf]), Verdict::Within);
        assert_eq!(judged([0.0, inf, f32::MAX]), Verdict::Wrong);
    }
}
