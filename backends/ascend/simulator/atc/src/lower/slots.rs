//! What a node reads.

use super::{Lowering, Slot, wrong};
use crate::Result;
use crate::dtype::compiled;
use crate::fold::{Folded, integers};
use lockstep_ascend_container::{DType, Operand};
use lockstep_graph::HostTensor;
use lockstep_onnx::messages::NodeProto;

impl Lowering<'_> {
    /// An operand that a node may leave out.
    pub(super) fn optional(&self, node: &NodeProto, at: usize) -> Result<Option<Slot>> {
        let Some(name) = node.input.get(at).filter(|name| !name.is_empty()) else { return Ok(None) };
        match self.slots.get(name.as_str()) {
            Some(slot) => Ok(Some(slot.clone())),
            None => Err(wrong(node, format!("reads `{name}`, which nothing before it gives"))),
        }
    }

    /// An operand.
    pub(super) fn slot(&self, node: &NodeProto, at: usize) -> Result<Slot> {
        self.optional(node, at)?.ok_or_else(|| wrong(node, format!("has no operand {at}")))
    }

    /// Operands, in order, and no others.
    pub(super) fn exactly<const N: usize>(&self, node: &NodeProto) -> Result<[Slot; N]> {
        if node.input.len() != N {
            return Err(wrong(node, format!("has {} operands, and takes {N}", node.input.len())));
        }
        let slots = (0..N).map(|at| self.slot(node, at)).collect::<Result<Vec<_>>>()?;
        <[Slot; N]>::try_from(slots).map_err(|_| wrong(node, "has other operands than it takes"))
    }

    pub(super) fn dims(&self, slot: &Slot) -> Vec<i64> {
        match slot {
            Slot::Known(id) => self.constants.dims(*id),
            Slot::Run(operand) => operand.dims.clone(),
        }
    }

    pub(super) fn dtype(&self, node: &NodeProto, slot: &Slot) -> Result<DType> {
        match slot {
            Slot::Known(id) => {
                compiled(self.constants.tensor(*id).dtype()).map_err(|reason| wrong(node, reason))
            }
            Slot::Run(operand) => Ok(self.draft.dtype(operand)),
        }
    }

    /// A view of a slot, as a step of this node reads it.
    pub(super) fn reads(&mut self, node: &NodeProto, slot: &Slot) -> Result<Operand> {
        self.operand(slot).map_err(|reason| wrong(node, reason))
    }

    /// The elements of a slot that is known.
    pub(super) fn known(&self, slot: &Slot) -> Option<&HostTensor> {
        match slot {
            Slot::Known(id) => Some(self.constants.tensor(*id)),
            Slot::Run(_) => None,
        }
    }

    /// A slot for what was folded; `None` where that was left to the run.
    pub(super) fn folded(&mut self, node: &NodeProto, folded: Folded) -> Result<Option<Slot>> {
        let tensor = folded.map_err(|reason| wrong(node, reason))?;
        tensor.map(|tensor| self.constant(node, tensor)).transpose()
    }

    /// A slot for a tensor that a node gives.
    pub(super) fn constant(&mut self, node: &NodeProto, tensor: HostTensor) -> Result<Slot> {
        let id = self.constants.shared(Self::result(node), tensor);
        id.map(Slot::Known).map_err(|reason| wrong(node, reason))
    }

    /// Whole numbers that must be known, such as a shape; `what` says what they are.
    pub(super) fn numbers(&self, node: &NodeProto, slot: &Slot, what: &str) -> Result<Vec<i64>> {
        let known = self.known(slot).ok_or_else(|| {
            let reason = format!(
                "its {what} follows from values of a run; atc-sim compiles models whose extents follow from those of the inputs"
            );
            wrong(node, reason)
        })?;
        integers(known)
            .ok_or_else(|| wrong(node, format!("its {what} is of {}, not of integers", known.dtype())))
    }

    /// Axes, from an operand or, in older operators, an attribute; none if neither is there.
    pub(super) fn axes(&self, node: &NodeProto, at: usize, rank: usize) -> Result<Option<Vec<usize>>> {
        let numbers = match (self.optional(node, at)?, node.ints("axes")?) {
            (Some(slot), _) => Some(self.numbers(node, &slot, "list of axes")?),
            (None, attribute) => attribute.map(<[i64]>::to_vec),
        };
        let Some(numbers) = numbers else { return Ok(None) };
        let axes = numbers.into_iter().map(|number| axis(node, number, rank)).collect::<Result<Vec<_>>>()?;
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != axes.len() {
            return Err(wrong(node, format!("has an axis twice in {axes:?}")));
        }
        Ok(Some(axes))
    }
}

/// Holds what a node gives to the most axes that there may be, before anything is done with them.
pub(super) fn within_axes(node: &NodeProto, axes: usize) -> Result<()> {
    crate::model::within_axes(axes).map_err(|many| wrong(node, format!("gives {many}")))
}

/// An axis, which ONNX may count from the end.
pub(super) fn axis(node: &NodeProto, number: i64, rank: usize) -> Result<usize> {
    let from_start = if number < 0 { number.checked_add(rank as i64) } else { Some(number) };
    from_start
        .and_then(|axis| usize::try_from(axis).ok())
        .filter(|&axis| axis < rank)
        .ok_or_else(|| wrong(node, format!("has no axis {number} in {rank} axes")))
}
