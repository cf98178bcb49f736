//! The suite measured by the bugs that it catches.
//!
//! Every fault is run over every case of the ops that it touches, in each storage dtype, and judged as a device's result
//! would be. One that no case shows to be WRONG survives. The same judge is given honest recipes, which it may not accuse.

use crate::cases::Case;
use crate::judgement::Judgement;
use crate::one_op::Argument;
use crate::oracle::{Limits, Oracle, Terms};
use crate::recipes::{Fault, Order, Recipe};
use crate::verdict::Verdict;
use lockstep_runtime::Result;
use lockstep_runtime::hal::{NumericsProfile, Overflow};
use lockstep_runtime::tensor::{DType, HostTensor};
use serde::Serialize;

/// The storage dtypes that recipes are tried in.
pub const DTYPES: [DType; 3] = [DType::F32, DType::F16, DType::Bf16];

/// What recipes promise: f32 sums, functions of the C library's accuracy.
pub fn profile() -> NumericsProfile {
    NumericsProfile {
        version: 1,
        accumulate: DTYPES.map(|dtype| (dtype, DType::F32)).to_vec(),
        reduced_f32_products: false,
        flushes_subnormals: false,
        overflow: Overflow::Infinity,
        exp_ulp: 1.0,
        erf_ulp: 1.0,
        tanh_ulp: 1.0,
        deterministic: true,
        batch_invariant: true,
    }
}

/// A case ready to be judged again and again: its operands in a dtype, and their truth.
#[derive(Debug)]
pub struct Trial {
    /// The case in its dtype.
    pub case: Case,
    /// The dtype.
    pub dtype: DType,
    truth: HostTensor,
    limits: Limits,
}

/// What became of one fault.
#[derive(Clone, Debug, Serialize)]
pub struct Fate {
    /// The fault.
    pub fault: Fault,
    /// In how many trials it gave other bits than the plain recipe.
    pub differs: usize,
    /// In how many of those it was WRONG.
    pub wrong: usize,
    /// In how many SUSPECT.
    pub suspect: usize,
    /// The first case that killed it.
    pub killed_by: Option<String>,
}

impl Fate {
    /// Whether a case showed it to be WRONG.
    pub fn is_killed(&self) -> bool {
        self.wrong > 0
    }
}

/// An honest recipe that was accused.
#[derive(Clone, Debug)]
pub struct FalseAlarm {
    /// The recipe.
    pub recipe: Recipe,
    /// The case.
    pub case: String,
    /// What was said of it.
    pub judgement: Judgement,
}

/// Trials of the cases that a recipe computes, in each of `dtypes`, for a device of that profile with sums in f32.
///
/// # Errors
/// Those of the reference.
pub fn trials(
    oracle: &Oracle,
    cases: &[Case],
    dtypes: &[DType],
    profile: &NumericsProfile,
) -> Result<Vec<Trial>> {
    let terms = Terms { accumulate: DType::F32, profile };
    let mut trials = Vec::new();
    for &dtype in dtypes {
        for case in cases.iter().map(|case| case.in_dtype(dtype)) {
            // Storage in f64 or of integers is no accelerator's matter.
            let Some(plain) = Recipe::PLAIN.run(&case.op, &case.inputs, dtype) else { continue };
            let arguments: Vec<Argument> = case.inputs.iter().cloned().map(Argument::Given).collect();
            let Ok(mut truth) = oracle.truth("trial", &case.op, &arguments) else { continue };
            let truth = truth.swap_remove(0);
            if truth.dtype().is_float() && truth.shape() == plain.shape() {
                let limits = oracle.limits(&case.op, &arguments, &truth, plain.dtype(), terms)?;
                trials.push(Trial { case, dtype, truth, limits });
            }
        }
    }
    Ok(trials)
}

impl Trial {
    /// What a recipe gives; `None` where it does not compute the op.
    pub fn run(&self, recipe: Recipe) -> Option<HostTensor> {
        recipe.run(&self.case.op, &self.case.inputs, self.dtype)
    }

    /// Judges what some kernel gave.
    ///
    /// # Errors
    /// As [`Limits::judge`].
    pub fn judge(&self, found: &HostTensor) -> Result<Judgement> {
        self.limits.judge(&self.truth, found)
    }
}

/// What becomes of a fault in these trials.
///
/// # Errors
/// As [`Limits::judge`].
pub fn fate(trials: &[Trial], fault: Fault) -> Result<Fate> {
    let mut fate = Fate { fault, differs: 0, wrong: 0, suspect: 0, killed_by: None };
    for trial in trials.iter().filter(|trial| fault.touches(&trial.case.op)) {
        let (Some(plain), Some(found)) = (trial.run(Recipe::PLAIN), trial.run(Recipe::faulty(fault))) else {
            continue;
        };
        if plain.bytes() == found.bytes() {
            continue;
        }
        fate.differs += 1;
        match trial.judge(&found)?.verdict {
            Verdict::Wrong => {
                fate.wrong += 1;
                fate.killed_by.get_or_insert_with(|| trial.case.describe());
            }
            Verdict::Suspect => fate.suspect += 1,
            _ => {}
        }
    }
    Ok(fate)
}

/// Honest recipes: every order, with one rounding or two per product, by either of two equivalent formulas.
pub fn honest_variants() -> Vec<Recipe> {
    let lanes = [2, 4, 8, 16, 32, 64].map(Order::Lanes);
    let blocks = [4, 16, 32, 64, 128, 256].map(Order::Blocks);
    let shuffles = (0..14).map(|seed| Order::Shuffled(seed * 7919 + 3));
    let orders = [Order::Forward, Order::Reverse, Order::Pairwise].into_iter();
    let mut variants = Vec::new();
    for order in orders.chain(lanes).chain(blocks).chain(shuffles) {
        for (fma, other_formula) in [(false, false), (true, false), (false, true), (true, true)] {
            variants.push(Recipe { order, fma, other_formula, fault: None });
        }
    }
    variants
}

/// The trials in which a recipe, supposed to be honest, is WRONG.
///
/// # Errors
/// As [`Limits::judge`].
pub fn false_alarms(trials: &[Trial], recipe: Recipe) -> Result<Vec<FalseAlarm>> {
    let mut alarms = Vec::new();
    for trial in trials {
        let Some(found) = trial.run(recipe) else { continue };
        let judgement = trial.judge(&found)?;
        if judgement.verdict == Verdict::Wrong {
            alarms.push(FalseAlarm { recipe, case: trial.case.describe(), judgement });
        }
    }
    Ok(alarms)
}
