//! The fusions that ATC documents: chains of operators that are one operator of the device.
//!
//! A chain is fused only where nothing else sees what is inside it. A checkpoint that is cut out there, or a second reader, leaves
//! it as it is, as it does in any compiler.

mod chain;
mod gelu;
mod layer_norm;

use crate::constants::Constants;
use crate::draft::Draft;
use crate::modes::Modes;
use crate::{Error, Result};
use chain::Chain;
use lockstep_ascend_container::{Operand, Operator};
use std::collections::HashSet;

/// How many chains were fused, of each operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fused {
    /// LayerNorms.
    pub layer_norms: usize,
    /// Those of them that take 1/sqrt, instead of exp(-0.5 ln).
    pub precise_layer_norms: usize,
    /// GELUs of the erf form.
    pub erf_gelus: usize,
    /// GELUs of the tanh form.
    pub tanh_gelus: usize,
}

/// What the last step of a chain becomes.
#[derive(Clone, Debug, PartialEq)]
struct Fusion {
    operator: Operator,
    inputs: Vec<Operand>,
}

/// A draft after its chains were fused.
#[derive(Debug)]
pub(crate) struct Chains {
    pub(crate) draft: Draft,
    pub(crate) counts: Fused,
    /// The nodes whose own modes were asked: the last of each chain.
    pub(crate) asked: HashSet<String>,
}

/// The draft with every chain as one step, in the place of its last.
///
/// # Errors
/// [`Error::Flag`] for a GELU that is asked, by its name, for its fast form.
pub(crate) fn fused(mut draft: Draft, constants: &Constants, modes: &Modes) -> Result<Chains> {
    let mut counts = Fused::default();
    let mut asked = HashSet::new();
    let mut found = Vec::new();
    let chain = Chain::of(&draft, constants);
    for (at, step) in draft.steps.iter().enumerate() {
        let fusion = layer_norm::matched(&chain, step, modes).or_else(|| gelu::matched(&chain, step));
        let Some(fusion) = fusion else { continue };
        asked.insert(step.name.clone());
        match fusion.operator {
            Operator::LayerNorm { is_precise, .. } => {
                counts.layer_norms += 1;
                counts.precise_layer_norms += usize::from(is_precise);
            }
            Operator::Gelu { .. } if modes.asks_fast(&step.name) => {
                let reason = format!("`{}=high_performance`: a GELU's fast form is not simulated", step.name);
                return Err(Error::flag("--op_precision_mode", reason));
            }
            Operator::Gelu { is_tanh: true } => counts.tanh_gelus += 1,
            _ => counts.erf_gelus += 1,
        }
        found.push((at, fusion));
    }
    for (at, Fusion { operator, inputs }) in found {
        let step = &mut draft.steps[at];
        (step.operator, step.inputs) = (operator, inputs);
    }
    Ok(Chains { draft: draft.without_unread(), counts, asked })
}
