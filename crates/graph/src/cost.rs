//! What a graph costs at given extents: arithmetic and memory traffic, counted from its ops and shapes.
//!
//! A multiply and an add are two operations, as everywhere in the field, and products are counted apart from the rest:
//! `2 m n k` for a product of `[m, k]` and `[k, n]`, `4 q k d` for attention of `q` queries over `k` keys of width `d`
//! (scores and weighted sum). What share of a machine's peak a run reaches is only meaningful for products.

use crate::tensor::element_count;
use crate::{Attention, Graph, Node, Op, Operands, Origin, Result, Sequences, SymbolValues, ValueId};
use std::collections::BTreeSet;
use std::ops::AddAssign;

/// Arithmetic and traffic of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations of matrix products and attention.
    pub product_flops: u64,
    /// Operations of everything else: one per element of what an op reads or writes, whichever is more, for each of the
    /// passes its definition makes.
    pub other_flops: u64,
    /// Bytes of constants, each read once; of a table that is gathered from, the rows that are picked.
    pub constant_bytes: u64,
    /// Bytes of activations that ops read and write, were none of them fused. Reshapes are free.
    pub activation_bytes: u64,
}

impl Cost {
    /// All operations.
    pub fn flops(&self) -> u64 {
        self.product_flops.saturating_add(self.other_flops)
    }

    /// All traffic.
    pub fn bytes(&self) -> u64 {
        self.constant_bytes.saturating_add(self.activation_bytes)
    }

    fn of_constants(bytes: u64) -> Self {
        Self { constant_bytes: bytes, ..Self::default() }
    }

    fn of_activations(bytes: u64) -> Self {
        Self { activation_bytes: bytes, ..Self::default() }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.product_flops = self.product_flops.saturating_add(other.product_flops);
        self.other_flops = self.other_flops.saturating_add(other.other_flops);
        self.constant_bytes = self.constant_bytes.saturating_add(other.constant_bytes);
        self.activation_bytes = self.activation_bytes.saturating_add(other.activation_bytes);
    }
}

impl Graph {
    /// What one run costs with these extents. A custom op counts as its traffic; packed attention as sequences of equal
    /// length, the least it can cost.
    ///
    /// # Errors
    /// Those of [`Graph::bound`].
    pub fn cost(&self, values: &SymbolValues) -> Result<Cost> {
        let bound = self.bound(values)?;
        let mut total = Cost::default();
        let mut constants = BTreeSet::new();
        for node in bound.nodes() {
            total += bound.node_cost(node, &mut constants);
        }
        Ok(total)
    }

