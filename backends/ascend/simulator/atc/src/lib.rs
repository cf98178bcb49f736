//! A stand-in for ATC, the compiler of Huawei's CANN: reads an ONNX model and ATC's own flags, and writes a model that the
//! simulator of ACL executes.
//!
//! It is not ATC. It follows what ATC's documents say (flags, gears, which chains are fused, what a precision mode is), refuses
//! what it does not have, and says where the documents end. Its files have the ending of ATC's and another magic, so that
//! CANN refuses them, and no real one is overwritten.
//!
//! A model is compiled gear by gear: with every extent a number, nodes become constants, views or steps (`lower`), chains that a
//! device has as one operator are fused (`fuse`), casts are set where a precision mode wants them (`precision`), and work memory is
//! shared by values that do not meet (`arena`). Weights are stored once for all gears.

mod arena;
mod assemble;
mod constants;
mod draft;
mod dtype;
mod error;
mod flags;
mod fold;
mod fuse;
mod gears;
mod lower;
mod model;
mod modes;
mod precision;
mod report;
mod save;
mod view;

pub use error::{Error, Lacking, Result};
pub use flags::{Flags, Options};
pub use fuse::Fused;
pub use report::Report;

use assemble::{Stored, assembled};
use constants::Constants;
use draft::Given;
use gears::{Extents, Gears, list};
use lockstep_ascend_container::{self as container, Port};
use model::Model;
use report::GearReport;
use std::collections::HashSet;

/// What `producer` says in every file.
const PRODUCER: &str = concat!("atc-sim ", env!("CARGO_PKG_VERSION"), " (simulated)");

/// A compiled model.
#[derive(Clone, Debug)]
pub struct Compiled {
    model: container::Model,
    constants: Vec<u8>,
    report: Report,
    warnings: Vec<String>,
}

impl Compiled {
    /// What a file of it holds.
    pub fn model(&self) -> &container::Model {
        &self.model
    }

    /// The bytes of its constants.
    pub fn constants(&self) -> &[u8] {
        &self.constants
    }

    /// What was compiled, for people.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What the command line leaves to be desired.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Compiles the model that the options name. Nothing is written; [`Compiled::save`] does.
///
/// # Errors
/// What [`Error`] says: files that are no models or not whole, operators that are not simulated, all at once, and flags that
/// are not of this model.
pub fn compile(options: &Options) -> Result<Compiled> {
    let mut constants = Constants::default();
    let model = Model::read(&options.model, &mut constants)?;
    lower::check_operators(&model.nodes)?;
    let Gears { dynamic, inputs, extents } = options.shapes.gears(&model.inputs)?;
    let mut stored = Stored::default();
    let mut compiled = container::Model {
        name: model.name.clone(),
        producer: PRODUCER.to_owned(),
        soc_version: options.soc_version.clone(),
        precision_mode: options.precision.name().to_owned(),
        dynamic,
        ..container::Model::default()
    };
    let mut fused = Fused::default();
    let mut asked = HashSet::new();
    for extents in &extents {
        let nodes = lower::lowered(&model, &extents.inputs, &mut constants)?;
        let chains = fuse::fused(nodes, &constants, &options.modes)?;
        fused = chains.counts;
        asked.extend(chains.asked);
        let draft = precision::rewritten(chains.draft, options.precision, &mut constants)?;
        note_outputs(&mut compiled.outputs, &draft.given, &compiled.gears, extents)?;
        compiled.gears.push(assembled(draft, extents, &constants, &mut stored)?);
    }
    compiled.inputs = (model.inputs.iter().zip(inputs))
        .map(|(input, dims)| Port { name: input.name.clone(), dtype: input.dtype, dims })
        .collect();
    compiled.constants = stored.constants;
    let report = Report {
        model: options.model.display().to_string(),
        nodes: model.nodes.len(),
        opset: model.opset,
        soc_version: options.soc_version.clone(),
        precision: options.precision.name(),
        meaning: options.precision.meaning(),
        dynamic,
        fused,
        gears: compiled.gears.iter().map(GearReport::of).collect(),
        constants: compiled.constants.len(),
        weights: stored.bytes.len() as u64,
    };
    let warnings = warnings(options, &model, &constants, &asked);
    Ok(Compiled { model: compiled, constants: stored.bytes, report, warnings })
}

/// What the flags, the modes' file and the weights leave to be desired.
fn warnings(options: &Options, model: &Model, constants: &Constants, asked: &HashSet<String>) -> Vec<String> {
    let names: HashSet<&str> = model.nodes.iter().map(|node| node.name.as_str()).collect();
    let idle = options.modes.nodes_but(asked).into_iter().map(|name| match names.contains(name) {
        false => format!("--op_precision_mode: the model has no node `{name}`"),
        true => format!(
            "--op_precision_mode: the mode of node `{name}` decides nothing here; it is the last node of a LayerNorm, the Add of \
             beta, whose mode does"
        ),
    });
    let beyond = (constants.overflowed().iter())
        .map(|name| format!("constant `{name}`: has values beyond f16, which become infinite"));
    options.warnings.iter().cloned().chain(idle).chain(beyond).collect()
}

/// The outputs of a model, from those of its gears, one after the other; -1 where gears differ.
///
/// # Errors
/// [`Error::Tensor`] for one with more axes in this gear than in those before, as a Squeeze of whatever has one element gives.
fn note_outputs(
    ports: &mut Vec<Port>,
    given: &[Given],
    before: &[container::Gear],
    extents: &Extents,
) -> Result<()> {
    if ports.is_empty() {
        let port = |given: &Given| Port {
            name: given.name.clone(),
            dtype: given.dtype,
            dims: given.operand.dims.clone(),
        };
        ports.extend(given.iter().map(port));
        return Ok(());
    }
    for (port, given) in ports.iter_mut().zip(given) {
        let axes = [port.dims.len(), given.operand.dims.len()];
        if axes[0] != axes[1] {
            let first = before.first().map_or_else(String::new, |gear| list(&gear.key));
            let reason = format!(
                "has {} axes in the gear {first} and {} in the gear {}; a model has as many in all",
                axes[0],
                axes[1],
                list(&extents.key)
            );
            return Err(Error::tensor(&given.name, reason));
        }
        for (known, dim) in port.dims.iter_mut().zip(&given.operand.dims) {
            if known != dim {
                *known = -1;
            }
        }
    }
    Ok(())
}
