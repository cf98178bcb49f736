//! The one decomposition of each composite into primitives: its fallback, its oracle and its fusion test.
//!
//! A decomposition may use other composites, as long as repeated decomposition ends in primitives. Weights stored in
//! another dtype are cast to x's first. In f16 and bf16 a decomposition rounds at every primitive, a fused kernel once;
//! in f64 the two are the same mathematics, and that is where they are compared.

use crate::{
    Activation, Attention, BinaryOp, CompareOp, DType, Dim, Error, GeluForm, GraphBuilder, Linear, Op,
    Operands, PoolKind, ReduceOp, Result, Sequences, UnaryOp, ValueId, infer,
};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Adds an op's decomposition to `builder`; `None` for a primitive, which has none.
///
/// # Errors
/// [`Error::Shape`] if the inputs do not fit the op.
pub fn decompose(op: &Op, builder: &mut GraphBuilder, inputs: &[ValueId]) -> Result<Option<Vec<ValueId>>> {
    if op.is_primitive() {
        return Ok(None);
    }
    // What follows may rely on every input being there and of its rank.
    infer("", op, &inputs.iter().map(|&id| builder.ty(id)).collect::<Vec<_>>())?;
    let wrong = |takes: usize| Error::shape("", op, format!("takes {takes} inputs, got {}", inputs.len()));
    let output = match op {
        Op::Softmax { axis } => softmax(builder, *inputs.first().ok_or_else(|| wrong(1))?, *axis)?,
        Op::LayerNorm { epsilon } => {
            let &[x, gamma, beta] = inputs else { return Err(wrong(3)) };
            layer_norm(builder, x, gamma, beta, *epsilon)?
        }
        Op::AddLayerNorm { epsilon } => {
            let &[x, residual, gamma, beta] = inputs else { return Err(wrong(4)) };
            let sum = builder.add("sum", x, residual)?;
            builder.layer_norm("norm", sum, gamma, beta, *epsilon)?
        }
        Op::EmbedLayerNorm { dtype, epsilon } => {
            let [pairs @ .., gamma, beta] = inputs else { return Err(wrong(4)) };
            embed_layer_norm(builder, pairs, [*gamma, *beta], *dtype, *epsilon)?
        }
        Op::Gelu(form) => gelu(builder, *inputs.first().ok_or_else(|| wrong(1))?, *form)?,
        Op::Linear(parts) => linear(builder, parts, inputs)?,
        Op::Attention(attention) => decompose_attention(builder, attention, inputs)?,
        Op::Pool { kind, sequences } => {
            let &[data, positions] = inputs else { return Err(wrong(2)) };
            pool(builder, *kind, *sequences, data, positions)?
        }
        Op::Custom(custom) => {
            let implementation = custom.implementation().ok_or_else(|| {
                Error::shape("", op, "its implementation was not given when the graph was read")
            })?;
            return implementation.decompose(builder, inputs).map(Some);
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![output]))
}

/// `exp(x - max) / sum`; where the maximum is -inf, zeros instead of NaN.
fn softmax(b: &mut GraphBuilder, x: ValueId, axis: usize) -> Result<ValueId> {
    let dtype = b.ty(x).dtype;
    let max = b.reduce("max", ReduceOp::Max, x, &[axis], true)?;
    let lowest = b.scalar("lowest", dtype, f64::NEG_INFINITY)?;
    let zero = b.scalar("zero", dtype, 0.0)?;
    let one = b.scalar("one", dtype, 1.0)?;
    let masked = b.compare("masked", CompareOp::Eq, max, lowest)?;
    let shift = b.select("shift", masked, zero, max)?;
    let shifted = b.binary("shifted", BinaryOp::Sub, x, shift)?;
    let exponentials = b.unary("exp", UnaryOp::Exp, shifted)?;
    let sum = b.reduce("sum", ReduceOp::Sum, exponentials, &[axis], true)?;
    let divisor = b.select("divisor", masked, one, sum)?;
    b.binary("quotient", BinaryOp::Div, exponentials, divisor)
}

