//! Gather: rows of a table, or a place that is known.

use super::slots::{axis, within_axes};
use super::{Lowering, Slot, wrong};
use crate::Result;
use crate::fold::{from_bytes, integers, is_small};
use crate::view::{Span, elements, sliced};
use lockstep_ascend_container::{DType, Operand, Operator};
use lockstep_graph::HostTensor;
use lockstep_onnx::messages::NodeProto;

impl Lowering<'_> {
    pub(super) fn gather(&mut self, node: &NodeProto) -> Result<Slot> {
        let [table, mut indices] = self.exactly(node)?;
        let has = self.dims(&table);
        let along = axis(node, node.int("axis")?.unwrap_or(0), has.len())?;
        let of = self.dtype(node, &indices)?;
        if !matches!(of, DType::I64 | DType::I32) {
            return Err(wrong(node, format!("its indices are {of:?}; they are I32 or I64")));
        }
        let shape = self.dims(&indices);
        // Each Gather of several axes by several others nearly doubles them.
        within_axes(node, has.len() - 1 + shape.len())?;
        if let Some(known) = self.known(&indices).and_then(integers) {
            let places = places(node, &known, has[along])?;
            if let Some(slot) = self.picked(node, &table, along, &places, &shape)? {
                return Ok(slot);
            }
            let counted = HostTensor::from_slice(&[places.len()], &places)
                .and_then(|list| list.reshape(&shape.iter().map(|&dim| dim as usize).collect::<Vec<_>>()))
                .map_err(|error| wrong(node, error.to_string()))?;
            indices = self.constant(node, counted)?;
        }
        if along != 0 || has.len() != 2 {
            let reason = format!(
                "gathers along axis {along} of {} axes; atc-sim gathers rows of a table with two axes, and places that are known",
                has.len()
            );
            return Err(wrong(node, reason));
        }
        let operands = vec![self.reads(node, &table)?, self.reads(node, &indices)?];
        let dims = [&shape[..], &has[1..]].concat();
        let result = self.fresh(node, self.draft.dtype(&operands[0]), &dims)?;
        self.draft.step(&node.name, Operator::Gather, operands, result.clone());
        Ok(Slot::Run(result))
    }

    /// What known indices pick: of a small constant other constants, with one index a part of anything.
    fn picked(
        &mut self,
        node: &NodeProto,
        table: &Slot,
        along: usize,
        places: &[i64],
        shape: &[i64],
    ) -> Result<Option<Slot>> {
        let has = self.dims(table);
        let dims = [&has[..along], shape, &has[along + 1..]].concat();
        if let Some(known) = self.known(table).filter(|_| is_small(&has) && is_small(&dims)) {
            let bytes = rows(known, along, places).ok_or_else(|| wrong(node, "its table is not whole"))?;
            let folded = from_bytes(known.dtype(), &dims, &bytes).map(Some);
            return self.folded(node, folded);
        }
        let &[place] = places else { return Ok(None) };
        let all: Operand = self.reads(node, table)?;
        let part = sliced(&all, Span { axis: along, start: place, step: 1, length: 1 });
        self.reshape(node, &Slot::Run(part), &dims).map(Some)
    }
}

/// Indices that count from the start.
fn places(node: &NodeProto, known: &[i64], extent: i64) -> Result<Vec<i64>> {
    let place = |&index: &i64| {
        let place = if index < 0 { index.saturating_add(extent) } else { index };
        match (0..extent).contains(&place) {
            true => Ok(place),
            false => Err(wrong(node, format!("its index {index} is none of {extent}"))),
        }
    };
    known.iter().map(place).collect()
}

/// The bytes of these places of an axis.
fn rows(table: &HostTensor, along: usize, places: &[i64]) -> Option<Vec<u8>> {
    let dims: Vec<i64> = table.shape().iter().map(|&extent| extent as i64).collect();
    if places.is_empty() || dims.contains(&0) {
        return Some(vec![]);
    }
    let outer = elements(&dims[..along])? as usize;
    let row = elements(&dims[along + 1..])? as usize * table.dtype().size();
    let extent = dims[along] as usize;
    let mut bytes = Vec::new();
    for before in 0..outer {
        for &place in places {
            let start = (before * extent + place as usize) * row;
            bytes.extend_from_slice(table.bytes().get(start..start + row)?);
        }
    }
    Some(bytes)
}
