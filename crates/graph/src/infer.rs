//! Shape inference: one rule per op, for symbolic and known extents alike.

use crate::{
    Attention, BinaryOp, CompareOp, DType, Dim, Error, Linear, Op, Operands, ReduceOp, Result, Sequences,
    TensorType, UnaryOp,
};

type Rule<T> = std::result::Result<T, String>;

/// The types of an op's outputs.
///
/// With symbolic extents only what follows from their normal forms is checked; the planner infers again with a run's
/// extents, so that nothing reaches a device unchecked.
///
/// # Errors
/// [`Error::Shape`] names the node and says what was found and what was expected.
pub fn infer(node: &str, op: &Op, inputs: &[&TensorType]) -> Result<Vec<TensorType>> {
    infer_rule(op, inputs).map_err(|reason| {
        let given: Vec<String> = inputs.iter().map(ToString::to_string).collect();
        Error::shape(node, op, format!("{reason}; inputs are ({})", given.join(", ")))
    })
}

fn infer_rule(op: &Op, inputs: &[&TensorType]) -> Rule<Vec<TensorType>> {
    let one = |ty: TensorType| Ok(vec![ty]);
    match op {
        Op::Unary(function) => {
            let [x] = exactly(inputs)?;
            unary_dtype(*function, x.dtype)?;
            one(x.clone())
        }
        Op::Binary(function) => {
            let [a, b] = exactly(inputs)?;
            same_dtype(a, b)?;
            binary_dtype(*function, a.dtype)?;
            one(TensorType::new(a.dtype, broadcast(&a.shape, &b.shape)?))
        }
        Op::Compare(function) => {
            let [a, b] = exactly(inputs)?;
            same_dtype(a, b)?;
            let ordered = !matches!(function, CompareOp::Eq | CompareOp::Ne);
            require(!(ordered && a.dtype == DType::Bool), || "truth values have no order".into())?;
            one(TensorType::new(DType::Bool, broadcast(&a.shape, &b.shape)?))
        }
        Op::Select => {
            let [condition, a, b] = exactly(inputs)?;
            is_bool("the condition", condition)?;
            same_dtype(a, b)?;
            one(TensorType::new(a.dtype, broadcast(&broadcast(&condition.shape, &a.shape)?, &b.shape)?))
        }
        Op::Cast { to } => {
            let [x] = exactly(inputs)?;
            one(TensorType::new(*to, x.shape.clone()))
        }
        Op::MatMul => {
            let [a, b] = exactly(inputs)?;
            one(matmul(a, b)?)
        }
        Op::Transpose { permutation } => {
            let [x] = exactly(inputs)?;
            let mut sorted = permutation.clone();
            sorted.sort_unstable();
            require(sorted.iter().copied().eq(0..x.shape.len()), || {
                format!("{permutation:?} is not a permutation of {} axes", x.shape.len())
            })?;
            one(TensorType::new(
                x.dtype,
                permutation.iter().map(|&axis| x.shape[axis].clone()).collect::<Vec<_>>(),
            ))
        }
        Op::Reshape { shape } => {
            let [x] = exactly(inputs)?;
            let (from, to) = (Dim::product(&x.shape), Dim::product(shape));
            require(from == to, || format!("{from} elements cannot take a shape of {to}"))?;
            one(TensorType::new(x.dtype, shape.clone()))
        }
        Op::Expand { shape } => {
            let [x] = exactly(inputs)?;
            let all = broadcast(&x.shape, shape)?;
            require(all == *shape, || "the target shape is smaller than the input's".into())?;
            one(TensorType::new(x.dtype, all))
        }
        Op::Slice { axis, start, step, length } => {
            let [x] = exactly(inputs)?;
            one(slice(x, *axis, *start, *step, length)?)
        }
        Op::Concat { axis } => one(concat(inputs, *axis)?),
        Op::Gather { axis } => {
            let [data, index] = exactly(inputs)?;
            has_axis(data, *axis)?;
            is_index(index)?;
            let mut shape = data.shape[..*axis].to_vec();
            shape.extend(index.shape.iter().cloned());
            shape.extend_from_slice(&data.shape[*axis + 1..]);
            one(TensorType::new(data.dtype, shape))
        }
        Op::IndexAdd { axis } => {
            let [base, index, source] = exactly(inputs)?;
            has_axis(base, *axis)?;
            same_dtype(base, source)?;
            is_index(index)?;
            require(base.dtype != DType::Bool, || "truth values do not add".into())?;
            require(index.shape.len() == 1, || "the index must have one axis".into())?;
            let mut expected = base.shape.clone();
            expected[*axis] = index.shape[0].clone();
            require(source.shape == expected, || {
                format!("source must be {}", TensorType::new(source.dtype, expected.clone()))
            })?;
            one(base.clone())
        }
        Op::Reduce { op, axes, keep_axes } => {
            let [x] = exactly(inputs)?;
            one(reduce(*op, x, axes, *keep_axes)?)
        }
        Op::Fill { dtype, shape, .. } => {
            let [] = exactly(inputs)?;
            one(TensorType::new(*dtype, shape.clone()))
        }
        Op::Iota { length } => {
            let [] = exactly(inputs)?;
            one(TensorType::new(DType::I64, vec![length.clone()]))
        }
        Op::Softmax { axis } => {
            let [x] = exactly(inputs)?;
            is_float("x", x)?;
            has_axis(x, *axis)?;
            one(x.clone())
        }
        Op::LayerNorm { epsilon } => {
            let [x, gamma, beta] = exactly(inputs)?;
            one(layer_norm(*epsilon, x, gamma, beta)?)
        }
        Op::AddLayerNorm { epsilon } => {
            let [x, residual, gamma, beta] = exactly(inputs)?;
            require(x == residual, || "x and the residual must be alike".into())?;
            one(layer_norm(*epsilon, x, gamma, beta)?)
        }
        Op::EmbedLayerNorm { dtype, epsilon } => one(embed_layer_norm(*dtype, *epsilon, inputs)?),
        Op::Gelu(_) => {
            let [x] = exactly(inputs)?;
            is_float("x", x)?;
            one(x.clone())
        }
        Op::Linear(parts) => one(linear(parts, inputs)?),
        Op::Attention(attention) => one(attention_type(attention, inputs)?),
        Op::Pool { sequences, .. } => {
            let [data, positions] = exactly(inputs)?;
            is_float("data", data)?;
            let batch = sequences_fit(*sequences, data, positions)?;
            let hidden = data.shape.last().cloned().unwrap_or(Dim::from(1));
            one(TensorType::new(data.dtype, vec![batch, hidden]))
        }
        Op::Custom(custom) => {
            let implementation =
                custom.implementation().ok_or("its implementation was not given when the graph was read")?;
            implementation.infer(&inputs.iter().map(|&ty| ty.clone()).collect::<Vec<_>>())
        }
    }
}

