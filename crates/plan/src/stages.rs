//! What is done to a graph once per device, before any extents are known.

use crate::padding::Padding;
use crate::{
    DerivedInput, Error, Extents, MaskInput, Packing, PackingOutcome, PlanOptions, Result, fold::fold,
    fuse::fuse, fuse::fuse_packed, legalize::legalize, pack::Packed, pack::pack,
};
use lockstep_hal::graph::Graph;
use lockstep_hal::{CompiledModel, Device, Provenance};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What comes of a graph once per device.
pub(crate) struct Stages {
    pub(crate) graph: Graph,
    pub(crate) derived: Vec<DerivedInput>,
    pub(crate) provenance: BTreeMap<String, Provenance>,
    pub(crate) packing: PackingOutcome,
    pub(crate) padding: std::result::Result<Padding, String>,
}

/// For a device that runs steps: fused, packed, legalized and folded.
pub(crate) fn stages(
    source: &Graph,
    device: &Arc<dyn Device>,
    mask: Option<&MaskInput>,
    options: PlanOptions,
) -> Result<Stages> {
    let fused = if options.fuse { fuse(source, Some(device.as_ref()))? } else { source.clone() };
    let Planned { graph, derived, mixes_rows, packing } = packed(&fused, device.as_ref(), options.packing)?;
    let padding = match (options.extents, mixes_rows, mask) {
        (Extents::Exact, ..) => Err("buckets are off".into()),
        (Extents::Auto, ..) if !device.info().prefers_buckets => {
            Err(format!("{} does not prefer them", device.info().id))
        }
        (_, Some(node), _) => Err(mixing(&node)),
        (_, None, Some(mask)) if packing == PackingOutcome::Packed => {
            Padding::new(source, mask, &derived, None)
        }
        _ => Err("sequences are not packed".into()),
    };
    let graph = if options.fuse { fuse_packed(&graph, device.as_ref())? } else { graph };
    let legal = legalize(&graph, device.as_ref(), options.fallback, BTreeMap::new())?;
    let graph = fold(&legal.graph, device)?;
    Ok(Stages { graph, derived, provenance: legal.provenance, packing, padding })
}

/// For a device that runs a compiled model whole: the graph as it is, which says what goes in and out. Its gears are the only
/// extents, so that batches are always filled up to one where the graph could be packed.
pub(crate) fn whole(
    source: &Graph,
    device: &dyn Device,
    compiled: &CompiledModel,
    mask: Option<&MaskInput>,
    options: PlanOptions,
) -> Result<Stages> {
    let fed = |name: &String| source.input(name).is_some();
    if let Some(port) = compiled.inputs.iter().find(|port| !fed(&port.name)) {
        let reason =
            format!("the graph has no input `{}`, which it takes; was another model compiled?", port.name);
        return Err(lockstep_hal::Error::compiled_model(&compiled.file, reason).into());
    }
    let reason = format!("{} runs a compiled model", device.info().id);
    if options.packing == Packing::Required {
        return Err(Error::CannotPack { reason });
    }
    let padding = match (options.extents, mask) {
        (Extents::Exact, _) => Err("filling up is off".into()),
        (_, None) => Err("no input says which positions count".into()),
        (_, Some(mask)) => match packable(&fuse(source, None)?)? {
            Err(reason) => Err(reason),
            Ok(Packed { mixes_rows: Some(node), .. }) => Err(mixing(&node)),
            Ok(Packed { derived, .. }) => Padding::new(source, mask, &derived, Some(compiled)),
        },
    };
    Ok(Stages {
        graph: source.clone(),
        derived: Vec::new(),
        provenance: BTreeMap::new(),
        packing: PackingOutcome::Padded(reason),
        padding,
    })
}

fn mixing(node: &str) -> String {
    format!("sequences may know of each other after {node}")
}

/// A graph in its packed form, or why it has none.
fn packable(graph: &Graph) -> Result<std::result::Result<Packed, String>> {
    match MaskInput::find(graph) {
        Err(reason) => Ok(Err(reason)),
        Ok((id, mask)) => Ok(pack(graph, id, &mask)?),
    }
}

/// A graph, packed or not.
struct Planned {
    graph: Graph,
    derived: Vec<DerivedInput>,
    mixes_rows: Option<String>,
    packing: PackingOutcome,
}

fn packed(graph: &Graph, device: &dyn Device, packing: Packing) -> Result<Planned> {
    let padded = |reason: String| Planned {
        graph: graph.clone(),
        derived: Vec::new(),
        mixes_rows: None,
        packing: PackingOutcome::Padded(reason),
    };
    let refused = |reason: String| match packing {
        Packing::Required => Err(Error::CannotPack { reason }),
        _ => Ok(padded(reason)),
    };
    match packing {
        Packing::Off => return Ok(padded("packing is off".into())),
        Packing::Auto if !device.info().prefers_packing => {
            return Ok(padded(format!("{} does not prefer it", device.info().id)));
        }
        _ => {}
    }
    match packable(graph)? {
        Ok(Packed { graph, derived, mixes_rows }) => {
            Ok(Planned { graph, derived, mixes_rows, packing: PackingOutcome::Packed })
        }
        Err(reason) => refused(reason),
    }
}
