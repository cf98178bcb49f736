//! Every op on one device, over the cases, each held to its bound; and the properties that hold between runs.
//!
//! [`assert_conforms`] is what someone who brings a new chip calls from `cargo test`.

mod expectations;
mod guarded;
mod properties;
mod summary;

pub use expectations::{Expectations, Explained};
pub use properties::{Property, PropertyReport, same_bits};
pub use summary::OpSummary;

use crate::cases::{self, Case, kind};
use crate::judgement::Judgement;
use crate::one_op::Argument;
use crate::oracle::{Oracle, Terms};
use crate::pulse::{Pulse, Stopped};
use crate::report::junit::{Ending, Suite, TestCase};
use crate::repro::{MOST_KEPT, Offender};
use crate::verdict::Verdict;
use guarded::{Guarded, poisoned};
use lockstep_runtime::graph::{Op, TensorType, infer};
use lockstep_runtime::hal::{DeviceInfo, Error as DeviceError, NumericsProfile, OpQuery, Support};
use lockstep_runtime::plan;
use lockstep_runtime::tensor::{DType, HostTensor};
use lockstep_runtime::{Device, Error, Result};
use serde::Serialize;
use std::sync::Arc;

/// What is tested.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only the op of this name, or of this kind (`Unary`); case does not count.
    pub op: Option<String>,
    /// Only this dtype.
    pub dtype: Option<DType>,
}

impl Selection {
    /// Whether an op is to be tested.
    fn includes(&self, op: &Op) -> bool {
        let is_named = |name: &str| self.op.as_ref().is_none_or(|only| only.eq_ignore_ascii_case(name));
        is_named(op.name()) || is_named(kind(op))
    }

    /// The dtypes of a device that are to be tested.
    fn dtypes(&self, device: &Arc<dyn Device>) -> Vec<DType> {
        let dtypes = device.info().dtypes.iter().copied();
        dtypes.filter(|dtype| self.dtype.is_none_or(|only| only == *dtype)).collect()
    }
}

/// One case on one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseReport {
    /// The op.
    pub op: String,
    /// The dtype under test.
    pub dtype: DType,
    /// The op with its attributes, dtypes and shapes.
    pub case: String,
    /// What follows.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How it compares with the truth; `None` where nothing was computed.
    pub judgement: Option<Judgement>,
    /// What is expected of it, if something is.
    pub explained: Option<Explained>,
    /// Its tensors, if it is one of the first that fail ([`crate::repro::MOST_KEPT`]).
    #[serde(skip)]
    pub offender: Option<Offender>,
}

/// Everything that was tested on one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conformance {
    /// The device.
    pub device: String,
    /// What it calls itself.
    pub name: String,
    /// Whether it is a simulator.
    pub simulated: bool,
    /// How it computes; every bound follows from it.
    pub numerics: NumericsProfile,
    /// The cases, by dtype.
    pub cases: Vec<CaseReport>,
    /// The properties.
    pub properties: Vec<PropertyReport>,
    /// Where the device was lost, if it was; what follows is [`Verdict::NotRun`].
    pub stopped: Option<Stopped>,
}

impl CaseReport {
    /// Whether it is a failure: WRONG or a crash that nobody expects, or a pass where a failure is expected.
    pub fn fails(&self) -> bool {
        match &self.explained {
            Some(Explained::ExpectedFailure(_)) => self.verdict.holds(),
            _ => self.verdict.is_guilty(),
        }
    }

    /// Whether the device refuses it and nobody has said why that is right.
    pub fn is_unexplained_refusal(&self) -> bool {
        matches!(self.verdict, Verdict::Unsupported(_)) && self.explained.is_none()
    }
}

impl Conformance {
    /// The failures, cases first.
    pub fn failures(&self) -> Vec<String> {
        let cases = self.cases.iter().filter(|case| case.fails()).map(|case| {
            let unexpected = if case.verdict.holds() {
                ", although a failure is expected: take the expectation out"
            } else {
                ""
            };
            let worst = case.judgement.as_ref().and_then(|judgement| judgement.worst.first());
            let worst = worst.map(|worst| {
                let multiple = case.judgement.as_ref().map_or(0.0, |judgement| judgement.of_worst_case);
                format!(
                    "; {multiple:.1}x bound at {:?}: found {:e}, truth {:e}, bound {:.1e}",
                    worst.at, worst.found, worst.truth, worst.bound
                )
            });
            format!("{} {}: {}{unexpected}{}", case.dtype, case.case, case.verdict, worst.unwrap_or_default())
        });
        let properties = self.properties.iter().filter(|property| property.verdict.is_guilty());
        let properties = properties.map(|property| {
            let detail = property.detail.as_deref().unwrap_or_default();
            format!(
                "{} {} of {}: {} {detail}",
                property.dtype,
                property.property.name(),
                property.op,
                property.verdict
            )
        });
        cases.chain(properties).collect()
    }
}

