//! LayerNormONNXFusionPass: ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div, Mul, Add over the last axis, as PyTorch's exporter and
//! ours write a LayerNorm. gamma and beta are constants.

use super::Fusion;
use super::chain::{Chain, operands};
use crate::modes::Modes;
use lockstep_ascend_container::{Binary, Operand, Operator, Step, Unary};

/// What an Add ends, if that is a LayerNorm.
pub(super) fn matched(chain: &Chain<'_>, end: &Step, modes: &Modes) -> Option<Fusion> {
    let (scaled, beta) = Chain::either(operands(end, Binary::Add)?, |x| chain.binary(x, Binary::Mul, 1))?;
    let (quotient, gamma) = Chain::either(scaled, |x| chain.binary(x, Binary::Div, 1))?;
    let [centred, deviation] = quotient;
    let shifted = chain.unary(deviation, Unary::Sqrt)?;
    let (variance, epsilon) =
        Chain::either(chain.binary(shifted, Binary::Add, 1)?, |operand| chain.mean(operand))?;
    // With another the chain is no LayerNorm of any device.
    let epsilon = chain.scalar(epsilon).filter(|epsilon| epsilon.is_finite())?;
    let readers = 1 + square_of(chain, variance, centred)?;
    let [x, mean] = chain.binary(centred, Binary::Sub, readers)?;
    let length = *x.dims.last()?;
    let is_its_own = chain.mean(mean)? == x && end.output.dims == x.dims;
    if !is_its_own || !chain.is_float(x) {
        return None;
    }
    let inputs = vec![x.clone(), chain.row(gamma, length)?, chain.row(beta, length)?];
    let is_precise = modes.layer_norm_is_precise(&end.name);
    Some(Fusion { operator: Operator::LayerNorm { epsilon, is_precise }, inputs })
}

/// How often a square reads what it is the square of, if that is `of`.
fn square_of(chain: &Chain<'_>, square: &Operand, of: &Operand) -> Option<usize> {
    if let Some([base, exponent]) = chain.binary(square, Binary::Pow, 1) {
        return (base == of && chain.is_number(exponent, 2.0)).then_some(1);
    }
    let factors = chain.binary(square, Binary::Mul, 1)?;
    (factors == [of, of]).then_some(2)
}
