//! Constants and sequences.

use super::access::Access;
use super::check;
use super::pointwise::{Computation, Value, computed_in};
use crate::exports::operators;
use crate::meta::executor::{Fault, Launch, Operand, Planned, Refusal, Tensors};
use crate::meta::scalar::value_of;
use crate::numerics::promote::{ARITHMETIC, Kind, can_cast, kind};
use crate::numerics::{Number, Rounding};
use lockstep_ascend_abi::{aclScalar, aclTensor};

/// Elements that are written at a time.
const BLOCK: usize = 1024;

/// Operand 0 becomes `start + i * step` at its element i.
fn sequence(tensors: &Tensors, start: Value, step: Value) -> Result<Planned, Refusal> {
    check::plain(tensors)?;
    check::dtype(&tensors[0], ARITHMETIC)?;
    Ok(Planned {
        workspace: 0,
        kernel: Box::new(move |launch| match computed_in(launch.view(0).dtype, launch) {
            Computation::Single => write::<f32>(launch, start.real as f32, step.real as f32),
            Computation::Double => write::<f64>(launch, start.real, step.real),
            Computation::Integer => write::<i64>(launch, start.integer, step.integer),
        }),
    })
}

fn write<C: Number>(launch: &Launch<'_>, first: C, step: C) -> Result<(), Fault> {
    let out = Access::of(launch.view(0), Rounding::of(launch.settings))?;
    let mut block = [C::ZERO; BLOCK];
    for start in (0..out.count()).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min(out.count() - start)];
        for (i, value) in block.iter_mut().enumerate() {
            *value = first.add(C::of_i64((start + i) as i64).multiply(step));
        }
        out.store(start, block);
    }
    Ok(())
}

/// Operand 0 becomes `value` everywhere.
fn constant(tensors: &Tensors, value: Value) -> Result<Planned, Refusal> {
    sequence(tensors, value, Value { real: 0.0, integer: 0 })
}

/// How many steps lead from `start` to just before `end`.
fn steps(start: Value, end: Value, step: Value, is_float: bool) -> Result<i64, Refusal> {
    let refused = || {
        Err(Refusal::invalid(format!(
            "from {} to {} in steps of {} is no sequence",
            start.real, end.real, step.real
        )))
    };
    if is_float {
        let count = ((end.real - start.real) / step.real).ceil();
        return if count.is_finite() && count >= 0.0 { Ok(count as i64) } else { refused() };
    }
    let distance = i128::from(end.integer) - i128::from(start.integer);
    let step = i128::from(step.integer);
    if step == 0 || distance.signum() * step.signum() < 0 {
        return refused();
    }
    let count = (distance.abs() + step.abs() - 1) / step.abs();
    i64::try_from(count).or_else(|_| refused())
}

use Operand as Op;

operators! { layout;
    fn aclnnInplaceZeroGetWorkspaceSize(self_ref: *mut aclTensor) then aclnnInplaceZero
    takes [Op::output(self_ref, "selfRef")]
    plans |tensors| { constant(tensors, Value { real: 0.0, integer: 0 }) }

    fn aclnnInplaceOneGetWorkspaceSize(self_ref: *const aclTensor) then aclnnInplaceOne
    takes [Op::output(self_ref, "selfRef")]
    plans |tensors| { constant(tensors, Value { real: 1.0, integer: 1 }) }

    fn aclnnInplaceFillScalarGetWorkspaceSize(
        self_ref: *mut aclTensor, value: *const aclScalar,
    ) then aclnnInplaceFillScalar
    takes [Op::output(self_ref, "selfRef")]
    plans |tensors| {
        let value = value_of(value, "value")?;
        let dtype = tensors[0].dtype;
        if !can_cast(value.dtype, dtype) {
            return Err(Refusal::invalid(format!("value is {:?}, which {dtype:?} does not hold", value.dtype)));
        }
        constant(tensors, Value::of(value))
    }

    fn aclnnArangeGetWorkspaceSize(
        start: *const aclScalar, end: *const aclScalar, step: *const aclScalar, out: *mut aclTensor,
    ) then aclnnArange
    takes [Op::output(out, "out")]
    plans |tensors| {
        let [start, end, step] = [value_of(start, "start")?, value_of(end, "end")?, value_of(step, "step")?];
        let is_float = [start, end, step].iter().any(|value| kind(value.dtype) == Some(Kind::Float));
        let [start, end, step] = [start, end, step].map(Value::of);
        check::dims(&tensors[0], &[steps(start, end, step, is_float)?])?;
        sequence(tensors, start, step)
    }
}
