//! Ops that take one element of each operand.

use super::Lowering;
use crate::launch::{Binary, Call, Unary};
use crate::port::Port;
use lockstep_hal::Result;
use lockstep_hal::graph::{BinaryOp, CompareOp, GeluForm, UnaryOp};

impl Lowering<'_> {
    fn by_unary(&mut self, op: Unary) -> Result<()> {
        let (x, out) = (self.input(0)?, self.out()?);
        self.calls.push(Call::Unary(op, x, out));
        Ok(())
    }

    fn by_binary(&mut self, op: Binary) -> Result<()> {
        let (a, b, out) = (self.input(0)?, self.input(1)?, self.out()?);
        self.calls.push(Call::Binary(op, [a, b], out));
        Ok(())
    }

    pub(super) fn unary(&mut self, op: UnaryOp) -> Result<()> {
        self.by_unary(match op {
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
            UnaryOp::Not => Unary::LogicalNot,
        })
    }

    pub(super) fn binary(&mut self, op: BinaryOp) -> Result<()> {
        self.by_binary(match op {
            BinaryOp::Add => Binary::Add,
            BinaryOp::Sub => Binary::Sub,
            BinaryOp::Mul => Binary::Mul,
            BinaryOp::Div => Binary::Div,
            BinaryOp::Max => Binary::Maximum,
            BinaryOp::Min => Binary::Minimum,
            BinaryOp::Pow => Binary::Pow,
            BinaryOp::And => Binary::LogicalAnd,
            BinaryOp::Or => Binary::LogicalOr,
        })
    }

    pub(super) fn compare(&mut self, op: CompareOp) -> Result<()> {
        self.by_binary(match op {
            CompareOp::Eq => Binary::Eq,
            CompareOp::Ne => Binary::Ne,
            CompareOp::Lt => Binary::Lt,
            CompareOp::Le => Binary::Le,
            CompareOp::Gt => Binary::Gt,
            CompareOp::Ge => Binary::Ge,
        })
    }

    pub(super) fn select(&mut self) -> Result<()> {
        let (condition, a, b, out) = (self.input(0)?, self.input(1)?, self.input(2)?, self.out()?);
        self.calls.push(Call::SWhere { condition, a, b, out });
        Ok(())
    }

    pub(super) fn cast(&mut self) -> Result<()> {
        let (x, out) = (self.input(0)?, self.out()?);
        self.calls.push(Call::Cast { x, out });
        Ok(())
    }

    pub(super) fn gelu(&mut self, form: GeluForm) -> Result<()> {
        let op = self.gelu_of(form);
        self.by_unary(op)
    }

    /// `aclnnGelu` is the tanh form, whatever its name suggests.
    pub(super) fn gelu_of(&self, form: GeluForm) -> Unary {
        match (form, self.port) {
            (GeluForm::Erf, Port::Careful) => Unary::GeluV2,
            (GeluForm::Tanh, _) | (_, Port::Naive) => Unary::Gelu,
        }
    }
}
