//! A JUnit report: a suite per device, a test case per case; numbers that do not hold are failures, crashes are errors, and
//! what was refused or not run is skipped, never passed.

use crate::failure::{Failure, Outcome};
use lockstep_conformance::conform::Conformance;
use lockstep_conformance::verdict::Verdict;
use std::fmt::Write;
use std::path::Path;

pub(super) fn write(path: &Path, found: &[Conformance], absent: &[(String, String)]) -> Outcome {
    std::fs::write(path, report(found, absent))
        .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}

fn report(found: &[Conformance], absent: &[(String, String)]) -> String {
    let mut suites = String::new();
    for tested in found {
        let cases = tested
            .cases
            .iter()
            .map(|case| (&case.op, case.dtype, case.case.clone(), &case.verdict, case.fails()));
        let properties = tested.properties.iter().map(|property| {
            let name = format!("{} {}", property.property.name(), property.op);
            (&property.op, property.dtype, name, &property.verdict, property.verdict.is_guilty())
        });
        let (mut body, mut counts) = (String::new(), [0; 4]);
        for (op, dtype, name, verdict, fails) in cases.chain(properties) {
            counts[0] += 1;
            // Cases of one shape differ in their values alone; the number tells them apart.
            let (name, text) = (escaped(&format!("{} {name}", counts[0])), escaped(&verdict.to_string()));
            let inner = match verdict {
                Verdict::Crash(_) if fails => Some((1, format!("<error message=\"{text}\"/>"))),
                _ if fails => Some((2, format!("<failure message=\"{text}\"/>"))),
                verdict if !verdict.holds() => Some((3, format!("<skipped message=\"{text}\"/>"))),
                _ => None,
            };
            let (kind, inner) = inner.unwrap_or_default();
            if kind > 0 {
                counts[kind] += 1;
            }
            // Writing to a string cannot fail.
            let _ =
                writeln!(body, "    <testcase classname=\"{op}.{dtype}\" name=\"{name}\">{inner}</testcase>");
        }
        let [tests, errors, failures, skipped] = counts;
        let _ = write!(
            suites,
            "  <testsuite name=\"{}\" tests=\"{tests}\" errors=\"{errors}\" failures=\"{failures}\" \
             skipped=\"{skipped}\">\n{body}  </testsuite>\n",
            escaped(&tested.device)
        );
    }
    for (name, reason) in absent {
        let (name, reason) = (escaped(name), escaped(reason));
        let _ = write!(
            suites,
            "  <testsuite name=\"{name}\" tests=\"1\" errors=\"0\" failures=\"0\" skipped=\"1\">\n    \
             <testcase classname=\"{name}\" name=\"device\"><skipped message=\"{reason}\"/></testcase>\n  </testsuite>\n"
        );
    }
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n{suites}</testsuites>\n")
}

/// Text as an attribute may hold it; what XML cannot hold at all becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_device_is_skipped() {
        let report = report(&[], &[("cuda".to_owned(), "no \"libcuda\" <here>".to_owned())]);
        assert!(
            report.contains("skipped=\"1\"") && report.contains("no &quot;libcuda&quot; &lt;here&gt;"),
            "{report}"
        );
    }
}
