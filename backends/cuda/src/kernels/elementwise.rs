//! Ops of each element by itself.

use super::{StepPlan, count, number, pointer};
use crate::launch::{Argument, Check, Place};
use lockstep_hal::Result;
use lockstep_hal::graph::{BinaryOp, CompareOp, DType, GeluForm, UnaryOp};
use lockstep_kernels::movement::Strided;

pub(super) fn unary(plan: &mut StepPlan<'_, '_>, op: UnaryOp) -> Result<()> {
    let x = plan.input(0);
    let code = UnaryOp::ALL.iter().position(|known| *known == op).unwrap_or_default();
    let arguments = vec![
        Argument::U32(code as u32),
        pointer(plan.input_place(0)),
        pointer(plan.output_place()?),
        number(count(x)),
    ];
    plan.launch_elements(format!("unary_{}", x.dtype), count(x), arguments)
}

pub(super) fn gelu(plan: &mut StepPlan<'_, '_>, form: GeluForm) -> Result<()> {
    let x = plan.input(0);
    let form = match form {
        GeluForm::Erf => "erf",
        GeluForm::Tanh => "tanh",
    };
    let arguments = vec![pointer(plan.input_place(0)), pointer(plan.output_place()?), number(count(x))];
    plan.launch_elements(format!("gelu_{form}_{}", x.dtype), count(x), arguments)
}

fn two_operands(plan: &mut StepPlan<'_, '_>, kernel: &str, code: usize) -> Result<()> {
    let (a, b, out) = (plan.input(0), plan.input(1), plan.output()?);
    let walk = plan.walk(Strided::broadcast(&out.shape, [&a.shape, &b.shape]))?;
    let arguments = vec![
        Argument::U32(code as u32),
        pointer(plan.input_place(0)),
        pointer(plan.input_place(1)),
        pointer(plan.output_place()?),
        number(count(out)),
        Argument::Walk(walk),
    ];
    plan.launch_elements(format!("{kernel}_{}", a.dtype), count(out), arguments)
}

pub(super) fn binary(plan: &mut StepPlan<'_, '_>, op: BinaryOp) -> Result<()> {
    let b = plan.input(1);
    let wide = match b.dtype {
        DType::I64 => Some(1),
        DType::I32 => Some(0),
        _ => None,
    };
    let check = match op {
        BinaryOp::Div => Some((Check::Divisor, 0)),
        BinaryOp::Pow => Some((Check::Exponent, 1)),
        _ => None,
    };
    if let (Some(wide), Some((check, power))) = (wide, check)
        && count(b) > 0
    {
        let finding = plan.finding(check);
        let arguments = vec![
            pointer(plan.input_place(1)),
            Argument::U32(wide),
            number(count(b)),
            Argument::U32(power),
            pointer(finding),
        ];
        plan.launch("check_operands", [1, 1], super::THREADS, 0, arguments)?;
    }
    let code = BinaryOp::ALL.iter().position(|known| *known == op).unwrap_or_default();
    two_operands(plan, "binary", code)
}

pub(super) fn compare(plan: &mut StepPlan<'_, '_>, op: CompareOp) -> Result<()> {
    let code = CompareOp::ALL.iter().position(|known| *known == op).unwrap_or_default();
    two_operands(plan, "compare", code)
}

pub(super) fn select(plan: &mut StepPlan<'_, '_>) -> Result<()> {
    let out = plan.output()?;
    let shapes: [&[usize]; 3] = std::array::from_fn(|at| plan.input(at).shape.as_slice());
    let walk = plan.walk(Strided::broadcast(&out.shape, shapes))?;
    let arguments = vec![
        pointer(plan.input_place(0)),
        pointer(plan.input_place(1)),
        pointer(plan.input_place(2)),
        pointer(plan.output_place()?),
        number(count(out)),
        Argument::Walk(walk),
    ];
    plan.launch_elements(format!("select_{}", out.dtype.size()), count(out), arguments)
}

pub(super) fn cast(plan: &mut StepPlan<'_, '_>) -> Result<()> {
    let (x, out) = (plan.input(0), plan.output()?);
    let (from, to) = (plan.input_place(0), plan.output_place()?);
    cast_launch(plan, [x.dtype, out.dtype], from, to, count(x))
}

/// Casts `count` elements between two places.
pub(super) fn cast_launch(
    plan: &mut StepPlan<'_, '_>,
    dtypes: [DType; 2],
    from: Place,
    to: Place,
    count: usize,
) -> Result<()> {
    let [source, target] = dtypes.map(|dtype| {
        // `Type` of `cast.cu`.
        match dtype {
            DType::F64 => 0,
            DType::F32 => 1,
            DType::F16 => 2,
            DType::Bf16 => 3,
            DType::I64 => 4,
            DType::I32 => 5,
            DType::I8 => 6,
            DType::U8 => 7,
            DType::Bool => 8,
        }
    });
    let arguments =
        vec![Argument::U32(source), Argument::U32(target), pointer(from), pointer(to), number(count)];
    plan.launch_elements("cast", count, arguments)
}
