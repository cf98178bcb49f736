//! Matrix products.

use super::Lowering;
use crate::launch::{Binary, Call, Unary};
use lockstep_hal::Result;
use lockstep_hal::graph::{Activation, DType, Linear};

impl Lowering<'_> {
    pub(super) fn matmul(&mut self) -> Result<()> {
        let (a, b, out) = (self.input(0)?, self.input(1)?, self.out()?);
        if a.dims.last() == Some(&0) {
            self.fill_with(out, 0.0);
            return Ok(());
        }
        self.calls.push(Call::Matmul { a, b, out });
        Ok(())
    }

    /// In f32 alone, where every part's rounding is one that the definition has: in f16 the operators between would round to f16,
    /// so that there it is decomposed.
    pub(super) fn linear(&mut self, parts: Linear) -> Result<()> {
        let (x, weight, out) = (self.input(0)?, self.input_as(1, DType::F32)?, self.out()?);
        let (n, k) = (weight.dims[0], weight.dims[1]);
        let rows = out.count() / n;
        let out = out.shaped(&[rows, n]);
        let mut last = if parts.activation.is_none() && !parts.residual {
            out.clone()
        } else {
            self.temporary(DType::F32, &[rows, n])
        };
        let bias = if parts.bias { Some(self.input_as(2, DType::F32)?) } else { None };
        match bias {
            _ if k == 0 => {
                self.fill_with(last.clone(), 0.0);
                if let Some(bias) = bias {
                    self.calls
                        .push(Call::Copy { from: bias.strided(&[rows, n], &[0, 1], 0), to: last.clone() });
                }
            }
            Some(bias) => {
                let (a, b) = (x.shaped(&[rows, k]), weight.transposed());
                self.calls.push(Call::Addmm { bias, a, b, out: last.clone() });
            }
            None => {
                let (a, b) = (x.shaped(&[rows, k]), weight.transposed());
                self.calls.push(Call::Matmul { a, b, out: last.clone() });
            }
        }
        if let Some(activation) = parts.activation {
            let activated = if parts.residual { self.temporary(DType::F32, &[rows, n]) } else { out.clone() };
            let op = match activation {
                Activation::Gelu(form) => self.gelu_of(form),
                Activation::Tanh => Unary::Tanh,
            };
            self.calls.push(Call::Unary(op, last, activated.clone()));
            last = activated;
        }
        if parts.residual {
            let residual = self.input(self.inputs.len() - 1)?.shaped(&[rows, n]);
            self.calls.push(Call::Binary(Binary::Add, [last, residual], out));
        }
        Ok(())
    }
}