fn embed_layer_norm(dtype: DType, epsilon: f64, inputs: &[&TensorType]) -> Rule<TensorType> {
    let wrong = || {
        format!("takes a table and an index, more such pairs, gamma and beta; got {} inputs", inputs.len())
    };
    let [pairs @ .., gamma, beta] = inputs else { return Err(wrong()) };
    let (pairs, []) = pairs.as_chunks::<2>() else { return Err(wrong()) };
    let [first, first_index] = pairs.first().ok_or_else(wrong)?;
    let [_, hidden] = first.shape.as_slice() else {
        return Err(format!("tables are [rows, hidden], one is {first}"));
    };
    for [table, index] in pairs {
        is_float("a table", table)?;
        is_index(index)?;
        require(table.shape.len() == 2 && table.shape[1] == *hidden, || {
            format!("every table must be [rows, {hidden}], one is {table}")
        })?;
        require(index.shape == first_index.shape, || {
            format!("every index must be of shape {first_index}, one is {index}")
        })?;
    }
    let shape = first_index.shape.iter().chain([hidden]).cloned().collect::<Vec<_>>();
    layer_norm(epsilon, &TensorType::new(dtype, shape), gamma, beta)
}

fn require(holds: bool, reason: impl FnOnce() -> String) -> Rule<()> {
    if holds { Ok(()) } else { Err(reason()) }
}

fn exactly<'a, const N: usize>(inputs: &[&'a TensorType]) -> Rule<[&'a TensorType; N]> {
    inputs.try_into().map_err(|_| format!("takes {N} inputs, got {}", inputs.len()))
}

fn same_dtype(a: &TensorType, b: &TensorType) -> Rule<()> {
    require(a.dtype == b.dtype, || {
        format!("operands must have one dtype; add a Cast from {} to {}", b.dtype, a.dtype)
    })
}

fn is_float(what: &str, ty: &TensorType) -> Rule<()> {
    require(ty.dtype.is_float(), || format!("{what} must be a float, is {}", ty.dtype))
}

fn is_bool(what: &str, ty: &TensorType) -> Rule<()> {
    require(ty.dtype == DType::Bool, || format!("{what} must be bool, is {}", ty.dtype))
}

fn is_index(ty: &TensorType) -> Rule<()> {
    require(matches!(ty.dtype, DType::I64 | DType::I32), || {
        format!("the index must be i64 or i32, is {}", ty.dtype)
    })
}

