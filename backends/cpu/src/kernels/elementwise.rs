//! Ops on each element by itself.

use super::movement::shape_error;
use super::{Launch, StepPlan, with_float, with_size};
use half::{bf16, f16};
use lockstep_hal::graph::{BinaryOp, CompareOp, DType, GeluForm, UnaryOp};
use lockstep_hal::{Error, Result};
use lockstep_kernels::cast::cast as cast_kernel;
use lockstep_kernels::elementwise::{
    self as kernel, Binary, BinaryInteger, Comparison, Logical, Strided, Unary,
};
use lockstep_kernels::gelu as gelu_kernel;

pub(super) fn unary(plan: &StepPlan<'_>, op: UnaryOp) -> Result<Launch> {
    let (isa, pool, in_place) = (plan.isa, plan.pool.clone(), plan.in_place(0));
    let (x, out) = (plan.inputs[0].clone(), plan.output.clone());
    let op = match op {
        UnaryOp::Neg => Unary::Neg,
        UnaryOp::Abs => Unary::Abs,
        UnaryOp::Exp => Unary::Exp,
        UnaryOp::Log => Unary::Log,
        UnaryOp::Sqrt => Unary::Sqrt,
        UnaryOp::Reciprocal => Unary::Reciprocal,
        UnaryOp::Erf => Unary::Erf,
        UnaryOp::Tanh => Unary::Tanh,
        UnaryOp::Sigmoid => Unary::Sigmoid,
        UnaryOp::Relu => Unary::Relu,
        UnaryOp::Not => {
            return Ok(Box::new(move |memory| {
                kernel::logical_not(pool.as_ref(), memory.read(&x), memory.write(&out));
                Ok(())
            }));
        }
    };
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        if in_place {
            kernel::unary_in_place(isa, pool.as_ref(), op, memory.write::<T>(&out));
        } else {
            kernel::unary(isa, pool.as_ref(), op, memory.read::<T>(&x), memory.write::<T>(&out));
        }
        Ok(())
    })), else Err(plan.unclaimed()))
}

pub(super) fn gelu(plan: &StepPlan<'_>, form: GeluForm) -> Result<Launch> {
    let (isa, pool, in_place) = (plan.isa, plan.pool.clone(), plan.in_place(0));
    let (x, out) = (plan.inputs[0].clone(), plan.output.clone());
    let form = match form {
        GeluForm::Erf => gelu_kernel::GeluForm::Erf,
        GeluForm::Tanh => gelu_kernel::GeluForm::Tanh,
    };
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        if in_place {
            gelu_kernel::gelu_in_place(isa, pool.as_ref(), form, memory.write::<T>(&out));
        } else {
            gelu_kernel::gelu(isa, pool.as_ref(), form, memory.read::<T>(&x), memory.write::<T>(&out));
        }
        Ok(())
    })), else Err(plan.unclaimed()))
}

fn pairs(plan: &StepPlan<'_>) -> Result<Strided<2>> {
    let walk = Strided::broadcast(plan.out_shape(), [plan.shape(0), plan.shape(1)]);
    walk.map_err(|error| shape_error(plan, &error))
}

pub(super) fn binary(plan: &StepPlan<'_>, op: BinaryOp) -> Result<Launch> {
    let (float, integer) = match op {
        BinaryOp::Add => (Binary::Add, BinaryInteger::Add),
        BinaryOp::Sub => (Binary::Sub, BinaryInteger::Sub),
        BinaryOp::Mul => (Binary::Mul, BinaryInteger::Mul),
        BinaryOp::Div => (Binary::Div, BinaryInteger::Div),
        BinaryOp::Max => (Binary::Max, BinaryInteger::Max),
        BinaryOp::Min => (Binary::Min, BinaryInteger::Min),
        BinaryOp::Pow => (Binary::Pow, BinaryInteger::Pow),
        BinaryOp::And => return logical(plan, Logical::And),
        BinaryOp::Or => return logical(plan, Logical::Or),
    };
    let walk = pairs(plan)?;
    let (isa, pool, name) = (plan.isa, plan.pool.clone(), plan.name());
    let (a, b, out) = (plan.inputs[0].clone(), plan.inputs[1].clone(), plan.output.clone());
    macro_rules! integers {
        ($T:ty) => {
            Ok(Box::new(move |memory| {
                let (a, b, out) = (memory.read::<$T>(&a), memory.read::<$T>(&b), memory.write::<$T>(&out));
                kernel::binary_integer(pool.as_ref(), integer, &walk, a, b, out)
                    .map_err(|error| Error::value(name.clone(), error.to_string()))
            }))
        };
    }
    with_float!(plan.dtype(0), T => Ok(Box::new(move |memory| {
        let (a, b, out) = (memory.read::<T>(&a), memory.read::<T>(&b), memory.write::<T>(&out));
        kernel::binary(isa, pool.as_ref(), float, &walk, a, b, out);
        Ok(())
    })), else match plan.dtype(0) {
        DType::I64 => integers!(i64),
        DType::I32 => integers!(i32),
        _ => Err(plan.unclaimed()),
    })
}

