//! One more node, of any op of the set, on values that it can take.

use super::generate::Generator;
use crate::cases::dims;
use lockstep_runtime::graph::{
    Activation, Attention, BinaryOp, CompareOp, GeluForm, Linear, Op, Operands, PoolKind, ReduceOp,
    Sequences, UnaryOp,
};
use lockstep_runtime::tensor::DType;

const FORMS: [GeluForm; 2] = [GeluForm::Erf, GeluForm::Tanh];

impl Generator {
    /// Tries to add a node; what does not fit is left out, and the next try draws anew.
    pub(super) fn grow(&mut self) {
        match self.r.below(24) {
            0 | 1 => self.unary(),
            2..=4 => self.binary(),
            5 => self.choice(),
            6 => self.cast(),
            7 => self.product(),
            8 => self.moved(),
            9 => self.reshaped(),
            10 => self.part(),
            11 => self.joined(),
            12 => self.gathered(),
            13 => self.index_sum(),
            14 | 15 => self.reduced(),
            16 => self.made(),
            17 => self.softmax(),
            18 | 19 => self.norm(),
            20 => self.gelu(),
            21 => self.linear(),
            22 => self.attention(),
            _ => self.pool(),
        }
    }

    fn unary(&mut self) {
        let function = self.r.pick(&UnaryOp::ALL);
        let x = match function {
            UnaryOp::Not => match self.existing(|ty| ty.dtype == DType::Bool) {
                Some(x) => x,
                None => return,
            },
            _ => self.float(0),
        };
        self.node(Op::Unary(function), &[x]);
    }

    fn binary(&mut self) {
        let function = self.r.pick(&BinaryOp::ALL);
        let (x, dtype) = match function {
            BinaryOp::And | BinaryOp::Or => match self.existing(|ty| ty.dtype == DType::Bool) {
                Some(x) => (x, DType::Bool),
                None => return,
            },
            // Of integers too, where nothing can be refused but the op: no division by zero, no negative power.
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Max if self.r.below(8) == 0 => {
                match self.existing(|ty| ty.dtype.is_integer()) {
                    Some(x) => (x, self.ty(x).dtype),
                    None => return,
                }
            }
            _ => {
                let x = self.float(0);
                (x, self.ty(x).dtype)
            }
        };
        let shape = self.extents(x);
        let narrower = self.narrower(&shape);
        let other =
            if self.r.below(2) == 0 { self.alike(dtype, &shape) } else { self.alike(dtype, &narrower) };
        let inputs = if self.r.below(2) == 0 { [x, other] } else { [other, x] };
        self.node(Op::Binary(function), &inputs);
    }

    /// A comparison, and what it chooses.
    fn choice(&mut self) {
        let (x, function) = (self.float(0), self.r.pick(&CompareOp::ALL));
        let (dtype, shape) = (self.ty(x).dtype, self.extents(x));
        let narrower = self.narrower(&shape);
        let other = self.alike(dtype, &narrower);
        let Some(condition) = self.node(Op::Compare(function), &[x, other]) else { return };
        if self.r.below(3) > 0 {
            let another = self.alike(dtype, &shape);
            self.node(Op::Select, &[condition, another, x]);
        }
    }

    fn cast(&mut self) {
        let x = self.anything(0);
        let own = self.dtype;
        let to = self.r.pick(&[
            own,
            own,
            own,
            own,
            DType::F32,
            DType::F16,
            DType::Bf16,
            DType::I64,
            DType::I32,
            DType::Bool,
        ]);
        self.node(Op::Cast { to }, &[x]);
    }

    fn product(&mut self) {
        let a = self.float(2);
        let (dtype, shape) = (self.ty(a).dtype, self.extents(a));
        let (k, n) = (shape[shape.len() - 1], self.extent());
        let leading = self.narrower(&shape[..shape.len() - 2]);
        let b = self.alike(dtype, &[leading.as_slice(), &[k, n]].concat());
        self.node(Op::MatMul, &[a, b]);
    }

    fn moved(&mut self) {
        let x = self.anything(1);
        let mut permutation: Vec<usize> = (0..self.extents(x).len()).collect();
        for at in (1..permutation.len()).rev() {
            permutation.swap(at, self.r.below(at + 1));
        }
        self.node(Op::Transpose { permutation }, &[x]);
    }