fn has_axis(ty: &TensorType, axis: usize) -> Rule<()> {
    require(axis < ty.shape.len(), || format!("has no axis {axis}"))
}

fn unary_dtype(op: UnaryOp, dtype: DType) -> Rule<()> {
    let fits = match op {
        UnaryOp::Not => dtype == DType::Bool,
        UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Relu => dtype.is_float() || dtype.is_integer(),
        _ => dtype.is_float(),
    };
    require(fits, || format!("is not defined for {dtype}"))
}

fn binary_dtype(op: BinaryOp, dtype: DType) -> Rule<()> {
    let fits = match op {
        BinaryOp::And | BinaryOp::Or => dtype == DType::Bool,
        _ => dtype != DType::Bool,
    };
    require(fits, || format!("is not defined for {dtype}"))
}

fn broadcast(a: &[Dim], b: &[Dim]) -> Rule<Vec<Dim>> {
    let rank = a.len().max(b.len());
    let one = Dim::from(1);
    let at = |shape: &[Dim], axis: usize| (axis + shape.len()).checked_sub(rank).map(|i| shape[i].clone());
    (0..rank)
        .map(|axis| match (at(a, axis).unwrap_or(Dim::from(1)), at(b, axis).unwrap_or(Dim::from(1))) {
            (x, y) if x == y || y == one => Ok(x),
            (x, y) if x == one => Ok(y),
            (x, y) => Err(format!("extents {x} and {y} do not broadcast")),
        })
        .collect()
}

fn matmul(a: &TensorType, b: &TensorType) -> Rule<TensorType> {
    same_dtype(a, b)?;
    is_float("an operand", a)?;
    require(a.shape.len() >= 2 && b.shape.len() >= 2, || "operands need at least two axes".into())?;
    let (a_batch, a_matrix) = a.shape.split_at(a.shape.len() - 2);
    let (b_batch, b_matrix) = b.shape.split_at(b.shape.len() - 2);
    require(a_matrix[1] == b_matrix[0], || {
        format!("inner extents {} and {} differ", a_matrix[1], b_matrix[0])
    })?;
    let mut shape = broadcast(a_batch, b_batch)?;
    shape.extend([a_matrix[0].clone(), b_matrix[1].clone()]);
    Ok(TensorType::new(a.dtype, shape))
}

fn slice(x: &TensorType, axis: usize, start: usize, step: usize, length: &Dim) -> Rule<TensorType> {
    has_axis(x, axis)?;
    require(step > 0, || "the step must be at least 1".into())?;
    let extent = &x.shape[axis];
    if let (Some(extent), Some(length)) = (extent.as_const(), length.as_const()) {
        let end = length
            .checked_sub(1)
            .map_or(Some(start), |last| last.checked_mul(step)?.checked_add(start)?.checked_add(1));
        require(end.is_some_and(|end| end <= extent), || {
            format!("{length} positions from {start} do not lie in an axis of {extent}")
        })?;
    }
    let mut shape = x.shape.clone();
    shape[axis] = length.clone();
    Ok(TensorType::new(x.dtype, shape))
}

fn concat(inputs: &[&TensorType], axis: usize) -> Rule<TensorType> {
    let first = *inputs.first().ok_or("takes at least one input")?;
    has_axis(first, axis)?;
    let mut total: usize = 0;
    for input in inputs {
        same_dtype(first, input)?;
        require(
            input.shape.len() == first.shape.len()
                && (0..first.shape.len()).all(|i| i == axis || input.shape[i] == first.shape[i]),
            || format!("inputs must be alike but for axis {axis}"),
        )?;
        let extent = input.shape[axis].as_const().ok_or("the joined axis must have known extents")?;
        total = total.checked_add(extent).ok_or("the joined axis is too long")?;
    }
    let mut shape = first.shape.clone();
    shape[axis] = Dim::from(total);
    Ok(TensorType::new(first.dtype, shape))
}

fn reduce(op: ReduceOp, x: &TensorType, axes: &[usize], keep_axes: bool) -> Rule<TensorType> {
    require(axes.is_sorted_by(|a, b| a < b) && axes.iter().all(|&axis| axis < x.shape.len()), || {
        format!("axes {axes:?} must be ascending and of the input")
    })?;
    require(x.dtype != DType::Bool, || "truth values do not reduce; cast them first".into())?;
    require(op != ReduceOp::Mean || x.dtype.is_float(), || {
        "the mean of integers is not defined; cast first".into()
    })?;
    let shape: Vec<Dim> = x
        .shape
        .iter()
        .enumerate()
        .filter_map(|(axis, extent)| match (axes.contains(&axis), keep_axes) {
            (false, _) => Some(extent.clone()),
            (true, true) => Some(Dim::from(1)),
            (true, false) => None,
        })
        .collect();
    Ok(TensorType::new(x.dtype, shape))
}