impl Conformance {
    /// A test case for each case and each property.
    pub fn suite(&self) -> Suite {
        let cases = self
            .cases
            .iter()
            .map(|case| (&case.op, case.dtype, case.case.clone(), &case.verdict, case.fails()));
        let properties = self.properties.iter().map(|property| {
            let name = format!("{} {}", property.property.name(), property.op);
            (&property.op, property.dtype, name, &property.verdict, property.verdict.is_guilty())
        });
        let numbered =
            cases.chain(properties).zip(1..).map(|((op, dtype, name, verdict, fails), number)| TestCase {
                class: format!("{op}.{dtype}"),
                // Cases of one shape differ in their values alone; the number tells them apart.
                name: format!("{number} {name}"),
                ending: Ending::of(verdict, fails),
            });
        Suite { name: self.device.clone(), cases: numbered.collect() }
    }
}

/// Tests a device; `progress` is told of each case that is done, and of how many there are.
///
/// # Errors
/// Those of the reference. What the device fails at is no error.
pub fn conform(
    device: &Arc<dyn Device>,
    selection: &Selection,
    expectations: &Expectations,
    progress: &dyn Fn(usize, usize),
) -> Result<Conformance> {
    let oracle = Oracle::new()?;
    let info: &DeviceInfo = device.info();
    let dtypes = selection.dtypes(device);
    let all = cases::all();
    let selected: Vec<&Case> = all.iter().filter(|case| selection.includes(&case.op)).collect();
    let total = selected.len() * dtypes.len();
    let mut reports = Vec::with_capacity(total);
    let mut pulse = Pulse::new(device);
    let mut kept = 0;
    for &dtype in &dtypes {
        for case in &selected {
            let case = case.in_dtype(dtype);
            let mut report = run_case(device, &oracle, dtype, &case, &mut pulse)?;
            report.explained = expectations.of(&info.id, &report);
            if !report.fails() || kept == MOST_KEPT {
                report.offender = None;
            }
            kept += usize::from(report.offender.is_some());
            reports.push(report);
            progress(reports.len(), total);
        }
    }
    let mut properties = Vec::new();
    for &dtype in &dtypes {
        properties.extend(properties::check(device, dtype, selection, &mut pulse)?);
    }
    Ok(Conformance {
        device: info.id.clone(),
        name: info.name.clone(),
        simulated: info.simulated,
        numerics: info.numerics.clone(),
        cases: reports,
        properties,
        stopped: pulse.stopped().cloned(),
    })
}

/// Panics with every failure of a device: what does not hold, refusals and failures that nobody expects, and expectations
/// that nothing meets any more. For `cargo test`.
///
/// # Panics
/// If the device does not conform.
pub fn assert_conforms(device: &Arc<dyn Device>, expectations: &Expectations) {
    let found = conform(device, &Selection::default(), expectations, &|_, _| {});
    let found = found.unwrap_or_else(|error| panic!("the suite itself failed: {error}"));
    let mut failures = found.failures();
    failures.extend(found.stopped.iter().map(Stopped::to_string));
    let stale = expectations.stale(&found.device, &found.cases);
    failures.extend(stale.iter().map(|entry| format!("stale expectation: {entry}; take it out")));
    for case in found.cases.iter().filter(|case| case.is_unexplained_refusal()) {
        failures.push(format!("{} {}: {}", case.dtype, case.case, case.verdict));
    }
    assert!(
        failures.is_empty(),
        "{}: {} failures; the first:\n{}",
        found.device,
        failures.len(),
        failures[..failures.len().min(20)].join("\n")
    );
}

