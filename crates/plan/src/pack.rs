//! Packing: sequences of unequal length cost what their tokens cost.
//!
//! `[batch, seq, ..]` becomes `[tokens, ..]` from the inputs on: the host takes the tokens out of the inputs as the mask says,
//! attention and pooling take sequence ends, and outputs are scattered back by `IndexAdd` into zeros. So
//! positions that the mask leaves out give zeros instead of what padding happens to compute. A graph is packed whole or
//! not at all: a node that mixes positions without the mask (a softmax over `seq`, a dense attention) forbids it.

use crate::rows::keeps_rows_apart;
use crate::sequences::{Derived, DerivedInput, MaskInput};
use lockstep_hal::graph::{
    Attention, DType, Dim, Graph, Node, Op, Result, Rewriter, Sequences, TensorType, ValueId,
};
use std::collections::{BTreeSet, HashMap};

/// What became of packing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackingOutcome {
    /// Sequences are packed.
    Packed,
    /// The graph stays padded, and why.
    Padded(String),
}

/// A packed graph and the inputs it takes besides the caller's.
pub(crate) struct Packed {
    pub(crate) graph: Graph,
    pub(crate) derived: Vec<DerivedInput>,
    /// A node after which sequences may know of each other, if there is one: such batches cannot be filled up.
    pub(crate) mixes_rows: Option<String>,
}

/// Packs a graph whose sequences `mask` describes; `Err` inside says which node forbids it.
pub(crate) fn pack(
    graph: &Graph,
    mask_id: ValueId,
    mask: &MaskInput,
) -> Result<std::result::Result<Packed, String>> {
    let mut packer = Packer {
        old: graph,
        rewriter: Rewriter::new(graph)?,
        dims: mask.dims(),
        tokens: Dim::symbol("tokens"),
        packed: HashMap::new(),
        masks: BTreeSet::from([mask_id]),
        derived: Vec::new(),
        mixes_rows: None,
    };
    for node in graph.nodes() {
        if let Some(reason) = packer.node(node)? {
            return Ok(Err(format!("{} ({}): {reason}", node.name, node.op)));
        }
    }
    packer.finish(mask_id)
}

struct Packer<'a> {
    old: &'a Graph,
    rewriter: Rewriter<'a>,
    /// The batch and sequence extents.
    dims: [Dim; 2],
    tokens: Dim,
    /// Old `[batch, seq, rest..]` values and the new `[tokens, rest..]` that stand for them.
    packed: HashMap<ValueId, ValueId>,
    /// The mask and the values that say the same.
    masks: BTreeSet<ValueId>,
    derived: Vec<(DerivedInput, ValueId)>,
    mixes_rows: Option<String>,
}