/// Two passes, biased variance, epsilon inside the root.
fn layer_norm(
    b: &mut GraphBuilder,
    x: ValueId,
    gamma: ValueId,
    beta: ValueId,
    epsilon: f64,
) -> Result<ValueId> {
    let ty = b.ty(x).clone();
    let last = ty.shape.len().checked_sub(1).ok_or_else(|| Error::shape("", "LayerNorm", "x has no axes"))?;
    let mean = b.reduce("mean", ReduceOp::Mean, x, &[last], true)?;
    let centred = b.binary("centred", BinaryOp::Sub, x, mean)?;
    let squares = b.mul("squares", centred, centred)?;
    let variance = b.reduce("variance", ReduceOp::Mean, squares, &[last], true)?;
    let epsilon = b.scalar("epsilon", ty.dtype, epsilon)?;
    let shifted = b.add("shifted", variance, epsilon)?;
    let deviation = b.unary("deviation", UnaryOp::Sqrt, shifted)?;
    let normalised = b.binary("normalised", BinaryOp::Div, centred, deviation)?;
    let gamma = b.cast("gamma", gamma, ty.dtype)?;
    let beta = b.cast("beta", beta, ty.dtype)?;
    let scaled = b.mul("scaled", normalised, gamma)?;
    b.add("", scaled, beta)
}

/// Rows are added from the first table to the last, in f32 where the result is narrower.
fn embed_layer_norm(
    b: &mut GraphBuilder,
    pairs: &[ValueId],
    [gamma, beta]: [ValueId; 2],
    dtype: DType,
    epsilon: f64,
) -> Result<ValueId> {
    let wide = if matches!(dtype, DType::F16 | DType::Bf16) { DType::F32 } else { dtype };
    let mut sum = None;
    for pair in pairs.chunks_exact(2) {
        let rows = b.gather("rows", pair[0], 0, pair[1])?;
        let rows = b.cast("rows.wide", rows, wide)?;
        sum = Some(match sum {
            None => rows,
            Some(before) => b.add("sum", before, rows)?,
        });
    }
    let sum = sum.ok_or_else(|| Error::shape("", "EmbedLayerNorm", "takes at least one table"))?;
    let normalised = b.layer_norm("norm", sum, gamma, beta, epsilon)?;
    if wide == dtype { Ok(normalised) } else { b.cast("", normalised, dtype) }
}

fn gelu(b: &mut GraphBuilder, x: ValueId, form: GeluForm) -> Result<ValueId> {
    let dtype = b.ty(x).dtype;
    let inner = match form {
        GeluForm::Erf => {
            let factor = b.scalar("inverse_root_two", dtype, FRAC_1_SQRT_2)?;
            let scaled = b.mul("scaled", x, factor)?;
            b.unary("erf", UnaryOp::Erf, scaled)?
        }
        GeluForm::Tanh => {
            let square = b.mul("square", x, x)?;
            let cube = b.mul("cube", square, x)?;
            let weight = b.scalar("cube_weight", dtype, 0.044715)?;
            let weighted = b.mul("weighted", cube, weight)?;
            let sum = b.add("argument", x, weighted)?;
            let factor = b.scalar("root_two_over_pi", dtype, (2.0 / PI).sqrt())?;
            let scaled = b.mul("scaled", sum, factor)?;
            b.unary("tanh", UnaryOp::Tanh, scaled)?
        }
    };
    let one = b.scalar("one", dtype, 1.0)?;
    let half = b.scalar("half", dtype, 0.5)?;
    let shifted = b.add("shifted", inner, one)?;
    let halved = b.mul("halved", x, half)?;
    b.mul("", halved, shifted)
}

