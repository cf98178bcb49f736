//! A graph made ready for a device, and its programs for given extents.

use crate::padding::{PaddedBatch, Padding};
use crate::sequences::Tokens;
use crate::stages::{Stages, stages, whole};
use crate::{
    DerivedInput, Fallback, MaskInput, PackingOutcome, PlanOptions, Result, assemble::assemble, fuse::fuse,
    legalize::legalize, query::support_of,
};
use lockstep_hal::graph::{Graph, HostTensor, Symbol, SymbolValues, TensorType, ValueId};
use lockstep_hal::{Device, Program, Provenance, Support};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One node of a plan, for whoever wants to see it.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// The node's name.
    pub name: String,
    /// Its op.
    pub op: String,
    /// Its inputs' types.
    pub inputs: Vec<String>,
    /// The device's answer.
    pub support: Support,
    /// Where the node came from.
    pub provenance: Provenance,
}

/// A graph as one device will run it, for any extents.
#[derive(Debug)]
pub struct Prepared {
    device: Arc<dyn Device>,
    source: Graph,
    graph: Graph,
    provenance: BTreeMap<String, Provenance>,
    fallback: Fallback,
    mask: Option<MaskInput>,
    derived: Vec<DerivedInput>,
    packing: PackingOutcome,
    padding: std::result::Result<Padding, String>,
}

/// A program and what its buffers mean.
#[derive(Clone, Debug)]
pub struct BoundProgram {
    /// The program.
    pub program: Arc<Program>,
    /// The names of its inputs: the caller's and the derived ones.
    pub inputs: Vec<String>,
    /// The names and types of its outputs.
    pub outputs: Vec<(String, TensorType)>,
    /// The names and types of its taps.
    pub taps: Vec<(String, TensorType)>,
}

impl Prepared {
    /// Fuses, packs, legalizes and folds a graph for a device; for one that runs a compiled model the graph stays as it is.
    ///
    /// # Errors
    /// [`lockstep_hal::Error::Unsupported`] lists every node that the device refuses; [`crate::Error::CannotPack`] if packing
    /// was required.
    pub fn new(graph: &Graph, device: Arc<dyn Device>, options: PlanOptions) -> Result<Self> {
        let source = graph.pruned()?;
        // What the mask is does not depend on the device: rows without a token are refused everywhere.
        let mask = MaskInput::find(&fuse(&source, None)?).ok().map(|(_, mask)| mask);
        let Stages { graph, derived, provenance, packing, padding } = match device.compiled_model() {
            Some(compiled) => whole(&source, device.as_ref(), compiled, mask.as_ref(), options)?,
            None => stages(&source, &device, mask.as_ref(), options)?,
        };
        let exact = padding.as_ref().err();
        tracing::debug!(device = %device.info().id, nodes = graph.nodes().len(), ?packing, ?exact, "prepared");
        Ok(Self {
            device,
            source,
            graph,
            provenance,
            fallback: options.fallback,
            mask,
            derived,
            packing,
            padding,
        })
    }

    /// What a device says of every node of a graph after fusion; never fails for what it refuses.
    ///
    /// # Errors
    /// Those of a graph that is not well formed.
    pub fn survey(graph: &Graph, device: &dyn Device) -> Result<Vec<NodePlan>> {
        let fused = fuse(&graph.pruned()?, Some(device))?;
        Ok(node_plans(&fused, device, &BTreeMap::new()))
    }

    /// The nodes of the plan.
    pub fn nodes(&self) -> Vec<NodePlan> {
        node_plans(&self.graph, self.device.as_ref(), &self.provenance)
    }

    /// The graph that was given, without what nothing reads.
    pub fn source(&self) -> &Graph {
        &self.source
    }

    /// The graph as the device runs it.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The device.
    pub fn device(&self) -> &Arc<dyn Device> {
        &self.device
    }

    /// Whether sequences are packed, and if not, why.
    pub fn packing(&self) -> &PackingOutcome {
        &self.packing
    }

    /// Why programs are made for the very extents of each batch; `None` where they are made for buckets.
    pub fn why_exact(&self) -> Option<&str> {
        self.padding.as_ref().err().map(String::as_str)
    }