    fn reshaped(&mut self) {
        let x = self.anything(0);
        let shape = self.extents(x);
        let count: usize = shape.iter().product();
        let op = match self.r.below(4) {
            0 => Op::Reshape { shape: dims(&[count]) },
            1 => Op::Reshape { shape: dims(&[&[1], shape.as_slice(), &[1]].concat()) },
            2 if shape.len() >= 2 => {
                Op::Reshape { shape: dims(&[&[shape[0] * shape[1]], &shape[2..]].concat()) }
            }
            _ => {
                let wider = shape.iter().map(|&extent| if extent == 1 { self.extent() } else { extent });
                let wider: Vec<usize> = wider.collect();
                let leading = self.extent();
                Op::Expand { shape: dims(&[&[leading], wider.as_slice()].concat()) }
            }
        };
        self.node(op, &[x]);
    }

    fn part(&mut self) {
        let x = self.anything(1);
        let shape = self.extents(x);
        let axis = self.r.below(shape.len());
        let (start, step) = (self.r.below(shape[axis] + 1), 1 + self.r.below(3));
        let most = (shape[axis] - start).div_ceil(step);
        let length = self.r.below(most + 1);
        self.node(Op::Slice { axis, start, step, length: length.into() }, &[x]);
    }

    fn joined(&mut self) {
        let x = self.anything(1);
        let (dtype, shape) = (self.ty(x).dtype, self.extents(x));
        let axis = self.r.below(shape.len());
        let mut inputs = vec![x];
        for _ in 0..1 + self.r.below(2) {
            let mut other = shape.clone();
            if self.r.below(2) == 0 {
                other[axis] = self.extent();
            }
            inputs.push(self.alike(dtype, &other));
        }
        self.node(Op::Concat { axis }, &inputs);
    }

    fn gathered(&mut self) {
        let x = self.anything(1);
        let shape = self.extents(x);
        let axis = self.r.below(shape.len());
        if shape[axis] == 0 {
            return;
        }
        let (dtype, rank) = (self.r.pick(&[DType::I64, DType::I32]), self.r.below(3));
        let index = self.shape(rank);
        let index = self.places(dtype, &index, shape[axis]);
        self.node(Op::Gather { axis }, &[x, index]);
    }

    fn index_sum(&mut self) {
        let base = self.float(1);
        let (dtype, mut shape) = (self.ty(base).dtype, self.extents(base));
        let axis = self.r.below(shape.len());
        if shape[axis] == 0 {
            return;
        }
        let count = self.extent();
        let index_dtype = self.r.pick(&[DType::I64, DType::I32]);
        let index = self.places(index_dtype, &[count], shape[axis]);
        shape[axis] = count;
        let source = self.alike(dtype, &shape);
        self.node(Op::IndexAdd { axis }, &[base, index, source]);
    }

    fn reduced(&mut self) {
        let x = self.float(0);
        let op = self.r.pick(&[ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max, ReduceOp::Min]);
        let axes = (0..self.extents(x).len()).filter(|_| self.r.below(2) == 0).collect();
        let keep_axes = self.r.below(2) == 0;
        self.node(Op::Reduce { op, axes, keep_axes }, &[x]);
    }

    fn made(&mut self) {
        let op = if self.r.below(3) == 0 {
            Op::Iota { length: self.extent().into() }
        } else {
            let (dtype, rank) =
                (self.r.pick(&[self.dtype, self.dtype, DType::I64, DType::Bool]), self.r.below(3));
            let value = self.r.pick(&[0.0, 1.0, -2.5, 1e-3, 300.0]);
            Op::Fill { dtype, value, shape: dims(&self.shape(rank)) }
        };
        self.node(op, &[]);
    }

    fn softmax(&mut self) {
        let x = self.float(1);
        let axis = self.r.below(self.extents(x).len());
        self.node(Op::Softmax { axis }, &[x]);
    }