fn linear(b: &mut GraphBuilder, parts: &Linear, inputs: &[ValueId]) -> Result<ValueId> {
    let expected = 2 + usize::from(parts.bias) + usize::from(parts.residual);
    if inputs.len() != expected {
        return Err(Error::shape("", "Linear", format!("takes {expected} inputs, got {}", inputs.len())));
    }
    let ty = b.ty(inputs[0]).clone();
    // A vector has no matrix product; it becomes a matrix of one row on the way.
    let as_matrix = ty.shape.len() == 1;
    let mut x = inputs[0];
    if as_matrix {
        x = b.reshape("row", x, &[Dim::from(1), ty.shape[0].clone()])?;
    }
    let weight = b.cast("weight", inputs[1], ty.dtype)?;
    let transposed = b.transpose("transposed", weight, &[1, 0])?;
    let mut y = b.matmul("product", x, transposed)?;
    if as_matrix {
        let width = b.ty(y).shape[1].clone();
        y = b.reshape("vector", y, &[width])?;
    }
    if parts.bias {
        let bias = b.cast("bias", inputs[2], ty.dtype)?;
        y = b.add("biased", y, bias)?;
    }
    y = match parts.activation {
        None => y,
        Some(Activation::Gelu(form)) => b.gelu("gelu", y, form)?,
        Some(Activation::Tanh) => b.unary("tanh", UnaryOp::Tanh, y)?,
    };
    if parts.residual { b.add("", y, inputs[expected - 1]) } else { Ok(y) }
}

fn decompose_attention(b: &mut GraphBuilder, attention: &Attention, inputs: &[ValueId]) -> Result<ValueId> {
    let wrong = || Error::shape("", "Attention", "inputs do not fit");
    let (q, k, v, positions) = match (attention.operands, inputs) {
        (Operands::Separate, [q, k, v, rest @ ..]) => (*q, *k, *v, rest.first().copied()),
        (Operands::Merged, [merged, rest @ ..]) => {
            let ty = b.ty(*merged).clone();
            let axis = ty.shape.len().checked_sub(1).ok_or_else(wrong)?;
            let hidden = ty.shape[axis].as_const().ok_or_else(wrong)? / 3;
            let mut part =
                |name: &str, at: usize| b.slice(name, *merged, axis, at * hidden, Dim::from(hidden));
            (part("q", 0)?, part("k", 1)?, part("v", 2)?, rest.first().copied())
        }
        _ => return Err(wrong()),
    };
    let packed = attention.sequences == Sequences::Ends;
    let out_shape = b.ty(q).shape.clone();
    // Packed tokens are one batch of one long sequence whose mask is true within each sequence.
    let (q, k, v) =
        if packed { (batch_of_one(b, q)?, batch_of_one(b, k)?, batch_of_one(b, v)?) } else { (q, k, v) };
    let q = split_heads(b, "q", q, attention.heads, [0, 2, 1, 3])?;
    let k = split_heads(b, "k", k, attention.heads, [0, 2, 3, 1])?;
    let v = split_heads(b, "v", v, attention.heads, [0, 2, 1, 3])?;
    let dtype = b.ty(q).dtype;
    let product = b.matmul("product", q, k)?;
    let scale = b.scalar("scale", dtype, attention.scale)?;
    let scores = b.mul("scores", product, scale)?;
    let context = match positions {
        None => {
            let probabilities = b.softmax("probabilities", scores, 3)?;
            b.matmul("context", probabilities, v)?
        }
        Some(positions) => {
            let mask =
                if packed { same_sequence(b, positions, &out_shape[0])? } else { key_mask(b, positions)? };
            let lowest = b.scalar("lowest", dtype, f64::NEG_INFINITY)?;
            let scores = b.select("masked", mask, scores, lowest)?;
            let probabilities = b.softmax("probabilities", scores, 3)?;
            if packed {
                context_of_own(b, probabilities, v, mask)?
            } else {
                let values = kept_values(b, positions, v)?;
                b.matmul("context", probabilities, values)?
            }
        }
    };
    let joined = b.transpose("joined", context, &[0, 2, 1, 3])?;
    b.reshape("", joined, &out_shape)
}

/// `[batch, seq, hidden]` to `[batch, seq, heads, size]`, permuted.
fn split_heads(
    b: &mut GraphBuilder,
    name: &str,
    x: ValueId,
    heads: usize,
    axes: [usize; 4],
) -> Result<ValueId> {
    let shape = b.ty(x).shape.clone();
    let size = shape[2].divide(&Dim::from(heads));
    let size = size.ok_or_else(|| {
        Error::shape(name, "Attention", format!("{heads} heads do not divide {}", shape[2]))
    })?;
    let split = b.reshape(name, x, &[shape[0].clone(), shape[1].clone(), Dim::from(heads), size])?;
    b.transpose(name, split, &axes)
}

