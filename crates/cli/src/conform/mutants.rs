//! `lockstep conform --mutants`: how good is the suite?

use super::ConformArguments;
use super::localisation::localise;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::table::table;
use lockstep_conformance::cases::{self, kind};
use lockstep_conformance::conform::Selection;
use lockstep_conformance::mutation::{DTYPES, false_alarms, fate, honest_variants, profile, trials};
use lockstep_conformance::oracle::Oracle;
use lockstep_conformance::recipes::Fault;
use serde_json::json;

const SCHEMA: &str = "lockstep-mutants/1";

/// Runs every fault and every honest variant through the judge; fails if a fault survives or an honest kernel is accused.
pub(super) fn mutants(selection: &Selection, arguments: &ConformArguments, output: &mut Output) -> Outcome {
    // First, since a build without mutants refuses it at once.
    let located = match &arguments.model {
        Some(model) => Some(localise(model, arguments, output)?),
        None => None,
    };
    let is_met = located.as_ref().is_none_or(|(_, is_met)| *is_met);
    let oracle = Oracle::new().map_err(Failure::of_compared)?;
    let is_named = |name: &str| selection.op.as_ref().is_none_or(|op| op.eq_ignore_ascii_case(name));
    let mut cases = cases::all();
    cases.retain(|case| is_named(case.op.name()) || is_named(kind(&case.op)));
    let dtypes: Vec<_> =
        DTYPES.into_iter().filter(|dtype| selection.dtype.is_none_or(|only| only == *dtype)).collect();
    let trials = trials(&oracle, &cases, &dtypes, &profile()).map_err(Failure::of_compared)?;
    let mut fates = Vec::new();
    for &fault in Fault::ALL {
        fates.push(fate(&trials, fault).map_err(Failure::of_compared)?);
    }
    // With an op or a dtype chosen, faults of others change nothing.
    fates.retain(|fate| fate.differs > 0 || (selection.op.is_none() && selection.dtype.is_none()));
    let variants = honest_variants();
    let mut alarms = Vec::new();
    for &recipe in &variants {
        alarms.extend(false_alarms(&trials, recipe).map_err(Failure::of_compared)?);
    }
    let killed = fates.iter().filter(|fate| fate.is_killed()).count();
    if output.is_json() {
        let alarms: Vec<_> = alarms
            .iter()
            .map(|alarm| json!({ "recipe": format!("{:?}", alarm.recipe), "case": alarm.case }))
            .collect();
        output.json_line(&json!({
            "schema": SCHEMA, "trials": trials.len(), "dtypes": dtypes, "faults": fates, "killed": killed,
            "honest_variants": variants.len(), "false_alarms": alarms,
            "localisation": located.map(|(found, _)| found),
        }))?;
    } else {
        let mut rows = table(&["fault", ">trials it changes", ">WRONG", ">SUSPECT", "verdict"]);
        for fate in &fates {
            let verdict = if fate.is_killed() { "killed" } else { "SURVIVES" };
            let counts = [fate.differs, fate.wrong, fate.suspect].map(|count| count.to_string());
            let [differs, wrong, suspect] = counts;
            rows.add_row([fate.fault.describe().to_owned(), differs, wrong, suspect, verdict.to_owned()]);
        }
        output.line(format_args!("{rows}\n"))?;
        for alarm in alarms.iter().take(20) {
            output.line(format_args!("FALSE ALARM {:?} on {}", alarm.recipe, alarm.case))?;
        }
        output.line(format_args!(
            "{killed} of {} faults killed over {} trials in {}; {} honest variants, {} false alarms",
            fates.len(),
            trials.len(),
            dtypes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            variants.len(),
            alarms.len()
        ))?;
    }
    output.flush()?;
    if killed == fates.len() && alarms.is_empty() && is_met { Ok(()) } else { Err(Failure::Reported) }
}