    /// The batch with as many sequences and positions more as fill its bucket; `None` where it stays as it is, as it also
    /// does where no bucket holds it. Input types are the caller's to check first.
    ///
    /// # Errors
    /// Inputs that are not of their declared type.
    pub fn padded(&self, inputs: &BTreeMap<&str, &HostTensor>) -> Result<Option<PaddedBatch>> {
        self.padding.as_ref().map_or(Ok(None), |padding| padding.padded(&self.source, inputs))
    }

    /// What was asked for of an output or tap of that name, from the result of a padded batch.
    ///
    /// # Errors
    /// A result that is not of its declared type.
    pub fn cut(&self, batch: &PaddedBatch, name: &str, result: &HostTensor) -> Result<HostTensor> {
        let named = self.source.outputs().iter().chain(self.source.checkpoints());
        match named.into_iter().find(|(given, _)| given == name) {
            Some((_, id)) => batch.cut(result, &self.source.value(*id).ty),
            None => Ok(result.clone()),
        }
    }

    /// The input that says which positions count, `[batch, seq]`, if the graph has one.
    pub fn mask_input(&self) -> Option<&str> {
        self.mask.as_ref().map(|mask| mask.name.as_str())
    }

    /// The values of symbols and of derived inputs that these inputs imply. Input types are the caller's to check first.
    ///
    /// # Errors
    /// [`crate::Error::Mask`] for a mask without a token in some row.
    pub fn derive(
        &self,
        symbols: &mut SymbolValues,
        inputs: &BTreeMap<&str, &HostTensor>,
    ) -> Result<Vec<(String, HostTensor)>> {
        let Some(mask) = &self.mask else { return Ok(Vec::new()) };
        let Some(tensor) = inputs.get(mask.name.as_str()) else { return Ok(Vec::new()) };
        let tokens = Tokens::read(&mask.name, tensor)?;
        if self.derived.is_empty() {
            return Ok(Vec::new());
        }
        symbols.insert(Symbol::new("tokens"), tokens.count());
        let named = |&id: &ValueId| inputs.get(self.source.value(id).name.as_str()).copied();
        let numbered: Vec<Option<&HostTensor>> = self.source.inputs().iter().map(named).collect();
        (self.derived.iter())
            .map(|input| Ok((input.name.clone(), tokens.derive(&mask.name, input.kind, &numbered)?)))
            .collect()
    }

    /// The program for these extents that gives `outputs` and `taps`, by name.
    ///
    /// # Errors
    /// Shape errors at these extents; an output or checkpoint the graph does not have; nodes the device refuses.
    pub fn bind(&self, symbols: &SymbolValues, outputs: &[&str], taps: &[&str]) -> Result<BoundProgram> {
        if self.packing == PackingOutcome::Packed {
            // What packing leaves nothing of, such as a slice of a table that is shorter than the rows, is refused all the same.
            self.source.select(outputs, taps)?.bound(symbols)?;
        }
        let selected = self.graph.select(outputs, taps)?.bound(symbols)?;
        let legal = legalize(&selected, self.device.as_ref(), self.fallback, self.provenance.clone())?;
        let program = assemble(&legal.graph, self.device.as_ref(), &legal.provenance)?;
        let typed = |list: &[(String, ValueId)]| {
            list.iter().map(|(name, id)| (name.clone(), legal.graph.value(*id).ty.clone())).collect()
        };
        let inputs = program.io()[..program.input_count()].iter();
        Ok(BoundProgram {
            inputs: inputs.map(|&id| program.operand(id).name.clone()).collect(),
            outputs: typed(legal.graph.outputs()),
            taps: typed(legal.graph.checkpoints()),
            program: Arc::new(program),
        })
    }
}

fn node_plans(
    graph: &Graph,
    device: &dyn Device,
    provenance: &BTreeMap<String, Provenance>,
) -> Vec<NodePlan> {
    (graph.nodes().iter())
        .map(|node| NodePlan {
            name: node.name.clone(),
            op: node.op.name().to_owned(),
            inputs: node.inputs.iter().map(|&id| graph.value(id).ty.to_string()).collect(),
            support: support_of(device, graph, node),
            provenance: provenance.get(&node.name).cloned().unwrap_or(Provenance::Native),
        })
        .collect()
}
