//! What must hold between runs of one device, whatever the truth is.
//!
//! `rows` and `tokens` change who stands beside whom, `values` what is computed, `graphs` how a device is asked: with taps or
//! without, fused or not. What must be equal is compared by its bits; what another order of summation may change, by the sum of
//! the bounds of both runs. `threads` holds between two devices of one backend, and so has its own entrance.

mod graphs;
mod rows;
mod threads;
mod tokens;
mod values;

pub use threads::same_bits;

use super::Selection;
use super::guarded::Guarded;
use crate::cases::Case;
use crate::oracle::{Limits, Oracle, Terms};
use crate::pulse::Pulse;
use crate::random::Random;
use crate::verdict::Verdict;
use lockstep_runtime::hal::Support;
use lockstep_runtime::tensor::{DType, HostTensor};
use lockstep_runtime::{Device, Result};
use serde::Serialize;
use std::sync::Arc;

/// A property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Property {
    /// A hundred runs give the same bits.
    SameBitsEveryRun,
    /// A row alone gives the bits that it has in a batch.
    BatchInvariance,
    /// Rows in another order give their bits in that order.
    PermutationEquivariance,
    /// What stands at masked positions does not reach the others.
    PaddingInvariance,
    /// Without positions, tokens in another order give their results in that order.
    TokenPermutation,
    /// Softmax of scores that are all larger by one amount is the same.
    SoftmaxShift,
    /// LayerNorm of a row that is larger by one amount is the same.
    LayerNormShift,
    /// LayerNorm of a row four times as large, with epsilon to match, is the same.
    LayerNormScale,
    /// A product of operands twice as large is twice as large, to the bit.
    PowerOfTwoScaling,
    /// Looking at checkpoints does not change the outputs' bits.
    TapsChangeNothing,
    /// Fused or not, every step holds, and in f64 the fused graph gives the bits of the graph as it was written.
    FusionChangesNothing,
    /// One thread gives the bits of many.
    ThreadInvariance,
}

impl Property {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Property::SameBitsEveryRun => "same bits every run",
            Property::BatchInvariance => "batch invariance",
            Property::PermutationEquivariance => "permutation equivariance",
            Property::PaddingInvariance => "padding invariance",
            Property::TokenPermutation => "token permutation",
            Property::SoftmaxShift => "softmax shift",
            Property::LayerNormShift => "LayerNorm shift",
            Property::LayerNormScale => "LayerNorm scale",
            Property::PowerOfTwoScaling => "power-of-two scaling",
            Property::TapsChangeNothing => "taps on and off",
            Property::FusionChangesNothing => "fused and unfused",
            Property::ThreadInvariance => "threads 1 and n",
        }
    }
}

/// One property of one op in one dtype.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyReport {
    /// The property.
    pub property: Property,
    /// The op.
    pub op: String,
    /// The dtype.
    pub dtype: DType,
    /// What follows.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Where it does not hold.
    pub detail: Option<String>,
}

/// Checks every property that a device's profile promises.
pub(super) fn check(
    device: &Arc<dyn Device>,
    dtype: DType,
    selection: &Selection,
    pulse: &mut Pulse<'_>,
) -> Result<Vec<PropertyReport>> {
    let mut checks = Checks { device, dtype, selection, oracle: Oracle::new()?, pulse, reports: Vec::new() };
    let mut r = Random(53);
    checks.rows(&mut r)?;
    checks.tokens(&mut r)?;
    checks.values(&mut r)?;
    checks.graphs(&mut r)?;
    Ok(checks.reports)
}

struct Checks<'a, 'p> {
    device: &'a Arc<dyn Device>,
    dtype: DType,
    selection: &'a Selection,
    oracle: Oracle,
    pulse: &'a mut Pulse<'p>,
    reports: Vec<PropertyReport>,
}

impl Checks<'_, '_> {
    /// Records what `check` finds of an op: nothing for a property that holds, else where it does not.
    fn record(
        &mut self,
        property: Property,
        case: &Case,
        promised: bool,
        check: impl FnOnce(&Self) -> Result<Option<String>>,
    ) -> Result<()> {
        if !self.selection.includes(&case.op) {
            return Ok(());
        }
        let refusal = match super::support(self.device, &case.in_dtype(self.dtype))? {
            Support::No(reason) => Some(reason.to_string()),
            _ => None,
        };
        self.record_of(property, case.op.name(), refusal, promised, check);
        Ok(())
    }

    /// The same of anything with a name.
    fn record_of(
        &mut self,
        property: Property,
        name: &str,
        refusal: Option<String>,
        promised: bool,
        check: impl FnOnce(&Self) -> Result<Option<String>>,
    ) {
        let (verdict, detail) = match (refusal, self.pulse.stopped()) {
            (Some(reason), _) => (Verdict::Unsupported(reason), None),
            (None, Some(stopped)) => (Verdict::NotRun(stopped.briefly()), None),
            (None, None) if !promised => (Verdict::NotRun("the device does not promise it".to_owned()), None),
            (None, None) => match check(self) {
                Ok(None) => (Verdict::Exact, None),
                Ok(detail) => (Verdict::Wrong, detail),
                Err(error) => {
                    let at = format!("{} {} of {name}", self.dtype, property.name());
                    match self.pulse.lost(&at, &error) {
                        Some(stopped) => (Verdict::NotRun(stopped.briefly()), None),
                        None => (Verdict::Crash(error.to_string()), None),
                    }
                }
            },
        };
        let op = name.to_owned();
        self.reports.push(PropertyReport { property, op, dtype: self.dtype, verdict, detail });
    }

    fn run(&self, case: &Case) -> Result<HostTensor> {
        let arguments = case.arguments();
        Guarded::compile(self.device, &case.op, &arguments)?.run(&arguments)
    }

    /// What a case gives, and how far that may be from its truth.
    fn held(&self, case: &Case) -> Result<(HostTensor, Limits)> {
        let case = case.in_dtype(self.dtype);
        let arguments = case.arguments();
        let truth = self.oracle.truth("property", &case.op, &arguments)?.swap_remove(0);
        let accumulate = match super::support(self.device, &case)? {
            Support::Native(claim) => claim.accumulate,
            _ => self.dtype,
        };
        let terms = Terms { accumulate, profile: &self.device.info().numerics };
        let limits = self.oracle.limits(&case.op, &arguments, &truth, self.dtype, terms)?;
        Ok((self.run(&case)?, limits))
    }
}

/// Where two results differ by more than both may be off together.
fn apart(a: &[f64], b: &[f64], bound: impl Fn(usize) -> f64) -> Option<String> {
    let is_apart = |at: &usize| {
        let difference = a[*at] - b[*at];
        difference.is_nan() || difference.abs() > bound(*at)
    };
    let at = (0..a.len()).find(is_apart)?;
    Some(format!("element {at} is {:e} and {:e}", a[at], b[at]))
}