fn batch_of_one(b: &mut GraphBuilder, x: ValueId) -> Result<ValueId> {
    let mut shape = b.ty(x).shape.clone();
    shape.insert(0, Dim::from(1));
    b.reshape("batch_of_one", x, &shape)
}

/// Values `[batch, heads, seq, size]` with zeros at masked keys. Their weight is 0, but 0 times NaN is NaN.
fn kept_values(b: &mut GraphBuilder, mask: ValueId, v: ValueId) -> Result<ValueId> {
    let (shape, dtype) = (b.ty(mask).shape.clone(), b.ty(v).dtype);
    let mask = b.reshape("kept", mask, &[shape[0].clone(), Dim::from(1), shape[1].clone(), Dim::from(1)])?;
    let zero = b.scalar("zero", dtype, 0.0)?;
    b.select("kept_values", mask, v, zero)
}

/// Weighted values of packed sequences, where `same` says which value is of which row's sequence. Values of other sequences have
/// weight 0, but 0 times NaN is NaN, and a value is of several rows: there is no zeroing it for some of them. So the product is of
/// what is finite, and what an infinity or a NaN of a row's own sequence makes of it is added: itself, or NaN where the weight of
/// an infinity is 0.
fn context_of_own(
    b: &mut GraphBuilder,
    probabilities: ValueId,
    v: ValueId,
    same: ValueId,
) -> Result<ValueId> {
    let dtype = b.ty(v).dtype;
    let (zero, one) = (b.scalar("zero", dtype, 0.0)?, b.scalar("one", dtype, 1.0)?);
    let own = b.select("own", same, one, zero)?;
    let is_zero = b.compare("is_zero", CompareOp::Eq, probabilities, zero)?;
    let weightless = b.select("weightless", is_zero, own, zero)?;
    let difference = b.binary("difference", BinaryOp::Sub, v, v)?;
    let is_finite = b.compare("is_finite", CompareOp::Eq, difference, zero)?;
    let values = b.select("finite_values", is_finite, v, zero)?;
    let mut context = b.matmul("finite_context", probabilities, values)?;
    let not_finite = b.select("not_finite", is_finite, zero, one)?;
    let not_number = b.compare("not_number", CompareOp::Ne, v, v)?;
    let mut added: Vec<(ValueId, ValueId, f64)> = vec![(weightless, not_finite, f64::NAN)];
    let marks = b.select("nan", not_number, one, zero)?;
    added.push((own, marks, f64::NAN));
    for value in [f64::INFINITY, f64::NEG_INFINITY] {
        let scalar = b.scalar("value", dtype, value)?;
        let is_it = b.compare("is_infinite", CompareOp::Eq, v, scalar)?;
        added.push((probabilities, b.select("infinite", is_it, one, zero)?, value));
    }
    for (weights, marks, value) in added {
        let weight = b.matmul("weight", weights, marks)?;
        let is_met = b.compare("is_met", CompareOp::Gt, weight, zero)?;
        let value = b.scalar("met", dtype, value)?;
        let met = b.select("added", is_met, value, zero)?;
        context = b.add("context", context, met)?;
    }
    Ok(context)
}

/// bool `[batch, seq]` to `[batch, 1, 1, seq]`.
fn key_mask(b: &mut GraphBuilder, mask: ValueId) -> Result<ValueId> {
    let shape = b.ty(mask).shape.clone();
    b.reshape("mask", mask, &[shape[0].clone(), Dim::from(1), Dim::from(1), shape[1].clone()])
}

