//! A fault planted in the tested device, to see what a guilty report looks like.

use crate::failure::{Failure, Outcome};
use clap::Args;
use lockstep_conformance::mutant::Mutant;
use lockstep_conformance::recipes::{Fault, Recipe};
use lockstep_runtime::{Device, Session};
use std::sync::Arc;

/// Where and what.
#[derive(Debug, Args)]
pub(super) struct PlantArguments {
    /// Break the tested device on purpose, at this node in this way; `conform --mutants --json` lists the faults
    #[arg(long, value_name = "NODE=FAULT")]
    plant: Option<String>,
}

impl PlantArguments {
    /// The device with the fault, if one is asked for.
    ///
    /// # Errors
    /// A fault that is none.
    pub(super) fn planted(&self, device: Arc<dyn Device>) -> Outcome<Arc<dyn Device>> {
        let Some(plant) = &self.plant else { return Ok(device) };
        let wrong = || {
            let what = format!(
                "--plant {plant}: write NODE=FAULT, such as encoder.2.output.LayerNorm=variance-over-n-minus1"
            );
            Failure::Usage(what)
        };
        let (node, fault) = plant.rsplit_once('=').ok_or_else(wrong)?;
        let fault = Fault::from_name(fault).ok_or_else(wrong)?;
        Ok(Mutant::device(device, Recipe::faulty(fault), Some(node)))
    }

    /// Refuses a node that the device's plan does not have, where a fault would show nothing.
    ///
    /// # Errors
    /// Such a node.
    pub(super) fn check(&self, session: &Session) -> Outcome {
        let Some((node, _)) = self.plant.as_ref().and_then(|plant| plant.rsplit_once('=')) else {
            return Ok(());
        };
        let nodes = session.prepared().graph().nodes();
        if nodes.iter().any(|known| known.name == node) {
            return Ok(());
        }
        let what = format!(
            "the tested device's plan has no node `{node}`; `lockstep compare` without --plant lists them"
        );
        Err(Failure::Usage(what))
    }
}
