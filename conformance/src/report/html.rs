//! A report as one page of HTML that holds its styles and pictures and loads nothing.

use super::charts;
use crate::replay::StepReport;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use serde::Serialize;

/// Why a page could not be made: a mistake in a template of ours.
#[derive(Debug, thiserror::Error)]
#[error("the page could not be made: {0:#}")]
pub struct Error(#[from] minijinja::Error);

/// A report that has a page.
pub trait Page {
    /// The whole page.
    ///
    /// # Errors
    /// None in practice: tests make every page.
    fn html(&self) -> Result<String, Error>;
}

const TEMPLATES: [(&str, &str); 8] = [
    ("base.html", include_str!("templates/base.html")),
    ("device.html", include_str!("templates/device.html")),
    ("style.css", include_str!("templates/style.css")),
    ("steps.html", include_str!("templates/steps.html")),
    ("golden.html", include_str!("templates/golden.html")),
    ("conform.html", include_str!("templates/conform.html")),
    ("accept.html", include_str!("templates/accept.html")),
    ("compare.html", include_str!("templates/compare.html")),
];

/// A template filled in. Text is escaped whatever the template's name.
pub(crate) fn render(template: &str, report: &impl Serialize, pictures: Value) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".css") { AutoEscape::None } else { AutoEscape::Html }
    });
    environment.add_filter("sci", scientific);
    environment.add_filter("fixed", |value: f64, digits: usize| format!("{value:.digits$}"));
    environment
        .add_filter("count", |ulp: u64| if ulp < 1_000_000 { ulp.to_string() } else { ">1e6".to_owned() });
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    let report = Value::from(Serde(report));
    Ok(environment.get_template(template)?.render(context! { report, pictures })?)
}

/// `1.2e-3`; a dash for what is not there.
fn scientific(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1e}"))
}

/// What the template of steps shows beside the numbers.
pub(super) fn pictures(steps: &[StepReport]) -> Value {
    let each = steps.iter().map(|step| {
        let judged = step.isolated.as_ref();
        context! {
            colour => charts::colour(judged.map(|judgement| judgement.of_worst_case)),
            histogram => judged.map(|judgement| charts::histogram(&judgement.ulp_histogram)),
            faults => step.fingerprints.iter().map(|fit| fit.fault.describe()).collect::<Vec<_>>(),
        }
    });
    let mut accused: Vec<usize> = (0..steps.len()).filter(|&at| steps[at].verdict.accuses()).collect();
    let multiple = |at: usize| steps[at].isolated.as_ref().map_or(f64::INFINITY, |j| j.of_worst_case);
    // Stable, so that of equals the earliest comes first.
    accused.sort_by(|&a, &b| multiple(b).total_cmp(&multiple(a)));
    context! {
        accused,
        graph => charts::graph(steps),
        isolated => charts::isolated(steps),
        drift => charts::drift(steps),
        steps => each.collect::<Vec<Value>>(),
    }
}