fn run_case(
    device: &Arc<dyn Device>,
    oracle: &Oracle,
    dtype: DType,
    case: &Case,
    pulse: &mut Pulse<'_>,
) -> Result<CaseReport> {
    let report = |verdict: Verdict, judgement: Option<Judgement>| CaseReport {
        op: case.op.name().to_owned(),
        dtype,
        case: case.describe(),
        verdict,
        judgement,
        explained: None,
        offender: None,
    };
    let accumulate = match support(device, case)? {
        Support::Native(claim) => claim.accumulate,
        // A decomposition rounds to storage at every primitive.
        Support::Rewrite(_) => dtype,
        Support::No(reason) => return Ok(report(Verdict::Unsupported(reason.to_string()), None)),
    };
    if let Some(stopped) = pulse.stopped() {
        return Ok(report(Verdict::NotRun(stopped.briefly()), None));
    }
    let arguments = case.arguments();
    let truth = oracle.truth("node", &case.op, &arguments);
    let found = run_thrice(device, case, &arguments);
    let (truth, found) = match (truth, found) {
        (Ok(mut truth), found) => (truth.swap_remove(0), found),
        // Values that an op cannot take are refused by both, or by none.
        (Err(theirs), Err(ours)) if is_of_values(&theirs) && is_of_values(&ours) => {
            return Ok(report(Verdict::Exact, None));
        }
        (Err(theirs), Ok(_)) if is_of_values(&theirs) => {
            return Ok(report(Verdict::Crash(format!("took values that it must refuse: {theirs}")), None));
        }
        (Err(error), _) => return Err(error),
    };
    match &found {
        Ok(_) => pulse.ran(&case.op, &arguments),
        Err(error) => {
            if let Some(stopped) = pulse.lost(&format!("{dtype} {}", case.describe()), error) {
                return Ok(report(Verdict::NotRun(stopped.briefly()), None));
            }
        }
    }
    let terms = Terms { accumulate, profile: &device.info().numerics };
    let storage = outputs(case)?[0].dtype;
    let limits = oracle.limits(&case.op, &arguments, &truth, storage, terms)?;
    let mut report = match &found {
        Ok(found) => {
            let judgement = limits.judge(&truth, found)?;
            report(judgement.verdict.clone(), Some(judgement))
        }
        Err(error) => report(Verdict::Crash(error.to_string()), None),
    };
    report.offender = report.verdict.is_guilty().then(|| Offender {
        node: case.op.name().to_owned(),
        op: case.op.clone(),
        arguments,
        truth,
        worst_case: limits.worst_case,
        found: found.ok(),
        storage,
        accumulate,
        verdict: report.verdict.clone(),
        of_worst_case: report.judgement.as_ref().map(|judgement| judgement.of_worst_case),
        fits: None,
    });
    Ok(report)
}

/// Once, then on poison, then again: the third run must give the first one's bits.
fn run_thrice(device: &Arc<dyn Device>, case: &Case, arguments: &[Argument]) -> Result<HostTensor> {
    let mut guarded = Guarded::compile(device, &case.op, arguments)?;
    let first = guarded.run(arguments)?;
    // What poison gives, an error included, is of no interest.
    let _ = guarded.run(&poisoned(arguments));
    let third = guarded.run(arguments)?;
    if first.bytes() != third.bytes() && device.info().numerics.deterministic {
        return Err(DeviceError::program("a run after one on NaN gives other bits: memory is stale").into());
    }
    Ok(first)
}

fn is_of_values(error: &Error) -> bool {
    matches!(
        error,
        Error::Device(DeviceError::Value { .. })
            | Error::Plan(plan::Error::Device(DeviceError::Value { .. }))
    )
}

fn types(case: &Case) -> Vec<TensorType> {
    case.inputs.iter().map(|x| TensorType::fixed(x.dtype(), x.shape())).collect()
}

fn outputs(case: &Case) -> Result<Vec<TensorType>> {
    Ok(infer("node", &case.op, &types(case).iter().collect::<Vec<_>>()).map_err(DeviceError::from)?)
}

fn support(device: &Arc<dyn Device>, case: &Case) -> Result<Support> {
    let (inputs, outputs) = (types(case), outputs(case)?);
    let inputs: Vec<&TensorType> = inputs.iter().collect();
    Ok(device.support(&OpQuery { op: &case.op, inputs: &inputs, outputs: &outputs }))
}