/// The sequence that each of `tokens` packed rows belongs to, i64 `[tokens]`: how many sequences end at or before it.
fn sequence_of_token(b: &mut GraphBuilder, ends: ValueId, tokens: &Dim) -> Result<ValueId> {
    let batch = b.ty(ends).shape[0].clone();
    let position = b.single("position", Op::Iota { length: tokens.clone() }, &[])?;
    let position = b.reshape("position", position, &[tokens.clone(), Dim::from(1)])?;
    let ends = b.reshape("ends", ends, &[Dim::from(1), batch])?;
    let ended = b.compare("ended", CompareOp::Ge, position, ends)?;
    let ended = b.cast("ended", ended, DType::I64)?;
    b.reduce("sequence", ReduceOp::Sum, ended, &[1], false)
}

/// bool `[tokens, tokens]`: whether two packed rows are of one sequence.
fn same_sequence(b: &mut GraphBuilder, ends: ValueId, tokens: &Dim) -> Result<ValueId> {
    let sequence = sequence_of_token(b, ends, tokens)?;
    let row = b.reshape("row", sequence, &[tokens.clone(), Dim::from(1)])?;
    let column = b.reshape("column", sequence, &[Dim::from(1), tokens.clone()])?;
    b.compare("same_sequence", CompareOp::Eq, row, column)
}

/// Packed pooling is `IndexAdd` by sequence for the mean, and a reduction over a `[batch, tokens]` membership for the
/// maximum; padded pooling is a masked reduction.
fn pool(
    b: &mut GraphBuilder,
    kind: PoolKind,
    sequences: Sequences,
    data: ValueId,
    positions: ValueId,
) -> Result<ValueId> {
    let ty = b.ty(data).clone();
    let dtype = ty.dtype;
    let one = b.scalar("one", dtype, 1.0)?;
    let zero = b.scalar("zero", dtype, 0.0)?;
    if sequences == Sequences::Ends && kind == PoolKind::Mean {
        let sequence = sequence_of_token(b, positions, &ty.shape[0])?;
        let batch = b.ty(positions).shape[0].clone();
        let base = b.fill("base", dtype, 0.0, &[batch.clone(), ty.shape[1].clone()])?;
        let sum = b.index_add("sum", 0, base, sequence, data)?;
        let ones = b.fill("ones", dtype, 1.0, &[ty.shape[0].clone(), Dim::from(1)])?;
        let base = b.fill("no_tokens", dtype, 0.0, &[batch, Dim::from(1)])?;
        let count = b.index_add("count", 0, base, sequence, ones)?;
        let divisor = b.binary("divisor", BinaryOp::Max, count, one)?;
        return b.binary("", BinaryOp::Div, sum, divisor);
    }
    // [batch, rows, 1] of truth values and [batch or 1, rows, hidden] of data.
    let (member, rows) = match sequences {
        Sequences::Ends => {
            let sequence = sequence_of_token(b, positions, &ty.shape[0])?;
            let batch = b.ty(positions).shape[0].clone();
            let index = b.single("index", Op::Iota { length: batch.clone() }, &[])?;
            let index = b.reshape("index", index, &[batch, Dim::from(1), Dim::from(1)])?;
            let sequence =
                b.reshape("sequence", sequence, &[Dim::from(1), ty.shape[0].clone(), Dim::from(1)])?;
            (b.compare("member", CompareOp::Eq, sequence, index)?, batch_of_one(b, data)?)
        }
        _ => {
            let shape = b.ty(positions).shape.clone();
            (b.reshape("member", positions, &[shape[0].clone(), shape[1].clone(), Dim::from(1)])?, data)
        }
    };
    match kind {
        PoolKind::Max => {
            let lowest = b.scalar("lowest", dtype, f64::NEG_INFINITY)?;
            let kept = b.select("kept", member, rows, lowest)?;
            b.reduce("", ReduceOp::Max, kept, &[1], false)
        }
        PoolKind::Mean => {
            let kept = b.select("kept", member, rows, zero)?;
            let sum = b.reduce("sum", ReduceOp::Sum, kept, &[1], false)?;
            let ones = b.cast("ones", member, dtype)?;
            let count = b.reduce("count", ReduceOp::Sum, ones, &[1], false)?;
            let divisor = b.binary("divisor", BinaryOp::Max, count, one)?;
            b.binary("", BinaryOp::Div, sum, divisor)
        }
    }
}
