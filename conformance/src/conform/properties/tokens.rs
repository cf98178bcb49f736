//! Tokens of a sequence, which attention mixes.

use super::{Checks, Property, apart};
use crate::cases::{Case, floats, integers, random, truths};
use crate::random::Random;
use lockstep_runtime::graph::{Attention, GraphBuilder, Linear, Op, Operands, Sequences, TensorType};
use lockstep_runtime::hal::Error as DeviceError;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Result, Session};

/// The extents of the block whose tokens are permuted.
const TOKENS: usize = 7;
const HIDDEN: usize = 16;

/// Attention over tokens without positions, and the projection behind it.
struct Block {
    /// `[1, tokens, 3 * hidden]`, or the same packed.
    attention: Case,
    /// `[hidden, hidden]`.
    weight: HostTensor,
}

impl Checks<'_, '_> {
    pub(super) fn tokens(&mut self, r: &mut Random) -> Result<()> {
        self.padding(r)?;
        for sequences in [Sequences::Dense, Sequences::KeyMask, Sequences::Ends] {
            let attention = Attention { heads: 2, scale: 0.35, operands: Operands::Merged, sequences };
            let (shape, counts): (&[usize], _) = match sequences {
                Sequences::Dense => (&[1, TOKENS, 3 * HIDDEN], None),
                Sequences::KeyMask => {
                    let counts = [true, true, false, true, true, false, true];
                    (&[1, TOKENS, 3 * HIDDEN], Some(truths(&[1, TOKENS], &counts)))
                }
                Sequences::Ends => (&[TOKENS, 3 * HIDDEN], Some(integers(&[1], &[TOKENS as i64]))),
            };
            let mut inputs = vec![random(r, shape, 1.5)];
            inputs.extend(counts);
            let attention = Case::new(Op::Attention(attention), inputs);
            let block = Block { weight: random(r, &[HIDDEN, HIDDEN], 1.0), attention };
            self.record(Property::TokenPermutation, &block.attention, true, |checks| {
                checks.permuted(&block)
            })?;
        }
        Ok(())
    }

    /// Held to bounds and not to bits: a token's sum over its keys runs in the order of the keys, so another order of tokens is
    /// another order of summation, which no profile promises to give the same bits.
    fn permuted(&self, block: &Block) -> Result<Option<String>> {
        let order: Vec<usize> = (0..TOKENS).map(|at| (at * 3 + 2) % TOKENS).collect();
        let as_it_is: Vec<usize> = (0..TOKENS).collect();
        let (plain, of_plain) = self.block(&block.in_order(&as_it_is))?;
        let (permuted, of_permuted) = self.block(&block.in_order(&order))?;
        let expected = rows_in_order(&plain, HIDDEN, &order);
        let of_expected = rows_in_order(&of_plain, HIDDEN, &order);
        Ok(apart(&permuted, &expected, |at| of_permuted[at] + of_expected[at]))
    }

    /// What the block gives, run as one graph, and how far that may be from the truth: what the projection may be off on what
    /// it is given, and what it makes of what the attention may be off, which is that times its weights' magnitudes.
    fn block(&self, block: &Block) -> Result<(Vec<f64>, Vec<f64>)> {
        let (mixed, of_mixed) = self.held(&block.attention)?;
        let linear = Op::Linear(Linear { bias: false, activation: None, residual: false });
        let projection = Case::new(linear.clone(), vec![mixed, block.weight.clone()]).in_dtype(self.dtype);
        let weights: Vec<f64> = projection.inputs[1].to_f64().iter().map(|x| x.abs()).collect();
        let (_, of_projection) = self.held(&projection)?;
        let off = |at: usize| -> f64 {
            let (row, column) = (at / HIDDEN * HIDDEN, at % HIDDEN * HIDDEN);
            (0..HIDDEN).map(|k| weights[column + k] * of_mixed.worst_case[row + k]).sum()
        };
        let bounds = of_projection.worst_case.iter().enumerate().map(|(at, bound)| bound + off(at)).collect();

        let attention = block.attention.in_dtype(self.dtype);
        let graph = || {
            let mut b = GraphBuilder::new();
            let mut ids = Vec::new();
            for (at, x) in attention.inputs.iter().enumerate() {
                ids.push(b.input(&at.to_string(), TensorType::fixed(x.dtype(), x.shape()))?);
            }
            let mixed = b.single("attention", attention.op.clone(), &ids)?;
            let weight = b.constant("weight", projection.inputs[1].clone());
            let projected = b.single("projection", linear, &[mixed, weight])?;
            b.output("y", projected)?;
            b.finish()
        };
        let session =
            Session::builder(graph().map_err(DeviceError::from)?).device(self.device.clone()).build()?;
        let names = ["0", "1"];
        let given: Vec<(&str, &HostTensor)> = names.into_iter().zip(&attention.inputs).collect();
        Ok((session.run(&given)?.output("y")?.to_f64(), bounds))
    }

    fn padding(&mut self, r: &mut Random) -> Result<()> {
        let attention =
            Attention { heads: 2, scale: 0.5, operands: Operands::Separate, sequences: Sequences::KeyMask };
        let counts = [true, true, true, false, false];
        let mut inputs: Vec<HostTensor> = (0..3).map(|_| random(r, &[1, 5, 8], 1.0)).collect();
        inputs.push(truths(&[1, 5], &counts));
        let case = Case::new(Op::Attention(attention), inputs);
        self.record(Property::PaddingInvariance, &case, true, |checks| {
            let mut other = case.clone();
            for input in &mut other.inputs[1..3] {
                let mut values = input.to_f64();
                values[3 * 8..].iter_mut().for_each(|x| *x = 40.0 - 3.0 * *x);
                *input = floats(&[1, 5, 8], &values);
            }
            let (a, b) =
                (checks.run(&case.in_dtype(checks.dtype))?, checks.run(&other.in_dtype(checks.dtype))?);
            Ok((a.bytes() != b.bytes()).then(|| "other values at masked keys change the result".to_owned()))
        })
    }
}

/// Rows of so many values, by their numbers.
fn rows_in_order(values: &[f64], width: usize, order: &[usize]) -> Vec<f64> {
    order.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect()
}

impl Block {
    /// The same with its tokens, and which of them count, in another order.
    fn in_order(&self, order: &[usize]) -> Block {
        let permuted = |x: &HostTensor| match x.element_count() {
            count if count == TOKENS => {
                let counts = rows_in_order(&x.to_f64(), 1, order);
                truths(x.shape(), &counts.iter().map(|&x| x != 0.0).collect::<Vec<_>>())
            }
            count if count == TOKENS * 3 * HIDDEN => {
                floats(x.shape(), &rows_in_order(&x.to_f64(), 3 * HIDDEN, order))
            }
            // Where the one sequence ends.
            _ => x.clone(),
        };
        let inputs = self.attention.inputs.iter().map(permuted).collect();
        Block { attention: Case::new(self.attention.op.clone(), inputs), weight: self.weight.clone() }
    }
}
