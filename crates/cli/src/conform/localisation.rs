//! Faults planted in a whole model: are they named where they were made?

use super::ConformArguments;
use crate::failure::Outcome;
use crate::output::Output;
use std::path::Path;

/// Plants faults in each dtype; gives what JSON says of it, and whether the goal is met.
#[cfg(feature = "mutants")]
pub(super) fn localise(
    model: &Path,
    arguments: &ConformArguments,
    output: &mut Output,
) -> Outcome<(serde_json::Value, bool)> {
    use crate::backends;
    use crate::failure::Failure;
    use crate::given::Given;
    use crate::table::table;
    use lockstep_conformance::localisation::{Located, Outcome as Fate, localise};
    use lockstep_conformance::mutation::DTYPES;
    use lockstep_conformance::recipes::Fault;
    use lockstep_conformance::replay::Replay;
    use lockstep_runtime::Session;
    use serde_json::json;

    /// Of the faults that are WRONG somewhere, so many hundredths must be named where they were made.
    const GOAL: usize = 95;
    const SEED: u64 = 1;

    let mut found = Vec::new();
    let mut is_met = true;
    let dtypes = DTYPES.into_iter().filter(|dtype| arguments.dtype.is_none_or(|only| only == *dtype));
    for dtype in dtypes {
        let (trusted, tested) =
            (backends::open("reference", None)?, backends::open("cpu", arguments.threads)?);
        let given = Given::random(model, dtype)?;
        let session = Session::builder(given.graph.clone()).device(tested.clone()).build();
        let replay =
            Replay::new(trusted, session.map_err(Failure::of_compared)?).map_err(Failure::of_compared)?;
        let trials = replay.trials(&given.inputs()).map_err(Failure::of_compared)?;
        let located = localise(&tested, &trials, Fault::ALL, SEED).map_err(Failure::of_compared)?;
        let count = |is: &dyn Fn(&Located) -> bool| located.iter().filter(|one| is(one)).count();
        let named = count(&|one| one.outcome == Fate::Named);
        let misnamed = count(&|one| matches!(one.outcome, Fate::Misnamed(_)));
        let within = count(&|one| one.outcome == Fate::WithinBound);
        let explained = count(&|one| one.outcome == Fate::Named && one.fingerprint == Some(one.fault));
        is_met &= named * 100 >= GOAL * (named + misnamed);
        if !output.is_json() {
            let mut rows = table(&["fault", "planted at", "outcome", ">error/bound", "fits"]);
            for one in &located {
                rows.add_row([
                    one.fault.describe().to_owned(),
                    one.site.clone().unwrap_or_default(),
                    match &one.outcome {
                        Fate::Named => "named".to_owned(),
                        Fate::Misnamed(node) => format!("MISNAMED {node}"),
                        Fate::WithinBound => "within its bound here".to_owned(),
                        Fate::NoSite => "changes nothing here".to_owned(),
                    },
                    format!("{:.2}", one.of_worst_case),
                    one.fingerprint.map(Fault::describe).unwrap_or_default().to_owned(),
                ]);
            }
            output.line(format_args!("\n{} in {dtype}, {}\n{rows}\n", model.display(), given.described))?;
            output.line(format_args!(
                "{dtype}: {named} of {} faults that show are named where they were made, {explained} of them explained by \
                 that fault; {within} stay within their bound here, {} change nothing here",
                named + misnamed,
                located.len() - named - misnamed - within
            ))?;
        }
        found.push(json!({
            "model": model.display().to_string(), "dtype": dtype, "seed": SEED, "named": named, "misnamed": misnamed,
            "within_bound": within, "explained": explained, "faults": located,
        }));
    }
    Ok((json!(found), is_met))
}

/// Without the mutants there is nothing to plant.
#[cfg(not(feature = "mutants"))]
pub(super) fn localise(
    _model: &Path,
    _arguments: &ConformArguments,
    _output: &mut Output,
) -> Outcome<(serde_json::Value, bool)> {
    let what = "this build has no devices that are wrong on purpose; build it with `--features mutants`";
    Err(crate::failure::Failure::Usage(what.to_owned()))
}
