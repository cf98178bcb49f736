//! Nodes that move elements or only look at them otherwise.

use super::slots::{axis, within_axes};
use super::{Lowering, Slot, wrong};
use crate::Result;
use crate::fold::{is_small, viewed};
use crate::view::{Span, broadcast, elements, expanded, reshaped, room, sliced, transposed, whole};
use lockstep_ascend_container::{MOST_ELEMENTS, Operand, Operator};
use lockstep_onnx::messages::NodeProto;

impl Lowering<'_> {
    /// A view of a slot. Small constants are constants still.
    fn look(&mut self, node: &NodeProto, x: &Slot, view: impl FnOnce(&Operand) -> Operand) -> Result<Slot> {
        if let Some(known) = self.known(x) {
            let seen = view(&whole(0, &self.dims(x)));
            if is_small(&self.dims(x)) && is_small(&seen.dims) {
                let folded = viewed(known, &seen);
                if let Some(slot) = self.folded(node, folded)? {
                    return Ok(slot);
                }
            }
            let all = self.reads(node, x)?;
            return Ok(Slot::Run(Operand { value: all.value, ..seen }));
        }
        Ok(Slot::Run(view(&self.reads(node, x)?)))
    }

    /// The same elements in other extents: a view where strides can say that, else a copy.
    pub(super) fn reshape(&mut self, node: &NodeProto, x: &Slot, dims: &[i64]) -> Result<Slot> {
        within_axes(node, dims.len())?;
        let has = self.dims(x);
        if elements(dims).is_none() || elements(dims) != elements(&has) {
            return Err(wrong(
                node,
                format!("its operand has the extents {has:?}, which are not those of {dims:?}"),
            ));
        }
        if let Slot::Run(operand) = x
            && reshaped(operand, dims).is_none()
        {
            let from = operand.clone();
            let copy = self.fresh(node, self.draft.dtype(&from), &from.dims)?;
            self.draft.step(&node.name, Operator::Copy, vec![from], copy.clone());
            return Ok(Slot::Run(whole(copy.value, dims)));
        }
        self.look(node, x, |operand| {
            // Constants are whole, and the others were looked at.
            reshaped(operand, dims).unwrap_or_else(|| whole(operand.value, dims))
        })
    }

    pub(super) fn reshape_node(&mut self, node: &NodeProto) -> Result<Slot> {
        let [x, shape] = self.exactly(node)?;
        let has = self.dims(&x);
        let mut dims = self.numbers(node, &shape, "shape")?;
        within_axes(node, dims.len())?;
        let zero_is_zero = node.int("allowzero")?.unwrap_or(0) != 0;
        for (axis, dim) in dims.iter_mut().enumerate() {
            if *dim == 0 && !zero_is_zero {
                *dim = *has.get(axis).ok_or_else(|| {
                    wrong(
                        node,
                        format!("its shape keeps axis {axis}, and its operand has {} axes", has.len()),
                    )
                })?;
            }
        }
        match dims.iter().filter(|&&dim| dim == -1).count() {
            0 => {}
            1 => {
                let others: Vec<i64> = dims.iter().copied().filter(|&dim| dim != -1).collect();
                let (all, known) = (elements(&has), elements(&others).filter(|&known| known > 0));
                let left = all.zip(known).filter(|(all, known)| all % known == 0);
                let left = left.map(|(all, known)| all / known).ok_or_else(|| {
                    wrong(node, format!("the extents {has:?} of its operand do not fill the shape {dims:?}"))
                })?;
                dims.iter_mut().filter(|dim| **dim == -1).for_each(|dim| *dim = left);
            }
            _ => return Err(wrong(node, format!("its shape {dims:?} leaves several extents open"))),
        }
        self.reshape(node, &x, &dims)
    }

    pub(super) fn flatten(&mut self, node: &NodeProto) -> Result<Slot> {
        let [x] = self.exactly(node)?;
        let has = self.dims(&x);
        let number = node.int("axis")?.unwrap_or(1);
        // It may lie behind the last axis, too.
        let at = if number == has.len() as i64 { has.len() } else { axis(node, number, has.len())? };
        let extent = |dims: &[i64]| {
            elements(dims).ok_or_else(|| wrong(node, format!("its operand has the extents {has:?}")))
        };
        let dims = [extent(&has[..at])?, extent(&has[at..])?];
        self.reshape(node, &x, &dims)
    }

    pub(super) fn squeeze(&mut self, node: &NodeProto) -> Result<Slot> {
        let x = self.slot(node, 0)?;
        let has = self.dims(&x);
        let axes = match self.axes(node, 1, has.len())? {
            Some(axes) => axes,
            None => (0..has.len()).filter(|&axis| has[axis] == 1).collect(),
        };
        if let Some(&long) = axes.iter().find(|&&axis| has[axis] != 1) {
            return Err(wrong(node, format!("axis {long} has {} elements and cannot go", has[long])));
        }
        let kept = (0..has.len()).filter(|axis| !axes.contains(axis)).map(|axis| has[axis]);
        let dims: Vec<i64> = kept.collect();
        self.reshape(node, &x, &dims)
    }

    pub(super) fn unsqueeze(&mut self, node: &NodeProto) -> Result<Slot> {
        let x = self.slot(node, 0)?;
        let has = self.dims(&x);
        // They count in the result, which has as many more.
        let count = match self.optional(node, 1)? {
            Some(slot) => self.numbers(node, &slot, "list of axes")?.len(),
            None => node.ints("axes")?.map_or(0, <[i64]>::len),
        };
        let rank = has.len() + count;
        within_axes(node, rank)?;
        let axes = self.axes(node, 1, rank)?.ok_or_else(|| wrong(node, "has no axes"))?;
        let mut own = has.into_iter();
        let dims = (0..rank).map(|axis| if axes.contains(&axis) { Some(1) } else { own.next() });
        let dims: Vec<i64> = dims.map(|dim| dim.unwrap_or(1)).collect();
        self.reshape(node, &x, &dims)
    }

    pub(super) fn transpose(&mut self, node: &NodeProto) -> Result<Slot> {
        let [x] = self.exactly(node)?;
        let rank = self.dims(&x).len();
        let permutation: Vec<usize> = match node.ints("perm")? {
            None => (0..rank).rev().collect(),
            Some(numbers) => numbers.iter().map(|&number| axis(node, number, rank)).collect::<Result<_>>()?,
        };
        let mut sorted = permutation.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..rank) {
            return Err(wrong(node, format!("{permutation:?} is no order of {rank} axes")));
        }
        self.look(node, &x, |operand| transposed(operand, &permutation))
    }

    /// A slot repeated to what its extents and these broadcast to.
    pub(super) fn repeated(&mut self, node: &NodeProto, x: &Slot, dims: &[i64]) -> Result<Slot> {
        within_axes(node, dims.len())?;
        let has = self.dims(x);
        let negative = dims.iter().any(|&dim| dim < 0);
        let dims = broadcast(&[&has, dims]).filter(|_| !negative);
        let dims =
            dims.ok_or_else(|| wrong(node, format!("the extents {has:?} are not repeated to its shape")))?;
        if room(&dims).is_none_or(|room| room as u64 > MOST_ELEMENTS) {
            return Err(wrong(
                node,
                format!("what it gives, of the extents {dims:?}, does not fit a device"),
            ));
        }
        self.look(node, x, |operand| expanded(operand, &dims))
    }

    pub(super) fn expand(&mut self, node: &NodeProto) -> Result<Slot> {
        let [x, shape] = self.exactly(node)?;
        let dims = self.numbers(node, &shape, "shape")?;
        self.repeated(node, &x, &dims)
    }

    pub(super) fn slice(&mut self, node: &NodeProto) -> Result<Slot> {
        let x = self.slot(node, 0)?;
        let has = self.dims(&x);
        let starts = self.slot(node, 1)?;
        let starts = self.numbers(node, &starts, "start")?;
        let ends = self.slot(node, 2)?;
        let ends = self.numbers(node, &ends, "end")?;
        let axes = match self.axes(node, 3, has.len())? {
            Some(axes) => axes,
            None => (0..starts.len()).collect(),
        };
        let steps = match self.optional(node, 4)? {
            Some(slot) => self.numbers(node, &slot, "step")?,
            None => vec![1; starts.len()],
        };
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || starts.len() > has.len() {
            return Err(wrong(node, "its starts, ends, axes and steps are not as many as each other"));
        }
        let mut spans = Vec::with_capacity(axes.len());
        for (at, &axis) in axes.iter().enumerate() {
            spans.push(span(node, [axis as i64, starts[at], ends[at], steps[at]], has[axis])?);
        }
        let is_backwards = spans.iter().any(|span| span.step < 0 && span.length > 1);
        if is_backwards && !(self.known(&x).is_some() && is_small(&has)) {
            return Err(wrong(node, "its step goes backwards; atc-sim has no view that does"));
        }
        self.look(node, &x, |operand| spans.iter().fold(operand.clone(), |part, span| sliced(&part, *span)))
    }

    pub(super) fn concat(&mut self, node: &NodeProto) -> Result<Slot> {
        let parts = (0..node.input.len()).map(|at| self.slot(node, at)).collect::<Result<Vec<_>>>()?;
        let first = parts.first().ok_or_else(|| wrong(node, "has no operands"))?;
        let (mut dims, dtype) = (self.dims(first), self.dtype(node, first)?);
        let number = node.int("axis")?.ok_or_else(|| wrong(node, "has no `axis`"))?;
        let along = axis(node, number, dims.len())?;
        let mut length = 0i64;
        for part in &parts {
            let mut has = self.dims(part);
            length = has.get(along).and_then(|extent| length.checked_add(*extent)).unwrap_or(-1);
            has.get_mut(along).into_iter().for_each(|extent| *extent = dims[along]);
            if length < 0 || has != dims || self.dtype(node, part)? != dtype {
                let all: Vec<_> = parts.iter().map(|part| self.dims(part)).collect();
                return Err(wrong(node, format!("operands of {all:?} do not join along axis {along}")));
            }
        }
        dims[along] = length;
        if let Some(slot) = self.joined_constants(node, &parts, &dims)? {
            return Ok(slot);
        }
        let all = self.fresh(node, dtype, &dims)?;
        let mut start = 0;
        for part in &parts {
            let from = self.reads(node, part)?;
            let length = from.dims[along];
            if elements(&from.dims) != Some(0) {
                let to = sliced(&all, Span { axis: along, start, step: 1, length });
                self.draft.step(&node.name, Operator::Copy, vec![from], to);
            }
            start += length;
        }
        Ok(Slot::Run(all))
    }

    /// Lists of numbers, such as the extents of a shape, as one list.
    fn joined_constants(&mut self, node: &NodeProto, parts: &[Slot], dims: &[i64]) -> Result<Option<Slot>> {
        let known: Option<Vec<_>> = parts.iter().map(|part| self.known(part)).collect();
        let Some(known) = known.filter(|_| dims.len() == 1 && is_small(dims)) else { return Ok(None) };
        let bytes: Vec<u8> = known.iter().flat_map(|part| part.bytes()).copied().collect();
        let dtype = known[0].dtype();
        let joined = crate::fold::from_bytes(dtype, dims, &bytes).map(Some);
        self.folded(node, joined)
    }
}

