//! JUnit: a suite per device, a test case per op, case or goal. Numbers that do not hold are failures, crashes are errors, and
//! what was refused or not run is skipped, never passed.

use super::escaped;
use crate::verdict::Verdict;
use std::fmt::Write;

/// The test cases of one device.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The device.
    pub name: String,
    /// Its cases, in order.
    pub cases: Vec<TestCase>,
}

/// One case.
#[derive(Clone, Debug)]
pub struct TestCase {
    /// Its group, such as `LayerNorm.f32`.
    pub class: String,
    /// What tells it from the others of its group.
    pub name: String,
    /// How it ended.
    pub ending: Ending,
}

/// How a case ended; with words, but for a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It ran, and it holds.
    Passed,
    /// It ran, and does not hold.
    Failed(String),
    /// It could not be run to its end.
    Crashed(String),
    /// It was refused or not run.
    Skipped(String),
}

impl Ending {
    /// The ending that a verdict is. It fails only where `fails` says so: a verdict that was expected does not, and what is
    /// then neither a pass nor a refusal, such as an expected WRONG, is skipped.
    pub fn of(verdict: &Verdict, fails: bool) -> Self {
        match verdict {
            Verdict::Crash(_) if fails => Ending::Crashed(verdict.to_string()),
            _ if fails => Ending::Failed(verdict.to_string()),
            verdict if verdict.holds() => Ending::Passed,
            _ => Ending::Skipped(verdict.to_string()),
        }
    }
}

impl Suite {
    /// The suite of a device that is not there: one case, skipped.
    pub fn absent(device: &str, reason: &str) -> Self {
        let case = TestCase {
            class: device.to_owned(),
            name: "device".to_owned(),
            ending: Ending::of(&Verdict::NotRun(reason.to_owned()), false),
        };
        Self { name: device.to_owned(), cases: vec![case] }
    }
}

/// The whole report.
pub fn report(suites: &[Suite]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for suite in suites {
        let (mut body, mut errors, mut failures, mut skipped) = (String::new(), 0, 0, 0);
        for case in &suite.cases {
            let inner = match &case.ending {
                Ending::Passed => String::new(),
                Ending::Failed(text) => {
                    failures += 1;
                    format!("<failure message=\"{}\"/>", escaped(text))
                }
                Ending::Crashed(text) => {
                    errors += 1;
                    format!("<error message=\"{}\"/>", escaped(text))
                }
                Ending::Skipped(text) => {
                    skipped += 1;
                    format!("<skipped message=\"{}\"/>", escaped(text))
                }
            };
            let (class, name) = (escaped(&case.class), escaped(&case.name));
            // Writing to a string cannot fail.
            let _ = writeln!(body, "    <testcase classname=\"{class}\" name=\"{name}\">{inner}</testcase>");
        }
        let (name, tests) = (escaped(&suite.name), suite.cases.len());
        let _ = write!(
            xml,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" errors=\"{errors}\" failures=\"{failures}\" \
             skipped=\"{skipped}\">\n{body}  </testsuite>\n"
        );
    }
    xml.push_str("</testsuites>\n");
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_device_is_skipped() {
        let report = report(&[Suite::absent("cuda", "no \"libcuda\" <here>")]);
        assert!(
            report.contains("skipped=\"1\"") && report.contains("no &quot;libcuda&quot; &lt;here&gt;"),
            "{report}"
        );
    }

    #[test]
    fn every_verdict_is_counted_as_what_it_is() {
        let case = |verdict: Verdict, fails| TestCase {
            class: "Add.f32".to_owned(),
            name: "case".to_owned(),
            ending: Ending::of(&verdict, fails),
        };
        let cases = vec![
            case(Verdict::Exact, false),
            case(Verdict::Wrong, true),
            case(Verdict::Crash("lost".to_owned()), true),
            case(Verdict::Unsupported("no kernel".to_owned()), false),
            // A failure that is expected is not passed either.
            case(Verdict::Wrong, false),
        ];
        let report = report(&[Suite { name: "cpu:0".to_owned(), cases }]);
        assert!(report.contains("tests=\"5\" errors=\"1\" failures=\"1\" skipped=\"2\""), "{report}");
    }
}