fn logical(plan: &StepPlan<'_>, op: Logical) -> Result<Launch> {
    let walk = pairs(plan)?;
    let pool = plan.pool.clone();
    let (a, b, out) = (plan.inputs[0].clone(), plan.inputs[1].clone(), plan.output.clone());
    Ok(Box::new(move |memory| {
        kernel::logical(pool.as_ref(), op, &walk, memory.read(&a), memory.read(&b), memory.write(&out));
        Ok(())
    }))
}

pub(super) fn compare(plan: &StepPlan<'_>, op: CompareOp) -> Result<Launch> {
    let op = match op {
        CompareOp::Eq => Comparison::Eq,
        CompareOp::Ne => Comparison::Ne,
        CompareOp::Lt => Comparison::Lt,
        CompareOp::Le => Comparison::Le,
        CompareOp::Gt => Comparison::Gt,
        CompareOp::Ge => Comparison::Ge,
    };
    let walk = pairs(plan)?;
    let pool = plan.pool.clone();
    let (a, b, out) = (plan.inputs[0].clone(), plan.inputs[1].clone(), plan.output.clone());
    macro_rules! compared {
        ($T:ty) => {
            Ok(Box::new(move |memory| {
                let (a, b) = (memory.read::<$T>(&a), memory.read::<$T>(&b));
                kernel::compare(pool.as_ref(), op, &walk, a, b, memory.write(&out));
                Ok(())
            }))
        };
    }
    with_float!(plan.dtype(0), T => compared!(T), else match plan.dtype(0) {
        DType::I64 => compared!(i64),
        DType::I32 => compared!(i32),
        DType::Bool => compared!(u8),
        _ => Err(plan.unclaimed()),
    })
}

pub(super) fn select(plan: &StepPlan<'_>) -> Result<Launch> {
    let walk = Strided::broadcast(plan.out_shape(), [plan.shape(0), plan.shape(1), plan.shape(2)]);
    let walk = walk.map_err(|error| shape_error(plan, &error))?;
    let (pool, condition, out) = (plan.pool.clone(), plan.inputs[0].clone(), plan.output.clone());
    let (a, b) = (plan.inputs[1].clone(), plan.inputs[2].clone());
    with_size!(plan.out_dtype(), T => Ok(Box::new(move |memory| {
        let (a, b, out) = (memory.read::<T>(&a), memory.read::<T>(&b), memory.write::<T>(&out));
        kernel::select(pool.as_ref(), &walk, memory.read(&condition), a, b, out);
        Ok(())
    })))
}

pub(super) fn cast(plan: &StepPlan<'_>) -> Result<Launch> {
    let (isa, pool) = (plan.isa, plan.pool.clone());
    let (x, out) = (plan.inputs[0].clone(), plan.output.clone());
    macro_rules! to {
        ($T:ty, $U:ty) => {
            Ok(Box::new(move |memory| {
                cast_kernel(isa, pool.as_ref(), memory.read::<$T>(&x), memory.write::<$U>(&out));
                Ok(())
            }))
        };
    }
    macro_rules! from {
        ($T:ty) => {
            match plan.out_dtype() {
                DType::F64 => to!($T, f64),
                DType::F32 => to!($T, f32),
                DType::F16 => to!($T, f16),
                DType::Bf16 => to!($T, bf16),
                DType::I64 => to!($T, i64),
                DType::I32 => to!($T, i32),
                DType::Bool => to!($T, u8),
                DType::I8 | DType::U8 => Err(plan.unclaimed()),
            }
        };
    }
    match plan.dtype(0) {
        DType::F64 => from!(f64),
        DType::F32 => from!(f32),
        DType::F16 => from!(f16),
        DType::Bf16 => from!(bf16),
        DType::I64 => from!(i64),
        DType::I32 => from!(i32),
        DType::Bool => from!(u8),
        DType::I8 | DType::U8 => Err(plan.unclaimed()),
    }
}