/// What of an axis a slice takes; ends beyond it are the axis's own, and negative ones count from its end.
fn span(node: &NodeProto, [axis, start, end, step]: [i64; 4], extent: i64) -> Result<Span> {
    let from_start = |at: i64| if at < 0 { at.saturating_add(extent) } else { at };
    let (start, end) = (from_start(start), from_start(end));
    let (start, distance) = match step {
        _ if extent == 0 => (0, 0),
        0 => return Err(wrong(node, format!("its step along axis {axis} is 0"))),
        1.. => {
            let start = start.clamp(0, extent);
            (start, end.clamp(0, extent) - start)
        }
        _ => {
            let start = start.clamp(0, extent - 1);
            (start, start - end.clamp(-1, extent - 1))
        }
    };
    let length = match u64::try_from(distance) {
        Ok(distance) if distance > 0 => distance.div_ceil(step.unsigned_abs()) as i64,
        _ => 0,
    };
    Ok(Span { axis: axis as usize, start, step, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_end_where_onnx_says() {
        let of = |start, end, step, extent| {
            let span = span(&NodeProto::default(), [0, start, end, step], extent).unwrap();
            (span.start, span.length)
        };
        assert_eq!(of(0, i64::MAX, 1, 5), (0, 5));
        assert_eq!(of(-2, i64::MAX, 1, 5), (3, 2));
        assert_eq!(of(1, -1, 2, 6), (1, 2));
        assert_eq!(of(4, 2, 1, 5), (4, 0));
        assert_eq!(of(i64::MIN, i64::MIN, 1, 5), (0, 0));
        assert_eq!(of(-1, i64::MIN, -1, 4), (3, 4));
        assert_eq!(of(i64::MAX, 0, -2, 5), (4, 2));
        assert_eq!(of(0, 5, 1, 0).1, 0);
        assert_eq!(of(0, 3, i64::MAX, 3), (0, 1));
        assert_eq!(of(2, 0, i64::MIN, 3), (2, 1));
        assert!(span(&NodeProto::default(), [0, 0, 1, 0], 3).is_err());
    }
}
