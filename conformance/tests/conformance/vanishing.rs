//! Devices that fail midway: what was measured is kept, what was not run is said not to have been, and nobody is accused of
//! what the device did.

use crate::{devices, models};
use devices::FailingAt;
use lockstep_conformance::conform::{Expectations, Selection, conform};
use lockstep_conformance::replay::{Modes, Replay, Replayed};
use lockstep_conformance::vanishing::Vanishing;
use lockstep_conformance::verdict::Verdict;
use lockstep_runtime::graph::{Graph, GraphBuilder, TensorType, UnaryOp};
use lockstep_runtime::tensor::{DType, HostTensor};
use lockstep_runtime::{Device, Session};
use models::{cpu, reference};
use std::sync::Arc;

const STEPS: usize = 6;

/// Functions one after another; nothing fuses.
fn chain() -> Graph {
    let mut b = GraphBuilder::new();
    let mut x = b.input("x", TensorType::fixed(DType::F32, &[3, 5])).expect("an input");
    let functions =
        [UnaryOp::Abs, UnaryOp::Sqrt, UnaryOp::Tanh, UnaryOp::Exp, UnaryOp::Log, UnaryOp::Sigmoid];
    for function in functions {
        x = b.unary(&format!("{function:?}"), function, x).expect("a float");
    }
    b.output("y", x).expect("an output");
    b.finish().expect("a graph")
}

fn replayed(trusted: Arc<dyn Device>, tested: Arc<dyn Device>) -> Replayed {
    let session = Session::builder(chain()).device(tested).build().expect("it is there at first");
    let x: Vec<f32> = (0..15).map(|at| at as f32 - 7.5).collect();
    let x = HostTensor::from_slice(&[3, 5], &x).expect("fifteen");
    let replay = Replay::new(trusted, session).expect("a replay");
    let modes = Modes { isolated: true, cumulative: true };
    replay.run(&[("x", &x)], modes, &|_, _| {}).expect("a loss is no error")
}

fn judged(found: &Replayed) -> usize {
    found.steps.iter().filter(|step| step.isolated.is_some()).count()
}

/// Whenever it is lost: the steps judged before stay judged, the others are NOT-RUN and nobody is guilty.
#[test]
fn a_tested_device_that_vanishes_keeps_what_was_measured_and_accuses_nobody() {
    let mut before = 0;
    for calls in 0.. {
        let found = replayed(reference(), Vanishing::device(cpu(), calls));
        assert_eq!(found.steps.len(), STEPS);
        assert!(found.guilty().is_empty(), "{calls} calls: {:?}", found.guilty());
        for (at, step) in found.steps.iter().enumerate() {
            let is_judged = at < judged(&found);
            assert_eq!(step.verdict.holds(), is_judged, "{calls} calls, {}: {}", step.node, step.verdict);
        }
        assert!(judged(&found) >= before, "{calls} calls");
        before = judged(&found);
        let Some(stopped) = &found.stopped else {
            assert!(found.holds());
            assert!(calls > 2 * STEPS, "each step runs twice");
            return;
        };
        assert!(!found.holds());
        assert_eq!((stopped.device.as_str(), found.whole_run_error.as_ref()), ("vanishing:0", None));
        assert!(stopped.reason.contains("the device is gone"), "{stopped}");
        if before < STEPS {
            let first = &found.steps[before];
            assert!(
                matches!(&first.verdict, Verdict::NotRun(why) if why.contains("vanishing:0 is gone since"))
            );
        }
    }
}

#[test]
fn a_trusted_device_that_vanishes_keeps_what_was_measured() {
    // Enough for a few steps of it, and too few for all.
    let found = replayed(Vanishing::device(cpu(), 20), cpu());
    let stopped = found.stopped.as_ref().expect("twenty calls are too few");
    assert_eq!(stopped.device, "vanishing:0");
    let judged = judged(&found);
    assert!((1..STEPS).contains(&judged), "{judged} steps");
    assert_eq!(stopped.at, found.steps[judged].node);
    assert!(found.steps[judged..].iter().all(|step| matches!(step.verdict, Verdict::NotRun(_))));
    assert!(found.guilty().is_empty() && !found.holds());
}

#[test]
fn a_device_that_fails_at_one_op_is_not_gone_and_the_rest_is_judged() {
    let found = replayed(reference(), FailingAt::device(cpu(), "Tanh"));
    assert_eq!(found.stopped, None);
    let guilty = found.guilty();
    assert_eq!(guilty.iter().map(|step| step.node.as_str()).collect::<Vec<_>>(), ["Tanh"]);
    assert!(matches!(guilty[0].verdict, Verdict::Crash(_)), "{}", guilty[0].verdict);
    assert_eq!(judged(&found), STEPS - 1);
}

#[test]
fn cases_after_the_loss_are_not_run_and_never_pass() {
    let selection = Selection { op: Some("LayerNorm".to_owned()), dtype: Some(DType::F32) };
    let device = Vanishing::device(cpu(), 200);
    let found = conform(&device, &selection, &Expectations::default(), &|_, _| {}).expect("the suite runs");
    let stopped = found.stopped.as_ref().expect("two hundred calls are too few");
    assert!(stopped.at.starts_with("f32 LayerNorm"), "{stopped}");
    let lost = found.cases.iter().position(|case| !case.verdict.holds()).expect("a case that was not run");
    assert!(lost > 3, "{lost} cases ran");
    assert!(found.cases[lost..].iter().all(|case| matches!(case.verdict, Verdict::NotRun(_))));
    assert!(found.properties.iter().all(|property| matches!(property.verdict, Verdict::NotRun(_))));
    assert!(found.failures().is_empty());
}
