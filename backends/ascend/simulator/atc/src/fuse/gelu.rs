//! GELU, in both forms and both orders of its products: `x / sqrt(2)`, Erf, Add, and `0.5 x` or a half at the end; or Tanh of a
//! cubic.

use super::Fusion;
use super::chain::{Chain, operands};
use lockstep_ascend_container::{Binary, Operand, Operator, Step, Unary};
use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

/// The weight of the cube in the tanh form.
const CUBE: f64 = 0.044_715;

/// What a Mul ends, if that is a GELU.
pub(super) fn matched(chain: &Chain<'_>, end: &Step) -> Option<Fusion> {
    let factors = operands(end, Binary::Mul)?;
    let (x, shifted) = halved_last(chain, factors).or_else(|| halved_first(chain, factors))?;
    let (inner, _) = Chain::either(chain.binary(shifted, Binary::Add, 1)?, |operand| {
        let step = chain.inner(operand, 1)?;
        matches!(step.operator, Operator::Unary(Unary::Erf | Unary::Tanh)).then_some(step)
    })
    .filter(|(_, one)| chain.is_number(one, 1.0))?;
    let argument = inner.inputs.first()?;
    let is_tanh = inner.operator == Operator::Unary(Unary::Tanh);
    let is_whole = if is_tanh { is_cubic(chain, argument, x) } else { is_quotient(chain, argument, x) };
    let is_gelu = is_whole && end.output.dims == x.dims && chain.is_float(x);
    is_gelu.then(|| Fusion { operator: Operator::Gelu { is_tanh }, inputs: vec![x.clone()] })
}

/// `(x (1 + ..)) 0.5`: x and what is in brackets.
fn halved_last<'a>(chain: &Chain<'a>, factors: [&'a Operand; 2]) -> Option<(&'a Operand, &'a Operand)> {
    let (product, half) = Chain::either(factors, |operand| chain.binary(operand, Binary::Mul, 1))?;
    let is_sum = |operand| chain.binary(operand, Binary::Add, 1).map(|_| operand);
    let (shifted, x) = Chain::either(product, is_sum)?;
    chain.is_number(half, 0.5).then_some((x, shifted))
}

/// `(x 0.5) (1 + ..)`.
fn halved_first<'a>(chain: &Chain<'a>, factors: [&'a Operand; 2]) -> Option<(&'a Operand, &'a Operand)> {
    let (halved, shifted) = Chain::either(factors, |operand| chain.binary(operand, Binary::Mul, 1))?;
    let ((), x) = Chain::either(halved, |operand| chain.is_number(operand, 0.5).then_some(()))?;
    Some((x, shifted))
}

/// Whether an operand is `x / sqrt(2)`.
fn is_quotient(chain: &Chain<'_>, operand: &Operand, x: &Operand) -> bool {
    let divided = chain.binary(operand, Binary::Div, 1);
    if let Some([numerator, root]) = divided {
        return numerator == x && chain.is_number(root, SQRT_2);
    }
    chain.binary(operand, Binary::Mul, 1).is_some_and(|factors| is_multiple(chain, factors, x, FRAC_1_SQRT_2))
}

/// Whether an operand is `sqrt(2 / pi) (x + 0.044715 x^3)`.
fn is_cubic(chain: &Chain<'_>, operand: &Operand, x: &Operand) -> bool {
    let sum = chain.binary(operand, Binary::Mul, 1).and_then(|factors| {
        let root = (2.0 / PI).sqrt();
        let is_sum = |operand| chain.binary(operand, Binary::Add, 1);
        Chain::either(factors, is_sum).filter(|(_, factor)| chain.is_number(factor, root))
    });
    let Some((terms, _)) = sum else { return false };
    let weighted = Chain::either(terms, |term| chain.binary(term, Binary::Mul, 1).filter(|_| term != x));
    let Some((factors, first)) = weighted else { return false };
    let cube = Chain::either(factors, |factor| is_cube(chain, factor, x).then_some(()));
    first == x && cube.is_some_and(|((), weight)| chain.is_number(weight, CUBE))
}

fn is_cube(chain: &Chain<'_>, operand: &Operand, x: &Operand) -> bool {
    if let Some([base, exponent]) = chain.binary(operand, Binary::Pow, 1) {
        return base == x && chain.is_number(exponent, 3.0);
    }
    let Some(factors) = chain.binary(operand, Binary::Mul, 1) else { return false };
    let square = Chain::either(factors, |factor| chain.binary(factor, Binary::Mul, 1));
    square.is_some_and(|(square, other)| square == [x, x] && other == x)
}

fn is_multiple(chain: &Chain<'_>, [a, b]: [&Operand; 2], x: &Operand, factor: f64) -> bool {
    (a == x && chain.is_number(b, factor)) || (b == x && chain.is_number(a, factor))
}
