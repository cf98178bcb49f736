//! Whether a replay names the node where a fault was made, on whole models.

use crate::mutant::Mutant;
use crate::random::Random;
use crate::recipes::{Fault, Recipe};
use crate::replay::StepTrial;
use crate::verdict::Verdict;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Device, Result};
use serde::Serialize;
use std::sync::Arc;

/// What became of a fault at one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The node is the worst of those that are WRONG.
    Named,
    /// Another node is.
    Misnamed(String),
    /// Nothing is WRONG: on these activations the fault stays within what roundings may do.
    WithinBound,
    /// No node of the model gives other bits with this fault than without.
    NoSite,
}

/// A fault, where it was made, and what was said.
#[derive(Clone, Debug, Serialize)]
pub struct Located {
    /// The fault.
    pub fault: Fault,
    /// The node where it was made.
    pub site: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The named node's error as a multiple of its bound; of the faulty node where none is named.
    pub of_worst_case: f64,
    /// The hypothesis that fits the named node best.
    pub fingerprint: Option<Fault>,
}

/// Plants each fault at one node of a model and has every step judged. `trials` are the model's on `device`; `seed` chooses
/// among the nodes that a fault changes.
///
/// # Errors
/// What the device says; those of the judge.
pub fn localise(
    device: &Arc<dyn Device>,
    trials: &[StepTrial],
    faults: &[Fault],
    seed: u64,
) -> Result<Vec<Located>> {
    let mut plain = vec![None; trials.len()];
    let mut random = Random(seed);
    faults.iter().map(|&fault| locate(device, trials, &mut plain, fault, &mut random)).collect()
}

fn locate(
    device: &Arc<dyn Device>,
    trials: &[StepTrial],
    plain: &mut [Option<Option<HostTensor>>],
    fault: Fault,
    random: &mut Random,
) -> Result<Located> {
    let mut located =
        Located { fault, site: None, outcome: Outcome::NoSite, of_worst_case: 0.0, fingerprint: None };
    let mut order: Vec<usize> = (0..trials.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at + 1));
    }
    order.retain(|&at| fault.touches(&trials[at].op));
    let site = order.into_iter().find(|&at| {
        let without = plain[at].get_or_insert_with(|| computed(&trials[at], Recipe::PLAIN));
        let with = without.as_ref().and_then(|without| with_fault(&trials[at], without, fault));
        // The same recipe gives other bits with the fault than without.
        without.as_ref().zip(with).is_some_and(|(without, with)| without.bytes() != with.bytes())
    });
    let Some(site) = site.map(|at| &trials[at]) else { return Ok(located) };
    located.site = Some(site.node.clone());
    located.outcome = Outcome::WithinBound;
    let mutant = Mutant::device(device.clone(), Recipe::faulty(fault), Some(&site.node));
    let mut of_site = 0.0;
    for trial in trials {
        let found = trial.run(&mutant)?;
        let judgement = trial.judge(&found)?;
        if trial.node == site.node {
            of_site = judgement.of_worst_case;
        }
        if judgement.verdict == Verdict::Wrong && judgement.of_worst_case > located.of_worst_case {
            located.of_worst_case = judgement.of_worst_case;
            located.fingerprint = trial.fingerprints(&judgement, &found).first().map(|best| best.fault);
            located.outcome = match trial.node == site.node {
                true => Outcome::Named,
                false => Outcome::Misnamed(trial.node.clone()),
            };
        }
    }
    if located.outcome == Outcome::WithinBound {
        located.of_worst_case = of_site;
    }
    Ok(located)
}

/// What the fault makes of a step; of a result that is only stored wrongly there is nothing to compute again.
fn with_fault(trial: &StepTrial, without: &HostTensor, fault: Fault) -> Option<HostTensor> {
    if fault.is_of_storing() {
        return Some(Recipe::faulty(fault).stored(without.clone()));
    }
    computed(trial, Recipe::faulty(fault))
}

fn computed(trial: &StepTrial, recipe: Recipe) -> Option<HostTensor> {
    recipe.run(&trial.op, &trial.inputs(), trial.storage)
}