    /// The cost of one node of a bound graph; `constants` are those that an earlier node has read.
    fn node_cost(&self, node: &Node, constants: &mut BTreeSet<ValueId>) -> Cost {
        let shape = |id: ValueId| self.value(id).ty.fixed_shape().unwrap_or_default();
        let elements = |id: &ValueId| element_count(&shape(*id)) as u64;
        let bytes = |id: &ValueId| elements(id).saturating_mul(self.value(*id).ty.dtype.size() as u64);
        let written = sum(node.outputs.iter().map(elements));
        let inputs = |at: usize| node.inputs.get(at).map(|&id| shape(id)).unwrap_or_default();
        let output = node.outputs.first().map(|&id| shape(id)).unwrap_or_default();

        let mut cost = Cost::default();
        match &node.op {
            Op::Reshape { .. } => return cost,
            Op::MatMul => cost.product_flops = product(&[2, written, last(&inputs(0))]),
            Op::Linear(parts) => {
                cost.product_flops = product(&[2, written, last(&inputs(0))]);
                let passes =
                    u64::from(parts.bias) + u64::from(parts.activation.is_some()) + u64::from(parts.residual);
                cost.other_flops = product(&[passes, written]);
            }
            Op::Attention(attention) => {
                let (queries, keys) =
                    (inputs(0), inputs(if attention.operands == Operands::Separate { 1 } else { 0 }));
                let ends = node.inputs.last().map(|&id| shape(id)).unwrap_or_default();
                let pairs = attended_pairs(attention, &queries, &keys, &ends);
                cost.product_flops = product(&[4, pairs, last(&output)]);
                // Scale, subtract the maximum, exponentiate, divide.
                cost.other_flops = product(&[4, pairs, attention.heads as u64]);
            }
            op => {
                let read = node.inputs.iter().map(elements).max().unwrap_or(0);
                let touched = if matches!(op, Op::Reduce { .. } | Op::Pool { .. }) { read } else { written };
                cost.other_flops = product(&[passes(op), touched]);
            }
        }

        for (at, id) in node.inputs.iter().enumerate() {
            let is_constant = matches!(self.value(*id).origin, Origin::Constant(_));
            if node.op.picks_rows_of(at, node.inputs.len()) {
                let picked = written.saturating_mul(self.value(*id).ty.dtype.size() as u64);
                cost += if is_constant { Cost::of_constants(picked) } else { Cost::of_activations(picked) };
            } else if !is_constant {
                cost += Cost::of_activations(bytes(id));
            } else if constants.insert(*id) {
                cost += Cost::of_constants(bytes(id));
            }
        }
        cost += Cost::of_activations(sum(node.outputs.iter().map(bytes)));
        cost
    }
}

fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |product, &factor| product.saturating_mul(factor))
}

fn sum(terms: impl Iterator<Item = u64>) -> u64 {
    terms.fold(0, u64::saturating_add)
}

fn last(shape: &[usize]) -> u64 {
    shape.last().copied().unwrap_or(1) as u64
}

/// Pairs of a query and a key of its own sequence, over the batch.
fn attended_pairs(attention: &Attention, queries: &[usize], keys: &[usize], ends: &[usize]) -> u64 {
    match (attention.sequences, queries, keys) {
        (Sequences::Ends, [tokens, _], _) => {
            let batch = element_count(ends).max(1) as u64;
            product(&[*tokens as u64, *tokens as u64]) / batch
        }
        (_, [batch, queries, _], [_, keys, _]) => product(&[*batch as u64, *queries as u64, *keys as u64]),
        _ => 0,
    }
}