fn layer_norm(epsilon: f64, x: &TensorType, gamma: &TensorType, beta: &TensorType) -> Rule<TensorType> {
    is_float("x", x)?;
    require(epsilon >= 0.0 && epsilon.is_finite(), || {
        format!("epsilon {epsilon} must be finite and not negative")
    })?;
    let width = x.shape.last().ok_or("x needs at least one axis")?;
    for (what, ty) in [("gamma", gamma), ("beta", beta)] {
        is_float(what, ty)?;
        require(ty.shape == [width.clone()], || format!("{what} must be [{width}]"))?;
    }
    Ok(x.clone())
}

fn linear(parts: &Linear, inputs: &[&TensorType]) -> Rule<TensorType> {
    let expected = 2 + usize::from(parts.bias) + usize::from(parts.residual);
    require(inputs.len() == expected, || format!("takes {expected} inputs, got {}", inputs.len()))?;
    let (x, weight) = (inputs[0], inputs[1]);
    is_float("x", x)?;
    is_float("the weight", weight)?;
    let [out, width] = weight.shape.as_slice() else { return Err("the weight must be [out, in]".into()) };
    let last = x.shape.last().ok_or("x needs at least one axis")?;
    require(last == width, || format!("x's last extent is {last}, the weight takes {width}"))?;
    let mut shape = x.shape.clone();
    shape.pop();
    shape.push(out.clone());
    if parts.bias {
        is_float("the bias", inputs[2])?;
        require(inputs[2].shape == [out.clone()], || format!("the bias must be [{out}]"))?;
    }
    let ty = TensorType::new(x.dtype, shape);
    if parts.residual {
        require(*inputs[expected - 1] == ty, || format!("the residual must be {ty}"))?;
    }
    Ok(ty)
}

fn attention_type(attention: &Attention, inputs: &[&TensorType]) -> Rule<TensorType> {
    let operands = if attention.operands == Operands::Merged { 1 } else { 3 };
    let masked = usize::from(attention.sequences != Sequences::Dense);
    require(inputs.len() == operands + masked, || {
        format!("takes {} inputs, got {}", operands + masked, inputs.len())
    })?;
    let q = inputs[0];
    is_float("q", q)?;
    let rank = if attention.sequences == Sequences::Ends { 2 } else { 3 };
    require(inputs[..operands].iter().all(|ty| ty.shape.len() == rank && ty.dtype == q.dtype), || {
        format!("q, k and v must have {rank} axes and one dtype")
    })?;
    let width = q.shape[rank - 1].as_const().ok_or("the hidden extent must be known")?;
    let parts = if attention.operands == Operands::Merged { 3 } else { 1 };
    require(attention.heads > 0 && width % (parts * attention.heads) == 0, || {
        format!("{} heads do not divide a hidden extent of {}", attention.heads, width / parts)
    })?;
    if operands == 3 {
        let (k, v) = (inputs[1], inputs[2]);
        require(k == v, || "k and v must be alike".into())?;
        let same_axes = |axis: usize| k.shape[axis] == q.shape[axis];
        let self_only = attention.sequences != Sequences::Ends || same_axes(0);
        require(same_axes(rank - 1) && (rank == 2 || same_axes(0)) && self_only, || {
            "k and q do not fit".into()
        })?;
    }
    if masked == 1 {
        sequences_fit(attention.sequences, inputs[if operands == 3 { 1 } else { 0 }], inputs[operands])?;
    }
    let mut shape = q.shape.clone();
    shape[rank - 1] = Dim::from(width / parts);
    Ok(TensorType::new(q.dtype, shape))
}

/// Checks the mask or ends of `data` and gives the batch's extent.
fn sequences_fit(sequences: Sequences, data: &TensorType, positions: &TensorType) -> Rule<Dim> {
    match sequences {
        Sequences::Dense => Err("needs a mask or sequence ends".into()),
        Sequences::KeyMask => {
            is_bool("the mask", positions)?;
            require(data.shape.len() == 3 && positions.shape == data.shape[..2], || {
                "the mask must be [batch, seq] of data [batch, seq, hidden]".into()
            })?;
            Ok(data.shape[0].clone())
        }
        Sequences::Ends => {
            require(positions.dtype == DType::I64 && positions.shape.len() == 1, || {
                "sequence ends must be i64 [batch]".into()
            })?;
            require(data.shape.len() == 2, || "packed data must be [tokens, hidden]".into())?;
            Ok(positions.shape[0].clone())
        }
    }
}