    fn norm(&mut self) {
        let x = self.float(1);
        let (dtype, shape) = (self.ty(x).dtype, self.extents(x));
        let width = shape[shape.len() - 1];
        let epsilon = self.r.pick(&[1e-12, 1e-5, 1e-3]);
        let (gamma, beta) = (self.weight(&[width]), self.weight(&[width]));
        if self.r.below(2) == 0 {
            self.node(Op::LayerNorm { epsilon }, &[x, gamma, beta]);
        } else {
            let residual = self.alike(dtype, &shape);
            self.node(Op::AddLayerNorm { epsilon }, &[x, residual, gamma, beta]);
        }
    }

    fn gelu(&mut self) {
        let (x, form) = (self.float(0), self.r.pick(&FORMS));
        self.node(Op::Gelu(form), &[x]);
    }

    fn linear(&mut self) {
        let x = self.float(1);
        let (dtype, shape) = (self.ty(x).dtype, self.extents(x));
        let (k, n) = (shape[shape.len() - 1], self.extent());
        let activation = match self.r.below(3) {
            0 => None,
            1 => Some(Activation::Gelu(self.r.pick(&FORMS))),
            _ => Some(Activation::Tanh),
        };
        let (bias, residual) = (self.r.below(2) == 0, self.r.below(2) == 0);
        let mut inputs = vec![x, self.weight(&[n, k])];
        if bias {
            inputs.push(self.weight(&[n]));
        }
        if residual {
            inputs.push(self.alike(dtype, &[&shape[..shape.len() - 1], &[n]].concat()));
        }
        self.node(Op::Linear(Linear { bias, activation, residual }), &inputs);
    }

    fn attention(&mut self) {
        let (heads, size) = (1 + self.r.below(3), self.r.pick(&[1, 3, 8, 16, 17]));
        let hidden = heads * size;
        let operands = self.r.pick(&[Operands::Separate, Operands::Merged]);
        let sequences = self.r.pick(&[Sequences::Dense, Sequences::KeyMask, Sequences::Ends]);
        let (batch, seq) = (1 + self.r.below(3), 1 + self.r.below(17));
        let rows: &[usize] = if sequences == Sequences::Ends { &[seq] } else { &[batch, seq] };
        let mut inputs = match operands {
            Operands::Merged => vec![self.alike(self.dtype, &[rows, &[3 * hidden]].concat())],
            Operands::Separate => {
                // With neither mask nor ends, queries may be of another sequence than keys.
                let queries = match sequences {
                    Sequences::Dense => vec![batch, 1 + self.r.below(9)],
                    _ => rows.to_vec(),
                };
                let q = self.alike(self.dtype, &[queries.as_slice(), &[hidden]].concat());
                let keys = [rows, &[hidden]].concat();
                vec![q, self.alike(self.dtype, &keys), self.alike(self.dtype, &keys)]
            }
        };
        match sequences {
            Sequences::Dense => {}
            Sequences::KeyMask => inputs.push(self.alike(DType::Bool, &[batch, seq])),
            Sequences::Ends => inputs.push(self.ends(batch, seq)),
        }
        let scale = self.r.pick(&[1.0 / (size as f64).sqrt(), 0.5, 1.0]);
        self.node(Op::Attention(Attention { heads, scale, operands, sequences }), &inputs);
    }

    /// Where so many sequences end in `tokens`; some may be empty.
    fn ends(&mut self, sequences: usize, tokens: usize) -> super::sketch::Source {
        let mut ends: Vec<usize> = (1..sequences).map(|_| self.r.below(tokens + 1)).collect();
        ends.push(tokens);
        ends.sort_unstable();
        let ends: Vec<f64> = ends.into_iter().map(|end| end as f64).collect();
        self.given(DType::I64, &[sequences], &ends)
    }

    fn pool(&mut self) {
        let kind = self.r.pick(&[PoolKind::Mean, PoolKind::Max]);
        let (batch, seq, width) = (1 + self.r.below(3), 1 + self.r.below(9), self.extent());
        let (sequences, inputs) = if self.r.below(2) == 0 {
            let data = self.alike(self.dtype, &[batch, seq, width]);
            (Sequences::KeyMask, [data, self.alike(DType::Bool, &[batch, seq])])
        } else {
            let data = self.alike(self.dtype, &[seq, width]);
            (Sequences::Ends, [data, self.ends(batch, seq)])
        };
        self.node(Op::Pool { kind, sequences }, &inputs);
    }
}
