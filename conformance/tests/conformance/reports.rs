//! Pages hold all that was found, load nothing, and show hostile names as text.

use crate::models;
use lockstep_conformance::conform::{Expectations, Selection, conform};
use lockstep_conformance::mutant::Mutant;
use lockstep_conformance::recipes::{Fault, Recipe};
use lockstep_conformance::replay::{Modes, Replay};
use lockstep_conformance::report::junit::{Ending, TestCase};
use lockstep_conformance::report::{Comparison, Page, Setting, SuiteReport};
use lockstep_runtime::graph::DType;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Device, Packing};
use models::{Batch, bert_small, candle, cpu, load, session};
use std::sync::Arc;

const SITE: &str = "encoder.1.output.LayerNorm";
const HOSTILE: &str = "<script>alert('\"&')</script>";

fn compared(trusted: Arc<dyn Device>, tested: Arc<dyn Device>) -> Comparison {
    let model = load(&bert_small("document-classifier"), DType::F32);
    let setting = Setting {
        model: HOSTILE.to_owned(),
        inputs: "two rows".to_owned(),
        dtype: DType::F32,
        perturbing: false,
        trusted: trusted.info().clone(),
        tested: tested.info().clone(),
        command: format!("lockstep compare '{HOSTILE}'"),
    };
    let replay = Replay::new(trusted, session(&model, tested, Packing::Auto)).expect("a replay");
    let batch = Batch::of(&[vec![101, 700, 800, 102], vec![101, 900, 102]]);
    let inputs: [(&str, &HostTensor); 3] =
        [("input_ids", &batch.ids), ("token_type_ids", &batch.types), ("attention_mask", &batch.mask)];
    let modes = Modes { isolated: true, cumulative: true };
    Comparison::new(setting, replay.run(&inputs, modes, &|_, _| {}).expect("a comparison"), None)
}

fn faulty() -> Comparison {
    let mutant = Mutant::device(cpu(), Recipe::faulty(Fault::BetaForgotten), Some(SITE));
    compared(candle(), mutant)
}

#[test]
fn a_page_loads_nothing_and_shows_names_as_text() {
    let page = faulty().html().expect("a page");
    for loads in ["src=", "http:", "https:", "@import", "url(", "<script", "<link", "<img"] {
        assert!(!page.contains(loads), "the page has {loads}");
    }
    assert!(page.contains("&lt;script&gt;"));
    // Every link leads to a row of the same page.
    for link in page.split("href=\"").skip(1) {
        let target = link.split('"').next().expect("a target");
        let id = format!("id=\"{}\"", target.strip_prefix('#').expect("a link within the page"));
        assert!(page.contains(&id), "{target} leads nowhere");
    }
}

#[test]
fn a_page_names_the_guilty_with_its_worst_elements_and_what_fits() {
    let report = faulty();
    let page = report.html().expect("a page");
    assert!(
        page.contains(&format!("GUILTY {SITE}")) && page.contains("beta forgotten"),
        "{:?}",
        report.headline
    );
    let step = report.replayed.steps.iter().find(|step| step.node == SITE).expect("the step");
    let worst = &step.isolated.as_ref().expect("a judgement").worst;
    assert_eq!(worst.len(), 5);
    for element in worst {
        let trusted = element.trusted.expect("candle was asked, too");
        assert!((trusted - element.truth).abs() <= element.bound, "{element:?}");
        assert!((element.found - element.truth).abs() > element.bound, "{element:?}");
        assert!(page.contains(&element.found.to_string()) && page.contains(&trusted.to_string()));
    }
    assert!(worst.windows(2).all(|pair| {
        let multiple = |at: usize| (pair[at].found - pair[at].truth).abs() / pair[at].bound;
        multiple(0) >= multiple(1)
    }));
}

#[test]
fn a_suite_page_shows_failures_and_what_was_not_run() {
    let mutant = Mutant::device(cpu(), Recipe::faulty(Fault::BetaForgotten), None);
    let selection = Selection { op: Some("LayerNorm".to_owned()), dtype: Some(DType::F32) };
    let found = conform(&mutant, &selection, &Expectations::default(), &|_, _| {}).expect("the suite runs");
    let absent = vec![("cuda".to_owned(), HOSTILE.to_owned())];
    let report = SuiteReport::new(vec![found], absent, Vec::new(), "lockstep conform".to_owned());
    let page = report.html().expect("a page");
    assert!(page.contains("FAILS mutant:0 (simulated)") && page.contains("x bound at"));
    assert!(page.contains("NOT-RUN cuda") && !page.contains("<script"));
    assert!(page.contains("numerics profile"));
    let suites = report.suites();
    let fails = |case: &TestCase| matches!(case.ending, Ending::Failed(_) | Ending::Crashed(_));
    assert!(suites[0].cases.iter().any(fails) && !suites[1].cases.iter().any(fails));
}

#[test]
fn every_step_has_its_row_its_readers_and_its_histogram() {
    let report = compared(candle(), cpu());
    let page = report.html().expect("a page");
    assert!(page.contains("PASS cpu:0 computes what candle:0 does"));
    let steps = &report.replayed.steps;
    for (at, step) in steps.iter().enumerate() {
        assert!(page.contains(&format!("id=\"step-{at}\"")));
        assert!(step.reads.iter().all(|&from| from < at), "{step:?}");
        let judged = step.isolated.as_ref().expect("a judgement");
        let elements: usize = judged.ulp_histogram.iter().sum();
        let extents = step.output.split(['[', ']']).nth(1).expect("extents").split(", ");
        let count: usize = extents.map(|extent| extent.parse::<usize>().expect("an extent")).product();
        assert_eq!(elements, if step.output.starts_with('i') { 0 } else { count }, "{}", step.node);
    }
    // The second norm of a layer reads the product before it and the first norm.
    let second = steps.iter().find(|step| step.node == SITE).expect("the norm");
    let read: Vec<&str> = second.reads.iter().map(|&at| steps[at].op.as_str()).collect();
    assert_eq!(read, ["AddLayerNorm", "Linear"]);
}
