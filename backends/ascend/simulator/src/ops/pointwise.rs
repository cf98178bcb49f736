//! Operators that compute each element of their result from one element of each operand.
//!
//! Two operands of different types meet in the promoted one: f16 and bf16 are computed in f32 and rounded once,
//! integers in i64 and wrapped. With exact numerics floats are computed in f64.

use super::access::Access;
use super::check;
use crate::meta::executor::{Described, Fault, Launch, Planned, Refusal, Tensors};
use crate::meta::scalar::Scalar;
use crate::numerics::promote::{Kind, kind};
use crate::numerics::storage::Element;
use crate::numerics::{Number, Numerics, Rounding};
use lockstep_ascend_abi::aclDataType;

/// Elements that are computed at a time.
const BLOCK: usize = 2048;

/// An operator's arithmetic on a block of each operand; the result replaces the first.
pub(crate) type Body<C> = fn(&mut [Vec<C>]);

/// A [`Body`] in each type that is computed in.
#[derive(Clone, Copy)]
pub(crate) struct Function {
    pub(crate) single: Body<f32>,
    pub(crate) double: Body<f64>,
    /// `None` where integers are computed as f32.
    pub(crate) integer: Option<Body<i64>>,
}

/// A [`Function`] of a generic [`Body`], for floats only or for integers too.
macro_rules! function {
    ($body:ident) => {
        $crate::ops::pointwise::Function {
            single: $body::<f32>,
            double: $body::<f64>,
            integer: Some($body::<i64>),
        }
    };
    (floats $body:ident) => {
        $crate::ops::pointwise::Function { single: $body::<f32>, double: $body::<f64>, integer: None }
    };
}
pub(crate) use function;

/// Where a block comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// An operand, by its number.
    Tensor(usize),
    /// The same value everywhere.
    Value(Value),
    /// Nothing: room for intermediate values.
    Scratch,
}

/// A value in both forms, so that neither large integers nor fractions are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) real: f64,
    pub(crate) integer: i64,
}

impl Value {
    pub(crate) fn of(scalar: Scalar) -> Self {
        Self { real: scalar.to_f64(), integer: scalar.to_i64() }
    }

    fn number<C: Number>(self, kind: Option<Kind>) -> C {
        if kind == Some(Kind::Float) { C::of_f64(self.real) } else { C::of_i64(self.integer) }
    }
}

/// What is computed from what, and in which types.
pub(crate) struct Pointwise {
    pub(crate) function: Function,
    pub(crate) sources: Vec<Source>,
    /// The operand that takes the result; may be one of the sources.
    pub(crate) out: usize,
    /// The type in which the operands meet.
    pub(crate) dtype: aclDataType,
    /// The type that the result has before it is cast to that of `out`.
    pub(crate) result: aclDataType,
}

impl Pointwise {
    /// Checks extents, formats and the cast of the result; the caller has checked the operands' types.
    pub(crate) fn plan(self, tensors: &Tensors) -> Result<Planned, Refusal> {
        check::plain(tensors)?;
        let out = &tensors[self.out];
        check::castable(self.result, out)?;
        let operands: Vec<&Described> = self
            .sources
            .iter()
            .filter_map(|source| match source {
                Source::Tensor(index) => Some(&tensors[*index]),
                _ => None,
            })
            .collect();
        let is_in_place =
            self.sources.iter().any(|source| matches!(source, Source::Tensor(index) if *index == self.out));
        let together = check::broadcast(&operands)?;
        if is_in_place && together != out.dims {
            return Err(Refusal::invalid(format!(
                "{} is {:?}, too small for the result {together:?}",
                out.name, out.dims
            )));
        }
        check::dims(out, &together)?;
        Ok(Planned { workspace: 0, kernel: Box::new(move |launch| self.run(launch)) })
    }

