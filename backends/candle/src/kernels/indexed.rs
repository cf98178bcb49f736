//! Ops that pick, join and add positions. Indices are checked here: candle takes the largest integer for "none" and a
//! negative one for a very large one.

use super::Result;
use crate::buffer::CandleTensor;
use crate::error::index_out_of_range;
use candle_core::{DType, Device, Tensor};
use lockstep_hal::graph::Op;

/// Checks the index of an op that has one.
pub(super) fn check(node: &str, op: &Op, inputs: &[CandleTensor]) -> Result<()> {
    let (Op::Gather { axis } | Op::IndexAdd { axis }, [data, index, ..]) = (op, inputs) else {
        return Ok(());
    };
    let limit = data.tensor.dims()[*axis];
    let values = index.tensor.flatten_all()?.to_dtype(DType::I64)?.to_vec1::<i64>()?;
    let bad = values.iter().position(|&value| usize::try_from(value).map_or(true, |value| value >= limit));
    bad.map_or(Ok(()), |at| Err(index_out_of_range(node, at, values[at], limit).into()))
}

/// An index as candle's kernels take it.
fn flat(index: &Tensor) -> Result<Tensor> {
    Ok(index.flatten_all()?.to_dtype(DType::I64)?.contiguous()?)
}

pub(super) fn gather(data: &Tensor, index: &Tensor, axis: usize, shape: &[usize]) -> Result<Tensor> {
    Ok(data.contiguous()?.index_select(&flat(index)?, axis)?.reshape(shape)?)
}

pub(super) fn index_add(base: &Tensor, index: &Tensor, source: &Tensor, axis: usize) -> Result<Tensor> {
    if index.elem_count() == 0 {
        return Ok(base.clone());
    }
    Ok(base.index_add(&flat(index)?, &source.contiguous()?, axis)?)
}

pub(super) fn slice(x: &Tensor, axis: usize, start: usize, step: usize, length: usize) -> Result<Tensor> {
    if step == 1 {
        return Ok(x.narrow(axis, start, length)?);
    }
    let positions: Vec<i64> = (0..length).map(|at| (start + at * step) as i64).collect();
    let positions = Tensor::from_vec(positions, length, &Device::Cpu)?;
    Ok(x.contiguous()?.index_select(&positions, axis)?)
}

pub(super) fn concat(parts: &[&Tensor], axis: usize) -> Result<Tensor> {
    let parts: Vec<Tensor> =
        parts.iter().filter(|part| part.elem_count() > 0).map(|&part| part.clone()).collect();
    Ok(Tensor::cat(&parts, axis)?)
}
