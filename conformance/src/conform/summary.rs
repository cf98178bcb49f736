//! What was found on a device, in a row for each op and dtype.

use super::{CaseReport, Conformance};
use crate::verdict::Verdict;
use lockstep_runtime::tensor::DType;
use serde::Serialize;
use std::collections::BTreeMap;

/// The cases of one op in one dtype, counted by verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OpSummary {
    /// All of them.
    pub cases: usize,
    /// EXACT.
    pub exact: usize,
    /// WITHIN or AS-ACCURATE.
    pub within: usize,
    /// SUSPECT.
    pub suspect: usize,
    /// WRONG.
    pub wrong: usize,
    /// CRASH.
    pub crash: usize,
    /// UNSUPPORTED.
    pub refused: usize,
    /// NOT-RUN.
    pub not_run: usize,
    /// The largest error of all as a multiple of its worst-case bound.
    pub of_worst_case: f64,
}

impl OpSummary {
    fn add(&mut self, case: &CaseReport) {
        self.cases += 1;
        let count = match &case.verdict {
            Verdict::Exact => &mut self.exact,
            Verdict::Within | Verdict::AsAccurate => &mut self.within,
            Verdict::Suspect => &mut self.suspect,
            Verdict::Wrong => &mut self.wrong,
            Verdict::Crash(_) => &mut self.crash,
            Verdict::Unsupported(_) => &mut self.refused,
            Verdict::NotRun(_) => &mut self.not_run,
        };
        *count += 1;
        let multiple = case.judgement.as_ref().map_or(0.0, |judgement| judgement.of_worst_case);
        self.of_worst_case = self.of_worst_case.max(multiple);
    }
}

impl Conformance {
    /// A row for each op and dtype, by name.
    pub fn by_op(&self) -> Vec<((String, DType), OpSummary)> {
        let mut rows: BTreeMap<(String, DType), OpSummary> = BTreeMap::new();
        for case in &self.cases {
            rows.entry((case.op.clone(), case.dtype)).or_default().add(case);
        }
        rows.into_iter().collect()
    }

    /// All cases together.
    pub fn overall(&self) -> OpSummary {
        let mut all = OpSummary::default();
        self.cases.iter().for_each(|case| all.add(case));
        all
    }

    /// What follows for the device, in a word, and for a manager in a line.
    pub fn headline(&self) -> String {
        let simulated = if self.simulated { " (simulated)" } else { "" };
        let all = self.overall();
        let unexplained = self.cases.iter().filter(|case| case.is_unexplained_refusal()).count();
        let failures = self.failures().len();
        let verdict = match (failures, unexplained + all.not_run) {
            (0, _) if self.stopped.is_some() => "STOPPED",
            (0, 0) => "CONFORMS",
            (0, _) => "INCOMPLETE",
            _ => "FAILS",
        };
        let not_run = if all.not_run == 0 { String::new() } else { format!(", {} not run", all.not_run) };
        format!(
            "{verdict} {}{simulated}: {} cases ran, {} refused ({unexplained} of them unexplained){not_run}, {} properties, \
             {failures} failures",
            self.device,
            all.cases - all.refused - all.not_run,
            all.refused,
            self.properties.len(),
        )
    }
}