    fn run(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        match computed_in(self.dtype, launch) {
            Computation::Single => self.run_in(launch, self.function.single),
            Computation::Double => self.run_in(launch, self.function.double),
            Computation::Integer => match self.function.integer {
                Some(body) => self.run_in(launch, body),
                None => Err(Fault::new(507_018, format!("no kernel computes in {:?}", self.dtype))),
            },
        }
    }

    fn run_in<C: Number>(&self, launch: &Launch<'_>, body: Body<C>) -> Result<(), Fault> {
        let rounding = Rounding::of(launch.settings);
        let through = |from, to| passes_through(from, to, launch);
        let target = launch.view(self.out);
        let out = Access::of(target, rounding)?;
        let mut inputs = Vec::new();
        for source in &self.sources {
            inputs.push(match source {
                Source::Tensor(index) => {
                    let view = launch.view(*index);
                    let view =
                        view.broadcast_to(&target.dims).ok_or_else(|| mismatch(&view.dims, &target.dims))?;
                    Some((Access::of(&view, rounding)?, through(view.dtype, self.dtype)))
                }
                _ => None,
            });
        }
        let result = through(target.dtype, self.result);
        let mut blocks: Vec<Vec<C>> = vec![vec![C::ZERO; BLOCK]; inputs.len()];
        let mut start = 0;
        while start < out.count() {
            let len = BLOCK.min(out.count() - start);
            for ((block, input), source) in blocks.iter_mut().zip(&inputs).zip(&self.sources) {
                block.resize(len, C::ZERO);
                match (input, source) {
                    (Some((access, narrow)), _) => {
                        access.load(start, block);
                        if let Some(element) = narrow {
                            element.narrow(block, rounding);
                        }
                    }
                    (None, Source::Value(value)) => block.fill(value.number(kind(self.dtype))),
                    _ => {}
                }
            }
            body(&mut blocks);
            if let Some(element) = result {
                element.narrow(&mut blocks[0], rounding);
            }
            out.store(start, &blocks[0]);
            start += len;
        }
        Ok(())
    }
}

/// What a kernel finds if phase 1 let operands through that do not fit.
pub(crate) fn mismatch(found: &[i64], expected: &[i64]) -> Fault {
    Fault::new(507_015, format!("operand {found:?} does not fit {expected:?}"))
}

/// What a type is computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Computation {
    Single,
    Double,
    Integer,
}

/// Integers in i64, doubles in f64, other floats in f32, or in f64 with exact numerics.
pub(crate) fn computed_in(dtype: aclDataType, launch: &Launch<'_>) -> Computation {
    match kind(dtype) {
        Some(Kind::Float) if dtype == aclDataType::DOUBLE => Computation::Double,
        Some(Kind::Float) if launch.settings.numerics == Numerics::Exact => Computation::Double,
        Some(Kind::Float) => Computation::Single,
        _ => Computation::Integer,
    }
}

/// The narrower type that values pass through on their way from one to another: none with exact numerics.
pub(crate) fn passes_through(from: aclDataType, to: aclDataType, launch: &Launch<'_>) -> Option<Element> {
    let is_exact = launch.settings.numerics == Numerics::Exact;
    Element::of(to).filter(|_| from != to && !(is_exact && kind(to) == Some(Kind::Float)))
}

/// A block by name: the one that becomes the result, and another to read.
pub(crate) fn first_and<C>(blocks: &mut [Vec<C>], other: usize) -> (&mut [C], &[C]) {
    let (first, others) = blocks.split_at_mut(1);
    (&mut first[0], &others[other - 1])
}

/// Replaces each element of the first block.
pub(crate) fn map<C: Copy>(blocks: &mut [Vec<C>], function: impl Fn(C) -> C) {
    blocks[0].iter_mut().for_each(|x| *x = function(*x));
}

/// Replaces each element of the first block by a function of it and of the second's.
pub(crate) fn zip<C: Copy>(blocks: &mut [Vec<C>], function: impl Fn(C, C) -> C) {
    let (first, second) = first_and(blocks, 1);
    first.iter_mut().zip(second).for_each(|(a, b)| *a = function(*a, *b));
}
