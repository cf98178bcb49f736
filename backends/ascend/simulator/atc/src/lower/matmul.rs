//! Matrix products.

use super::{Lowering, Slot, wrong};
use crate::Result;
use crate::dtype::{host, is_float};
use crate::view::{broadcast, transposed};
use lockstep_ascend_container::{Binary, DType, Operator};
use lockstep_graph::HostTensor;
use lockstep_onnx::messages::NodeProto;

impl Lowering<'_> {
    pub(super) fn matmul(&mut self, node: &NodeProto) -> Result<Slot> {
        let [a, b] = self.exactly(node)?;
        let (of_a, of_b) = (self.dims(&a), self.dims(&b));
        if of_a.is_empty() || of_b.is_empty() {
            return Err(wrong(node, "has an operand without axes"));
        }
        // A vector is a matrix of one row on the left, of one column on the right.
        let matrix_a = if of_a.len() == 1 { self.reshape(node, &a, &[1, of_a[0]])? } else { a };
        let matrix_b = if of_b.len() == 1 { self.reshape(node, &b, &[of_b[0], 1])? } else { b };
        let product = self.product(node, &matrix_a, &matrix_b)?;
        let mut dims = self.dims(&product);
        let rank = dims.len();
        if of_b.len() == 1 {
            dims.remove(rank - 1);
        }
        if of_a.len() == 1 {
            dims.remove(rank - 2);
        }
        if dims.len() == rank { Ok(product) } else { self.reshape(node, &product, &dims) }
    }

    fn product(&mut self, node: &NodeProto, a: &Slot, b: &Slot) -> Result<Slot> {
        let (of_a, of_b) = (self.dims(a), self.dims(b));
        let dtypes = [self.dtype(node, a)?, self.dtype(node, b)?];
        if dtypes[0] != dtypes[1] || !is_float(dtypes[0]) {
            return Err(wrong(
                node,
                format!("its operands are {dtypes:?}; atc-sim multiplies two of F32 or F16"),
            ));
        }
        let (batch_a, batch_b) = (&of_a[..of_a.len() - 2], &of_b[..of_b.len() - 2]);
        let (rows, shared) = (of_a[of_a.len() - 2], of_a[of_a.len() - 1]);
        let columns = of_b[of_b.len() - 1];
        let batch = broadcast(&[batch_a, batch_b]).filter(|_| of_b[of_b.len() - 2] == shared);
        let mut dims =
            batch.ok_or_else(|| wrong(node, format!("there is no product of {of_a:?} and {of_b:?}")))?;
        dims.extend([rows, columns]);
        let operands = vec![self.reads(node, a)?, self.reads(node, b)?];
        let result = self.fresh(node, dtypes[0], &dims)?;
        self.draft.step(&node.name, Operator::MatMul, operands, result.clone());
        Ok(Slot::Run(result))
    }

    pub(super) fn gemm(&mut self, node: &NodeProto) -> Result<Slot> {
        let [mut a, mut b] = [self.slot(node, 0)?, self.slot(node, 1)?];
        for (matrix, flag) in [(&mut a, "transA"), (&mut b, "transB")] {
            if self.dims(matrix).len() != 2 {
                return Err(wrong(node, "multiplies matrices of two axes"));
            }
            if node.int(flag)?.unwrap_or(0) != 0 {
                *matrix = Slot::Run(transposed(&self.reads(node, matrix)?, &[1, 0]));
            }
        }
        let dtype = self.dtype(node, &a)?;
        let mut result = self.product(node, &a, &b)?;
        result = self.scaled(node, result, "alpha", dtype)?;
        let Some(added) = self.optional(node, 2)? else { return Ok(result) };
        let dims = self.dims(&result);
        let added = self.scaled(node, added, "beta", dtype)?;
        let sum = self.pair(node, Binary::Add, &result, &added)?;
        match self.dims(&sum) == dims {
            true => Ok(sum),
            false => Err(wrong(node, format!("what it adds does not broadcast to {dims:?}"))),
        }
    }

    fn scaled(&mut self, node: &NodeProto, x: Slot, attribute: &str, dtype: DType) -> Result<Slot> {
        let factor = node.float(attribute)?.unwrap_or(1.0);
        if factor == 1.0 {
            return Ok(x);
        }
        let factor = HostTensor::from_f64(host(dtype), &[], &[f64::from(factor)]);
        let factor = factor.map_err(|error| wrong(node, error.to_string()))?;
        let factor = self.constant(node, factor)?;
        self.pair(node, Binary::Mul, &x, &factor)
    }
}
