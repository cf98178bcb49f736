//! Checking a run's inputs against the graph, and reading extents off them.

use crate::{Error, Result};
use lockstep_plan::hal::graph::{Dim, Graph, HostTensor, SymbolValues};
use std::collections::BTreeMap;

/// The values of the symbols in the graph's input shapes.
///
/// # Errors
/// [`Error::Input`] for an input that is missing, unknown, given twice, of another dtype or shape, or empty.
pub(crate) fn bind_inputs(graph: &Graph, inputs: &BTreeMap<&str, &HostTensor>) -> Result<SymbolValues> {
    let mut symbols = SymbolValues::new();
    let known: Vec<&str> = graph.inputs().iter().map(|&id| graph.value(id).name.as_str()).collect();
    if let Some(unknown) = inputs.keys().find(|name| !known.contains(name)) {
        let reason = format!("the graph has no such input; it has {}", known.join(", "));
        return Err(Error::Input { input: (*unknown).to_owned(), reason });
    }
    for &id in graph.inputs() {
        let value = graph.value(id);
        let wrong = |reason: String| Error::Input { input: value.name.clone(), reason };
        let tensor = inputs
            .get(value.name.as_str())
            .ok_or_else(|| wrong(format!("was not given; the graph takes {}", value.ty)))?;
        if tensor.dtype() != value.ty.dtype || tensor.shape().len() != value.ty.shape.len() {
            let given = format!("{}{:?}", tensor.dtype(), tensor.shape());
            return Err(wrong(format!("is {given}, the graph takes {}", value.ty)));
        }
        for (axis, (dim, &extent)) in value.ty.shape.iter().zip(tensor.shape()).enumerate() {
            bind_extent(dim, extent, &mut symbols)
                .map_err(|reason| wrong(format!("axis {axis} of {:?}: {reason}", tensor.shape())))?;
        }
    }
    Ok(symbols)
}

fn bind_extent(dim: &Dim, extent: usize, symbols: &mut SymbolValues) -> std::result::Result<(), String> {
    if let Some(fixed) = dim.as_const() {
        return if fixed == extent { Ok(()) } else { Err(format!("is {extent}, expected {fixed}")) };
    }
    let Some(symbol) = dim.as_symbol() else { return Err(format!("{dim} cannot be read off one input")) };
    if extent == 0 {
        return Err(format!("`{}` is 0; give at least one", symbol.name()));
    }
    match symbols.insert(symbol.clone(), extent) {
        Some(other) if other != extent => {
            Err(format!("`{}` is {extent} here and {other} in an input before", symbol.name()))
        }
        _ => Ok(()),
    }
}
