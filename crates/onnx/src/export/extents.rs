//! Extents that a run fixes, as values of the model: read off the shapes of its inputs.

use super::Port;
use super::nodes::Nodes;
use crate::attributes::int;
use crate::{Error, Result};
use lockstep_graph::{DType, Dim, Symbol, TensorType};
use std::collections::HashMap;

/// Where each symbol can be read, and what was read already.
#[derive(Debug)]
pub(super) struct Extents {
    sources: HashMap<Symbol, (String, usize)>,
    values: HashMap<Dim, String>,
}

impl Extents {
    /// Of a model with these inputs.
    pub(super) fn new(inputs: &[Port]) -> Self {
        let mut sources = HashMap::new();
        for input in inputs {
            for (axis, dim) in input.ty.shape.iter().enumerate() {
                if let Some(symbol) = dim.as_symbol() {
                    sources.entry(symbol.clone()).or_insert_with(|| (input.name.clone(), axis));
                }
            }
        }
        Self { sources, values: HashMap::new() }
    }

    /// An extent as i64 `[1]`.
    ///
    /// # Errors
    /// [`Error::Model`] for a symbol that is no input's extent of its own, and for an extent beyond i64.
    pub(super) fn value(&mut self, nodes: &mut Nodes, dim: &Dim) -> Result<String> {
        if let Some(extent) = dim.as_const() {
            return nodes.numbers(&[number(extent)?]);
        }
        if let Some(known) = self.values.get(dim) {
            return Ok(known.clone());
        }
        let symbols = dim.symbols().iter().map(|symbol| Dim::symbol(symbol.name()));
        let value = match dim.as_symbol() {
            Some(symbol) => self.of_symbol(nodes, symbol)?,
            None => {
                let whole = Dim::product(symbols.clone().collect::<Vec<_>>().iter());
                let coefficient = dim.divide(&whole).unwrap_or_else(|| Dim::from(1));
                let mut product = self.value(nodes, &coefficient)?;
                for symbol in symbols {
                    let factor = self.value(nodes, &symbol)?;
                    product = nodes.part(&format!("extent.{dim}"), "Mul", &[&product, &factor], vec![]);
                }
                product
            }
        };
        self.values.insert(dim.clone(), value.clone());
        Ok(value)
    }

    fn of_symbol(&self, nodes: &mut Nodes, symbol: &Symbol) -> Result<String> {
        let (input, axis) = self.sources.get(symbol).ok_or_else(|| {
            let reason =
                "is an extent that no input has on its own, so that a model cannot read it off its inputs";
            Error::model(symbol.name(), reason)
        })?;
        let shape = nodes.part(&format!("shape.{input}"), "Shape", &[input], vec![]);
        let [start, end, axes] =
            [nodes.numbers(&[number(*axis)?])?, nodes.numbers(&[number(axis + 1)?])?, nodes.numbers(&[0])?];
        Ok(nodes.part(&format!("extent.{}", symbol.name()), "Slice", &[&shape, &start, &end, &axes], vec![]))
    }

    /// A shape as i64 `[rank]`.
    ///
    /// # Errors
    /// As [`Extents::value`].
    pub(super) fn list(&mut self, nodes: &mut Nodes, shape: &[Dim]) -> Result<String> {
        if let Some(known) = TensorType::new(DType::I64, shape).fixed_shape() {
            return nodes.numbers(&known.into_iter().map(number).collect::<Result<Vec<_>>>()?);
        }
        let mut parts = Vec::with_capacity(shape.len());
        for dim in shape {
            parts.push(self.value(nodes, dim)?);
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(nodes.part("shape", "Concat", &parts, vec![int("axis", 0)]))
    }
}

/// An extent as ONNX counts.
///
/// # Errors
/// [`Error::Model`] beyond i64.
pub(super) fn number(extent: usize) -> Result<i64> {
    i64::try_from(extent).map_err(|_| Error::model("shape", format!("the extent {extent} is beyond i64")))
}