/// Operations per element of an op that is no product; moving an element is none.
fn passes(op: &Op) -> u64 {
    match op {
        Op::Cast { .. }
        | Op::Select
        | Op::Transpose { .. }
        | Op::Reshape { .. }
        | Op::Expand { .. }
        | Op::Slice { .. }
        | Op::Concat { .. }
        | Op::Gather { .. }
        | Op::Fill { .. }
        | Op::Iota { .. }
        | Op::Custom(_) => 0,
        Op::Unary(_)
        | Op::Binary(_)
        | Op::Compare(_)
        | Op::IndexAdd { .. }
        | Op::Reduce { .. }
        | Op::Pool { .. } => 1,
        // Maximum, subtract, exponentiate, sum, divide.
        Op::Softmax { .. } => 5,
        // Mean, centre, square, variance, divide, scale, shift.
        Op::LayerNorm { .. } => 7,
        Op::AddLayerNorm { .. } => 8,
        // Two tables more than one, as BERT has.
        Op::EmbedLayerNorm { .. } => 9,
        // Scale, function, add one, halve, multiply.
        Op::Gelu(_) => 5,
        // Counted where their products are.
        Op::MatMul | Op::Linear(_) | Op::Attention(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Dim, GraphBuilder, HostTensor, Linear, Symbol, TensorType};

    fn values(pairs: &[(&str, usize)]) -> SymbolValues {
        pairs.iter().map(|(name, value)| (Symbol::new(name), *value)).collect()
    }

    fn rows(width: usize) -> TensorType {
        TensorType::new(DType::F32, [Dim::symbol("batch"), Dim::symbol("seq"), Dim::from(width)])
    }

    #[test]
    fn a_linear_layer_is_two_operations_per_weight_and_row() {
        let mut b = GraphBuilder::new();
        let x = b.input("x", rows(8)).unwrap();
        let weight = b.constant("weight", HostTensor::zeros(DType::F16, &[4, 8]).unwrap());
        let bias = b.constant("bias", HostTensor::zeros(DType::F32, &[4]).unwrap());
        let linear = Op::Linear(Linear { bias: true, activation: None, residual: false });
        let y = b.single("y", linear, &[x, weight, bias]).unwrap();
        b.output("y", y).unwrap();
        let cost = b.finish().unwrap().cost(&values(&[("batch", 3), ("seq", 5)])).unwrap();
        assert_eq!(cost.product_flops, 2 * 15 * 4 * 8);
        assert_eq!(cost.other_flops, 15 * 4);
        assert_eq!(cost.constant_bytes, 4 * 8 * 2 + 4 * 4);
        assert_eq!(cost.activation_bytes, 15 * 8 * 4 + 15 * 4 * 4);
        assert_eq!((cost.flops(), cost.bytes()), (960 + 60, 80 + 720));
    }

    /// Attention is the same products, whether it is one op or its decomposition.
    #[test]
    fn attention_costs_what_its_decomposition_costs() {
        let attention =
            Attention { heads: 2, scale: 0.5, operands: Operands::Separate, sequences: Sequences::Dense };
        let mut b = GraphBuilder::new();
        let inputs = ["q", "k", "v"].map(|name| b.input(name, rows(8)).unwrap());
        let y = b.single("y", Op::Attention(attention), &inputs).unwrap();
        b.output("y", y).unwrap();
        let whole = b.finish().unwrap();
        let mut b = GraphBuilder::new();
        let inputs = ["q", "k", "v"].map(|name| b.input(name, rows(8)).unwrap());
        let y = crate::decompose(&Op::Attention(attention), &mut b, &inputs).unwrap().unwrap();
        b.output("y", y[0]).unwrap();
        let parts = b.finish().unwrap();
        let values = values(&[("batch", 3), ("seq", 5)]);
        let (whole, parts) = (whole.cost(&values).unwrap(), parts.cost(&values).unwrap());
        assert_eq!(whole.product_flops, 3 * 4 * 5 * 5 * 8);
        assert_eq!(whole.product_flops, parts.product_flops);
        assert!(whole.activation_bytes < parts.activation_bytes);
    }

    #[test]
    fn a_table_costs_the_rows_that_are_picked_and_a_weight_is_read_once() {
        let mut b = GraphBuilder::new();
        let ids = b.input("ids", TensorType::new(DType::I64, [Dim::symbol("n")])).unwrap();
        let table = b.constant("table", HostTensor::zeros(DType::F32, &[1000, 4]).unwrap());
        let shift = b.constant("shift", HostTensor::zeros(DType::F32, &[4]).unwrap());
        let rows = b.single("rows", Op::Gather { axis: 0 }, &[table, ids]).unwrap();
        let once = b.add("once", rows, shift).unwrap();
        let twice = b.add("twice", once, shift).unwrap();
        b.output("y", twice).unwrap();
        let cost = b.finish().unwrap().cost(&values(&[("n", 3)])).unwrap();
        assert_eq!(cost.constant_bytes, 3 * 4 * 4 + 4 * 4);
        assert_eq!((cost.product_flops, cost.other_flops), (0, 2 * 12));
    }

    #[test]
    fn an_extent_without_a_value_is_named() {
        let mut b = GraphBuilder::new();
        let x = b.input("x", rows(2)).unwrap();
        b.output("x", x).unwrap();
        let error = b.finish().unwrap().cost(&values(&[("batch", 1)])).unwrap_err();
        assert!(error.to_string().contains("seq"), "{error}");
    }
}
