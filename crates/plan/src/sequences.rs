//! Which input says where sequences are, and what packing derives from it on the host before a launch.

use crate::{Error, Result};
use lockstep_hal::graph::{
    Attention, CompareOp, DType, Dim, Graph, HostTensor, Op, Sequences, Symbol, ValueId,
};
use lockstep_hal::tensor::{AlignedBytes, Bytes};

/// The input that masks keys: `[batch, seq]`, nonzero where a token counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskInput {
    /// Its name.
    pub name: String,
    /// Its two extents.
    pub extents: [Symbol; 2],
}

/// What an input that packing added holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Derived {
    /// `[tokens, ..]`: the tokens of the caller's input of that number, which is `[batch, seq, ..]`.
    TokensOf(usize),
    /// i64 `[tokens]`: where each token is in the flattened `[batch * seq]`.
    TokenIndex,
    /// i64 `[tokens]`: each token's position in its row.
    Position,
    /// i64 `[batch]`: where each sequence ends among the tokens.
    SequenceEnds,
    /// i64 `[batch]`: which token is at this position of each row.
    TokenAt(usize),
}

/// An input that a run computes on the host from the mask and the caller's inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedInput {
    /// Its name in the packed graph.
    pub name: String,
    /// What it holds.
    pub kind: Derived,
}

impl MaskInput {
    /// The mask input of a graph's attentions and poolings, if they all have the same one.
    ///
    /// `Err` says which op stands in the way.
    pub(crate) fn find(graph: &Graph) -> std::result::Result<(ValueId, Self), String> {
        let mut found: Option<ValueId> = None;
        for node in graph.nodes() {
            let mask = match &node.op {
                Op::Attention(Attention { sequences: Sequences::KeyMask, .. })
                | Op::Pool { sequences: Sequences::KeyMask, .. } => node.inputs.last().copied(),
                _ => continue,
            };
            let input = mask
                .and_then(|mask| input_behind(graph, mask))
                .ok_or_else(|| format!("the mask of {} does not come straight from an input", node.name))?;
            if found.is_some_and(|other| other != input) {
                return Err(format!("{} has another mask than the ops before it", node.name));
            }
            found = Some(input);
        }
        let id = found.ok_or("no attention takes a key mask (was it recognised and fused?)")?;
        let value = graph.value(id);
        let symbols: Option<Vec<Symbol>> = value.ty.shape.iter().map(|d| d.as_symbol().cloned()).collect();
        match symbols.as_deref() {
            Some([batch, seq]) if batch != seq => {
                Ok((id, Self { name: value.name.clone(), extents: [batch.clone(), seq.clone()] }))
            }
            _ => Err(format!("`{}` is {}, not [batch, seq]", value.name, value.ty)),
        }
    }

    /// Its two extents as dims.
    pub(crate) fn dims(&self) -> [Dim; 2] {
        self.extents.each_ref().map(|symbol| Dim::symbol(symbol.name()))
    }
}

/// The graph input that a mask is the truth value of.
fn input_behind(graph: &Graph, mask: ValueId) -> Option<ValueId> {
    if graph.inputs().contains(&mask) {
        return Some(mask);
    }
    let node = graph.producer(mask)?;
    let source = *node.inputs.first()?;
    let is_truth = match &node.op {
        Op::Cast { to } => *to == DType::Bool,
        Op::Compare(CompareOp::Ne) => is_zero(graph, node.inputs[1]),
        _ => false,
    };
    (is_truth && graph.inputs().contains(&source)).then_some(source)
}

fn is_zero(graph: &Graph, id: ValueId) -> bool {
    if let Some(constant) = graph.constant(id) {
        return constant.tensor().to_f64().iter().all(|&x| x == 0.0);
    }
    matches!(graph.producer(id).map(|node| &node.op), Some(Op::Fill { value, .. }) if *value == 0.0)
}

/// A mask read on the host: where the tokens are.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    seq: usize,
    /// Of every token, where it is in the flattened mask.
    index: Vec<i64>,
    /// Of every row, where its tokens end.
    ends: Vec<i64>,
}

impl Tokens {
    /// Reads a `[batch, seq]` mask.
    ///
    /// # Errors
    /// [`Error::Mask`] for a row without a token, or another rank.
    pub(crate) fn read(input: &str, mask: &HostTensor) -> Result<Self> {
        let wrong = |reason: String| Error::Mask { input: input.to_owned(), reason };
        let &[batch, seq] = mask.shape() else {
            return Err(wrong(format!("is of shape {:?}, expected [batch, seq]", mask.shape())));
        };
        let values = mask.to_f64();
        let mut tokens =
            Self { seq, index: Vec::with_capacity(values.len()), ends: Vec::with_capacity(batch) };
        for row in 0..batch {
            let before = tokens.index.len();
            let kept = (0..seq).filter(|at| values[row * seq + at] != 0.0);
            tokens.index.extend(kept.map(|at| (row * seq + at) as i64));
            if tokens.index.len() == before {
                return Err(wrong(format!(
                    "row {row} is all zeros; every sequence needs at least one token"
                )));
            }
            tokens.ends.push(tokens.index.len() as i64);
        }
        Ok(tokens)
    }

    /// How many tokens there are.
    pub(crate) fn count(&self) -> usize {
        self.index.len()
    }

    /// The tokens of a `[batch, seq, ..]` tensor: `[tokens, ..]`.
    fn of(&self, tensor: &HostTensor) -> Result<HostTensor> {
        let rest = tensor.shape().get(2..).unwrap_or_default();
        let bytes = rest.iter().product::<usize>() * tensor.dtype().size();
        let mut tokens = AlignedBytes::zeroed(self.count() * bytes);
        for (&at, token) in self.index.iter().zip(tokens.as_mut_slice().chunks_exact_mut(bytes.max(1))) {
            token.copy_from_slice(&tensor.bytes()[at as usize * bytes..][..bytes]);
        }
        let shape = [&[self.count()], rest].concat();
        Ok(HostTensor::from_bytes(tensor.dtype(), &shape, Bytes::owned(tokens))?)
    }

    /// What a derived input holds; `inputs` are the caller's, as the graph numbers them.
    pub(crate) fn derive(
        &self,
        input: &str,
        kind: Derived,
        inputs: &[Option<&HostTensor>],
    ) -> Result<HostTensor> {
        let seq = self.seq as i64;
        let values: Vec<i64> = match kind {
            Derived::TokensOf(number) => {
                let missing = || Error::Mask { input: input.to_owned(), reason: "came alone".into() };
                return self.of(inputs.get(number).copied().flatten().ok_or_else(missing)?);
            }
            Derived::TokenIndex => self.index.clone(),
            Derived::Position => self.index.iter().map(|&at| at % seq).collect(),
            Derived::SequenceEnds => self.ends.clone(),
            Derived::TokenAt(position) if position >= self.seq => {
                return Err(Error::Mask {
                    input: input.to_owned(),
                    reason: format!("the graph reads position {position} of each row, and the rows have {seq}"),
                });
            }
            Derived::TokenAt(position) => (0..self.ends.len())
                .map(|row| {
                    let wanted = row as i64 * seq + position as i64;
                    self.index.binary_search(&wanted).map(|at| at as i64).map_err(|_| Error::Mask {
                        input: input.to_owned(),
                        reason: format!(
                            "row {row} masks out position {position}, which the graph reads; keep it, or turn packing off"
                        ),
                    })
                })
                .collect::<Result<_>>()?,
        };
        Ok(HostTensor::from_slice(&[values.len()], &values)?)
    }
}