impl Packer<'_> {
    fn shape(&self, id: ValueId) -> &[Dim] {
        &self.old.value(id).ty.shape
    }

    fn is_padded(&self, id: ValueId) -> bool {
        self.shape(id).get(..2).is_some_and(|lead| *lead == self.dims)
    }

    /// A derived input, added on first use.
    fn derive(&mut self, kind: Derived) -> Result<ValueId> {
        if let Some((_, id)) = self.derived.iter().find(|(input, _)| input.kind == kind) {
            return Ok(*id);
        }
        let index = |extent: &Dim| TensorType::new(DType::I64, [extent.clone()]);
        let (name, ty) = match kind {
            Derived::TokensOf(number) => {
                let input = self.old.value(self.old.inputs()[number]);
                let ty = TensorType::new(input.ty.dtype, self.packed_shape(&input.ty.shape));
                (format!("packing.{}", input.name), ty)
            }
            Derived::TokenIndex => ("packing.token_index".to_owned(), index(&self.tokens)),
            Derived::Position => ("packing.position".to_owned(), index(&self.tokens)),
            Derived::SequenceEnds => ("packing.sequence_ends".to_owned(), index(&self.dims[0])),
            Derived::TokenAt(position) => (format!("packing.token_at_{position}"), index(&self.dims[0])),
        };
        let id = self.rewriter.builder.input(&name, ty)?;
        self.derived.push((DerivedInput { name, kind }, id));
        Ok(id)
    }

    /// The packed form of an old value of `[batch, seq, ..]`.
    fn packed(&mut self, id: ValueId) -> Result<Option<ValueId>> {
        if let Some(&new) = self.packed.get(&id) {
            return Ok(Some(new));
        }
        let number = self.old.inputs().iter().position(|&input| input == id);
        let Some(number) = number.filter(|_| self.is_padded(id) && !self.masks.contains(&id)) else {
            return Ok(None);
        };
        let new = self.derive(Derived::TokensOf(number))?;
        self.packed.insert(id, new);
        Ok(Some(new))
    }

    /// Emits a node; `Some` says why packing must stop here.
    fn node(&mut self, node: &Node) -> Result<Option<String>> {
        let reads_mask = node.inputs.iter().any(|id| self.masks.contains(id));
        if reads_mask
            && matches!(node.op, Op::Cast { .. } | Op::Compare(_))
            && self.is_padded(node.outputs[0])
        {
            // Says the same as the mask; only what reads it matters.
            self.masks.insert(node.outputs[0]);
            self.rewriter.copy(node)?;
            return Ok(None);
        }
        let mut inputs = Vec::new();
        for &id in &node.inputs {
            inputs.push(self.packed(id)?);
        }
        let takes_mask = matches!(node.op, Op::Attention(Attention { sequences: Sequences::KeyMask, .. }))
            || matches!(node.op, Op::Pool { sequences: Sequences::KeyMask, .. });
        if reads_mask && !takes_mask {
            return Ok(Some("reads the mask itself".into()));
        }
        if inputs.iter().all(Option::is_none) && !reads_mask {
            if self.mixes_rows.is_none() && !keeps_rows_apart(self.old, node, &self.dims) {
                self.mixes_rows = Some(format!("{} ({})", node.name, node.op));
            }
            self.rewriter.copy(node)?;
            return Ok(None);
        }
        match self.packed_op(node, &inputs)? {
            Ok((op, operands)) => {
                let output = self.rewriter.builder.single(&node.name, op, &operands)?;
                if self.is_padded(node.outputs[0]) {
                    self.packed.insert(node.outputs[0], output);
                } else {
                    self.unpacked_output(node, output)?;
                }
                Ok(None)
            }
            Err(reason) => Ok(Some(reason)),
        }
    }

    /// A value that is per sequence again: in the shape that the old graph gave it.
    fn unpacked_output(&mut self, node: &Node, output: ValueId) -> Result<()> {
        let shape = self.shape(node.outputs[0]).to_vec();
        let output = if self.rewriter.builder.ty(output).shape == shape {
            output
        } else {
            self.rewriter.builder.reshape(&node.name, output, &shape)?
        };
        self.rewriter.replace(node.outputs[0], output);
        Ok(())
    }

    /// The op on packed operands, or why there is none.
    fn packed_op(
        &mut self,
        node: &Node,
        packed: &[Option<ValueId>],
    ) -> Result<std::result::Result<(Op, Vec<ValueId>), String>> {
        let refuse = |reason: &str| Ok(Err(reason.to_owned()));
        let rank = self.shape(node.inputs[0]).len();
        let first_packed = packed[0];
        let op = match &node.op {
            Op::Unary(_) | Op::Cast { .. } | Op::Gelu(_) => node.op.clone(),
            Op::Binary(_) | Op::Compare(_) | Op::Select => {
                return match self.aligned(node, packed)? {
                    Ok(operands) => Ok(Ok((node.op.clone(), operands))),
                    Err(reason) => Ok(Err(reason)),
                };
            }
            Op::LayerNorm { .. } | Op::AddLayerNorm { .. } | Op::Linear(_) | Op::MatMul => {
                let data = if matches!(node.op, Op::AddLayerNorm { .. }) { 2 } else { 1 };
                let residual = matches!(&node.op, Op::Linear(parts) if parts.residual);
                let operands_are_packed = (0..packed.len()).all(|at| {
                    let wanted = at < data || (residual && at == packed.len() - 1);
                    packed[at].is_some() == wanted
                });
                let matrix = node.op != Op::MatMul || self.shape(node.inputs[1]).len() == 2;
                if rank != 3 || !operands_are_packed || !matrix {
                    return refuse("its operands are not tokens by features");
                }
                node.op.clone()
            }
            Op::Softmax { axis } if *axis >= 2 => Op::Softmax { axis: axis - 1 },
            Op::Gather { axis: 0 } if packed[0].is_none() => node.op.clone(),
            Op::Slice { axis, start, step, length } if *axis >= 2 => {
                Op::Slice { axis: axis - 1, start: *start, step: *step, length: length.clone() }
            }
            Op::Slice { axis: 1, start, length, .. } if length.as_const() == Some(1) => {
                let index = self.derive(Derived::TokenAt(*start))?;
                return Ok(first_packed
                    .map(|x| (Op::Gather { axis: 0 }, vec![x, index]))
                    .ok_or("no tokens".into()));
            }
            Op::Reshape { shape } if shape.get(..2).is_some_and(|lead| *lead == self.dims) => {
                Op::Reshape { shape: self.packed_shape(shape) }
            }
            Op::Transpose { permutation } if permutation.starts_with(&[0, 1]) => Op::Transpose {
                permutation: [0].into_iter().chain(permutation[2..].iter().map(|axis| axis - 1)).collect(),
            },
            Op::Reduce { op, axes, keep_axes } if axes.iter().all(|&axis| axis >= 2) => Op::Reduce {
                op: *op,
                axes: axes.iter().map(|axis| axis - 1).collect(),
                keep_axes: *keep_axes,
            },
            Op::Concat { axis } if *axis >= 2 && packed.iter().all(Option::is_some) => {
                Op::Concat { axis: axis - 1 }
            }
            Op::Attention(attention) if attention.sequences == Sequences::KeyMask => {
                return self.with_ends(
                    packed,
                    Op::Attention(Attention { sequences: Sequences::Ends, ..*attention }),
                );
            }
            Op::Pool { kind, sequences: Sequences::KeyMask } => {
                return self.with_ends(packed, Op::Pool { kind: *kind, sequences: Sequences::Ends });
            }
            _ => return refuse("mixes positions, or has no packed form"),
        };
        let mut operands = Vec::new();
        for (&id, packed) in node.inputs.iter().zip(packed) {
            operands.push(match packed {
                Some(new) => *new,
                None => self.rewriter.value(id)?,
            });
        }
        Ok(Ok((op, operands)))
    }

    fn with_ends(
        &mut self,
        packed: &[Option<ValueId>],
        op: Op,
    ) -> Result<std::result::Result<(Op, Vec<ValueId>), String>> {
        let Some((_, data)) = packed.split_last() else { return Ok(Err("has no operands".into())) };
        let Some(mut operands) = data.iter().copied().collect::<Option<Vec<_>>>() else {
            return Ok(Err("its operands are not all sequences of the mask".into()));
        };
        operands.push(self.derive(Derived::SequenceEnds)?);
        Ok(Ok((op, operands)))
    }

    fn packed_shape(&self, padded: &[Dim]) -> Vec<Dim> {
        std::iter::once(self.tokens.clone()).chain(padded[2..].iter().cloned()).collect()
    }

    /// Operands of an elementwise op: packed ones of one rank, values that vary only with the position (gathered by it),
    /// and values that vary with neither.
    fn aligned(
        &mut self,
        node: &Node,
        packed: &[Option<ValueId>],
    ) -> Result<std::result::Result<Vec<ValueId>, String>> {
        let rank = self.shape(node.outputs[0]).len();
        let mut operands = Vec::new();
        for (&id, packed) in node.inputs.iter().zip(packed) {
            let shape = self.shape(id).to_vec();
            if let Some(new) = packed {
                if shape.len() != rank {
                    return Ok(Err("its operands do not align by batch and sequence".into()));
                }
                operands.push(*new);
                continue;
            }
            let new = self.rewriter.value(id)?;
            let seq = &self.dims[1];
            let lead = rank - shape.len().min(rank);
            let per_position = match lead {
                0 => rank >= 2 && shape[0] == Dim::from(1) && shape[1] == *seq,
                1 => shape.first() == Some(seq),
                _ => false,
            };
            if per_position {
                operands.push(self.by_position(id, new, &shape[1 - lead..])?);
            } else if lead == 0 && shape[..2] == [Dim::from(1), Dim::from(1)] {
                operands.push(self.rewriter.builder.reshape("packing.rest", new, &shape[2..])?);
            } else if lead >= 2 || (lead == 1 && shape[0] == Dim::from(1)) {
                operands.push(new);
            } else {
                return Ok(Err("an operand varies by sequence but not by token".into()));
            }
        }
        Ok(Ok(operands))
    }

    /// The rows of a value that varies with the position, `[seq, ..]` or `[1, seq, ..]`, for each token. The first rows of a
    /// table, cast or not, are read from the table itself: no copy of it is made first.
    fn by_position(&mut self, old: ValueId, new: ValueId, shape: &[Dim]) -> Result<ValueId> {
        let position = self.derive(Derived::Position)?;
        let (sliced, cast) = match self.old.producer(old) {
            Some(Node { op: Op::Cast { to }, inputs, .. }) => (inputs[0], Some(*to)),
            _ => (old, None),
        };
        let first_rows = |node: &&Node| matches!(&node.op, Op::Slice { axis: 0, start: 0, step: 1, length } if *length == self.dims[1]);
        if let Some(slice) = self.old.producer(sliced).filter(first_rows) {
            let table = self.rewriter.value(slice.inputs[0])?;
            let rows = self.rewriter.builder.gather("packing.by_position", table, 0, position)?;
            return match cast {
                None => Ok(rows),
                Some(to) => self.rewriter.builder.cast("packing.by_position.cast", rows, to),
            };
        }
        let rows = self.rewriter.builder.reshape("packing.rows", new, shape)?;
        self.rewriter.builder.gather("packing.by_position", rows, 0, position)
    }

    /// Scatters outputs and checkpoints back and names them.
    fn finish(mut self, mask_id: ValueId) -> Result<std::result::Result<Packed, String>> {
        if self.derived.is_empty() {
            return Ok(Err("nothing in it varies by token".into()));
        }
        let pinned: Vec<ValueId> = self.old.pinned().into_iter().collect();
        for id in pinned {
            if id != mask_id && self.masks.contains(&id) {
                return Ok(Err("an output is the mask itself".into()));
            }
            if let Some(&packed) = self.packed.get(&id) {
                if self.old.value(id).ty.dtype == DType::Bool {
                    return Ok(Err("an output of truth values cannot be scattered back by addition".into()));
                }
                let padded = self.scatter(id, packed)?;
                self.rewriter.replace(id, padded);
            }
        }
        let graph = self.rewriter.finish()?;
        let derived: Vec<DerivedInput> = self.derived.into_iter().map(|(input, _)| input).collect();
        Ok(Ok(Packed { graph, derived, mixes_rows: self.mixes_rows }))
    }

    fn scatter(&mut self, old: ValueId, packed: ValueId) -> Result<ValueId> {
        let shape = self.shape(old).to_vec();
        let (name, dtype) = (format!("{}.unpacked", self.old.value(old).name), self.old.value(old).ty.dtype);
        let mut flat = vec![Dim::product(&self.dims)];
        flat.extend_from_slice(&shape[2..]);
        let index = self.derive(Derived::TokenIndex)?;
        let builder = &mut self.rewriter.builder;
        let zeros = builder.fill(&name, dtype, 0.0, &flat)?;
        let scattered = builder.index_add(&name, 0, zeros, index, packed)?;
        builder.reshape(&name, scattered, &shape)
    }
}
