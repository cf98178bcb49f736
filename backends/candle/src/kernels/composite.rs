//! Products, norms and activations, as a candle user writes them.

use super::Result;
use crate::buffer::CandleTensor;
use candle_core::{D, Tensor};
use lockstep_hal::graph::{Activation, GeluForm, Linear};

/// candle takes at most two batch axes, and refuses most strides in them: other operands are spread, copied, and given one
/// batch axis.
pub(super) fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let batch = |x: &Tensor| x.dims()[..x.rank() - 2].to_vec();
    let (of_a, of_b) = (batch(a), batch(b));
    if of_a == of_b && of_a.len() <= 2 {
        // A transposed matrix is fine as it is; a transposed batch is not.
        let plain = |x: &Tensor| if x.rank() == 2 { Ok(x.clone()) } else { x.contiguous() };
        return Ok(plain(a)?.matmul(&plain(b)?)?);
    }
    let rank = of_a.len().max(of_b.len());
    let extent =
        |batch: &[usize], axis: usize| (axis + batch.len()).checked_sub(rank).map_or(1, |at| batch[at]);
    let joined = (0..rank).map(|axis| match (extent(&of_a, axis), extent(&of_b, axis)) {
        (1, other) => other,
        (extent, _) => extent,
    });
    let joined: Vec<usize> = joined.collect();
    let matrix = |x: &Tensor| [x.dims()[x.rank() - 2], x.dims()[x.rank() - 1]];
    let spread = |x: &Tensor| -> candle_core::Result<Tensor> {
        let [rows, columns] = matrix(x);
        let all = x.broadcast_as([&joined[..], &[rows, columns]].concat())?.contiguous()?;
        all.reshape((joined.iter().product::<usize>(), rows, columns))
    };
    let product = spread(a)?.matmul(&spread(b)?)?;
    Ok(product.reshape([&joined[..], &matrix(&product)].concat())?)
}

/// `exp(x - max) / sum`; a row of nothing but -inf gives zeros.
pub(super) fn softmax(x: &Tensor, axis: usize) -> Result<Tensor> {
    let max = x.max_keepdim(axis)?;
    let zero = max.zeros_like()?;
    let masked = max.eq(f64::NEG_INFINITY)?;
    let exponentials = x.broadcast_sub(&masked.where_cond(&zero, &max)?)?.exp()?;
    let sum = exponentials.sum_keepdim(axis)?;
    let divisor = sum.eq(0.0)?.where_cond(&sum.ones_like()?, &sum)?;
    Ok(exponentials.broadcast_div(&divisor)?)
}

/// Two passes: candle's own fused form subtracts large squares and loses all digits where the mean is large.
pub(super) fn layer_norm(
    x: &Tensor,
    gamma: &CandleTensor,
    beta: &CandleTensor,
    epsilon: f64,
) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normalised = centred.broadcast_div(&(variance + epsilon)?.sqrt()?)?;
    let scaled = normalised.broadcast_mul(&gamma.as_float(x.dtype())?)?;
    Ok(scaled.broadcast_add(&beta.as_float(x.dtype())?)?)
}

pub(super) fn gelu(x: &Tensor, form: GeluForm) -> Result<Tensor> {
    Ok(match form {
        GeluForm::Erf => x.gelu_erf()?,
        // candle's `gelu` is the tanh form.
        GeluForm::Tanh => x.gelu()?,
    })
}

/// `rest` holds the weight, then the bias and the residual if present.
pub(super) fn linear(parts: &Linear, x: &Tensor, rest: &[CandleTensor], shape: &[usize]) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    let rows = shape[..shape.len() - 1].iter().product::<usize>();
    let weight = rest[0].as_float(x.dtype())?;
    let mut y = x.reshape((rows, width))?.matmul(&weight.t()?)?;
    if parts.bias {
        y = y.broadcast_add(&rest[1].as_float(x.dtype())?)?;
    }
    y = match parts.activation {
        None => y,
        Some(Activation::Gelu(form)) => gelu(&y, form)?,
        Some(Activation::Tanh) => y.tanh()?,
    };
    let y = y.reshape(shape)?;
    if parts.residual { Ok(y.add(&rest[rest.len() - 1].tensor)?) } else { Ok(y) }
}
