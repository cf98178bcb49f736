//! What an embedder relies on: sessions shared by threads, outputs chosen, runs cancelled, errors that say what to do.

use crate::{devices, folders, models};
use devices::{CountingDevice, Stop};
use folders::{RandomModel, bits, random_rows, told};
use lockstep_bert::fixtures::{Fixture, FixtureHead};
use lockstep_candle::CandleBackend;
use lockstep_cpu::CpuBackend;
use lockstep_reference::ReferenceBackend;
use lockstep_runtime::graph::{DType, GraphBuilder, Symbol, SymbolValues, TensorType, UnaryOp};
use lockstep_runtime::hal::Provenance;
use lockstep_runtime::plan::Prepared;
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{
    Backend, Cancel, Device, Error, Fallback, Packing, PackingOutcome, Registry, RunOptions, Session, hal,
    plan,
};
use lockstep_template::TemplateBackend;
use models::{Batch, bert_small, candle, cpu, excerpt_ids, load, packings, reference, session};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn classifier(dtype: DType) -> RandomModel {
    RandomModel::new(&Fixture { seed: 31, ..Fixture::default() }, dtype)
}

fn devices() -> [(Arc<dyn Device>, DType); 3] {
    [(cpu(), DType::F32), (candle(), DType::F32), (reference(), DType::F64)]
}

fn run(session: &Session, batch: &Batch) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let inputs =
        [("input_ids", &batch.ids), ("token_type_ids", &batch.types), ("attention_mask", &batch.mask)];
    session.run(&inputs).map(|result| bits(&result))
}

#[test]
fn sessions_and_their_parts_are_send_and_sync() {
    fn shared<T: Send + Sync>() {}
    shared::<Session>();
    shared::<Cancel>();
    shared::<Registry>();
    shared::<Error>();
    shared::<lockstep_runtime::RunResult>();
}

#[test]
fn eight_threads_get_the_bits_of_one() {
    let batches: Vec<Batch> =
        [&[5, 9][..], &[1], &[30, 2, 17]].map(|lengths| Batch::of(&random_rows(6, lengths))).to_vec();
    for (device, dtype) in devices() {
        let random = classifier(dtype);
        let session = session(&random.model, device.clone(), Packing::Auto);
        let alone: Vec<_> = batches.iter().map(|batch| run(&session, batch).expect("a run")).collect();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (session, batches, alone, id) = (&session, &batches, &alone, &device.info().id);
                scope.spawn(move || {
                    for turn in 0..6 {
                        let at = (thread + turn) % batches.len();
                        assert_eq!(
                            run(session, &batches[at]).expect("a run"),
                            alone[at],
                            "{id}, thread {thread}"
                        );
                    }
                });
            }
        });
    }
}

#[test]
fn asking_for_less_computes_less() {
    let random = RandomModel::new(&Fixture { head: FixtureHead::Encoder, ..Fixture::default() }, DType::F32);
    let session = session(&random.model, cpu(), Packing::Off);
    let symbols: SymbolValues =
        [("batch", 2), ("seq", 5)].map(|(name, value)| (Symbol::new(name), value)).into();
    let steps = |outputs: &[&str], taps: &[&str]| {
        session.prepared().bind(&symbols, outputs, taps).expect("a program").program.steps().len()
    };
    let both = steps(&["last_hidden_state", "pooler_output"], &[]);
    assert!(steps(&["last_hidden_state"], &[]) < both);
    // The tapped embeddings come from the part of the graph that the output needs anyway.
    assert_eq!(steps(&["last_hidden_state"], &["embeddings"]), steps(&["last_hidden_state"], &[]));
    let tapped = steps(&["last_hidden_state"], &["pooler"]);
    assert!(tapped > steps(&["last_hidden_state"], &[]) && tapped <= both, "{tapped} of {both}");
}

#[test]
fn a_run_that_is_cancelled_before_it_starts_does_nothing() {
    let batch = Batch::of(&random_rows(6, &[5, 9]));
    let inputs =
        [("input_ids", &batch.ids), ("token_type_ids", &batch.types), ("attention_mask", &batch.mask)];
    for (device, dtype) in devices() {
        let random = classifier(dtype);
        let session = session(&random.model, device, Packing::Auto);
        let before = run(&session, &batch).expect("a run");
        let cancel = Cancel::new();
        cancel.cancel();
        let error = session.run_with(&inputs, &RunOptions::new().cancel(&cancel)).unwrap_err();
        assert!(error.is_cancelled() && told(&error).starts_with("cancelled before "), "{}", told(&error));
        assert_eq!(run(&session, &batch).expect("usable afterwards"), before);
    }
}

/// An op in the middle of the graph sets the flag; what comes after it must not run.
#[test]
fn a_run_stops_at_the_step_after_the_flag_is_set() {
    let stop = Arc::new(Stop::default());
    let kernel = CpuBackend::builder().custom_kernel(stop.clone()).build().expect("a backend");
    let cpu = kernel.open(0).expect("the processor");
    for (device, dtype) in [(cpu, DType::F32), (reference(), DType::F64)] {
        let mut b = GraphBuilder::new();
        let x = b.input("x", TensorType::fixed(dtype, &[4])).expect("x");
        let first = b.unary("first", UnaryOp::Exp, x).expect("exp");
        let stopped = b.custom("stop", stop.clone(), &[first]).expect("the custom op")[0];
        let last = b.unary("last", UnaryOp::Neg, stopped).expect("neg");
        b.output("y", last).expect("an output");
        let session =
            Session::builder(b.finish().expect("a graph")).device(device).build().expect("a session");
        let x = HostTensor::zeros(dtype, &[4]).expect("zeros");
        let cancel = stop.arm();
        let error = session.run_with(&[("x", &x)], &RunOptions::new().cancel(&cancel)).unwrap_err();
        assert!(error.is_cancelled(), "{}", told(&error));
        assert_eq!(told(&error), "cancelled before last");
        let good = session.run(&[("x", &x)]).expect("usable afterwards");
        assert_eq!(good.output("y").expect("y").to_f64(), [-1.0; 4]);
    }
}

#[test]
fn a_large_batch_is_cancelled_from_another_thread() {
    let rows: Vec<Vec<i64>> = excerpt_ids().into_iter().map(|row| row.repeat(3)).take(48).collect();
    let model = load(&bert_small("document-classifier"), DType::F32);
    let session = session(&model, cpu(), Packing::Auto);
    let batch = Batch::of(&rows);
    let cancel = Cancel::new();
    let inputs =
        [("input_ids", &batch.ids), ("token_type_ids", &batch.types), ("attention_mask", &batch.mask)];
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            cancel.cancel();
        });
        session.run_with(&inputs, &RunOptions::new().cancel(&cancel))
    });
    let error = result.expect_err("a run of some 8,000 tokens takes more than 20 ms");
    assert!(error.is_cancelled(), "{}", told(&error));
    run(&session, &Batch::of(&rows[..1])).expect("usable afterwards");
}

#[test]
fn inputs_that_do_not_fit_say_how() {
    let good = Batch::of(&random_rows(6, &[5, 9]));
    let (ids, types, mask) =
        (("input_ids", &good.ids), ("token_type_ids", &good.types), ("attention_mask", &good.mask));
    let floats = good.ids.cast(DType::F32).expect("a cast");
    let flat = good.ids.reshape(&[18]).expect("a shape");
    let other = HostTensor::zeros(DType::I64, &[2, 8]).expect("zeros");
    let none = HostTensor::zeros(DType::I64, &[0, 9]).expect("zeros");
    let empty = HostTensor::zeros(DType::I64, &[2, 0]).expect("zeros");
    let cases: Vec<(Vec<(&str, &HostTensor)>, &str)> = vec![
        (vec![ids, types], "input `attention_mask`: was not given; the graph takes i64[batch, seq]"),
        (
            vec![ids, types, mask, ("labels", &good.ids)],
            "input `labels`: the graph has no such input; it has input_ids",
        ),
        (vec![ids, types, mask, ids], "input `input_ids`: was given twice"),
        (
            vec![("input_ids", &floats), types, mask],
            "input `input_ids`: is f32[2, 9], the graph takes i64[batch, seq]",
        ),
        (
            vec![("input_ids", &flat), types, mask],
            "input `input_ids`: is i64[18], the graph takes i64[batch, seq]",
        ),
        (
            vec![ids, ("token_type_ids", &other), mask],
            "input `token_type_ids`: axis 1 of [2, 8]: `seq` is 8 here and 9",
        ),
        (vec![("input_ids", &none), types, mask], "axis 0 of [0, 9]: `batch` is 0; give at least one"),
        (vec![("input_ids", &empty), types, mask], "axis 1 of [2, 0]: `seq` is 0; give at least one"),
    ];
    for (device, dtype) in devices() {
        let random = classifier(dtype);
        let session = session(&random.model, device, Packing::Auto);
        for (inputs, wanted) in &cases {
            let error = session.run(inputs).expect_err(wanted);
            assert!(matches!(error, Error::Input { .. }), "{error:?}");
            assert!(told(&error).contains(wanted), "{} is not: {wanted}", told(&error));
        }
        run(&session, &good).expect("usable afterwards");
    }
}

#[test]
fn a_token_id_outside_the_table_is_named_with_its_place() {
    let words = lockstep_bert::fixtures::vocabulary().len();
    for (bad, type_id) in [(words as i64, 0), (-1, 0), (i64::MAX, 0), (3, 2)] {
        let mut rows = random_rows(6, &[6, 4]);
        rows[1][2] = bad;
        let mut batch = Batch::of(&rows);
        let mut types = vec![0i64; 12];
        types[8] = type_id;
        batch.types = HostTensor::from_slice(&[2, 6], &types).expect("types");
        for (device, dtype) in devices() {
            for &packing in packings(&device) {
                let random = classifier(dtype);
                let session = session(&random.model, device.clone(), packing);
                let error = run(&session, &batch).unwrap_err();
                let text = told(&error);
                let what = format!("{}, packing {packing:?}: {text}", device.info().id);
                assert!(matches!(&error, Error::Device(hal::Error::Value { .. })), "{what}");
                let (table, id, size) = match type_id {
                    0 => ("embeddings.word_embeddings", bad, words),
                    _ => ("embeddings.token_type_embeddings", type_id, 2),
                };
                // The first row is full, so packed and padded positions agree.
                for part in [table, "8", &id.to_string(), &size.to_string()] {
                    assert!(text.contains(part), "no {part} in {what}");
                }
                run(&session, &Batch::of(&random_rows(6, &[6, 4]))).expect("usable afterwards");
            }
        }
    }
}

#[test]
fn a_text_beyond_the_position_table_is_a_clear_error() {
    let batch = Batch::of(&random_rows(6, &[65, 3]));
    for (device, dtype) in devices() {
        for &packing in packings(&device) {
            let random = classifier(dtype);
            let session = session(&random.model, device.clone(), packing);
            let text = told(&run(&session, &batch).unwrap_err());
            for part in ["embeddings.position_embeddings", "65", "64"] {
                assert!(text.contains(part), "{} {packing:?}: {text}", device.info().id);
            }
            run(&session, &Batch::of(&random_rows(6, &[64, 3]))).expect("the longest that fits");
        }
    }
}

#[test]
fn programs_at_rest_are_kept_within_the_cache_and_found_again() {
    let random = classifier(DType::F32);
    let batches = [&[5, 9][..], &[4], &[5, 9]].map(|lengths| Batch::of(&random_rows(6, lengths)));
    let truth: Vec<_> = {
        let session = session(&random.model, cpu(), Packing::Auto);
        batches.iter().map(|batch| run(&session, batch).expect("a run")).collect()
    };
    for (cache_bytes, compiles) in [(64 << 20, 2), (0, 3), (1, 3)] {
        let device = CountingDevice::new(cpu());
        let builder =
            Session::builder(random.model.graph().clone()).device(device.clone()).cache_bytes(cache_bytes);
        let session = builder.build().expect("a session");
        let before = device.compiles.load(Ordering::Relaxed);
        for (batch, truth) in batches.iter().zip(&truth) {
            assert_eq!(run(&session, batch).expect("a run"), *truth);
            // One program is always kept.
            assert_eq!(run(&session, batch).expect("a run"), *truth);
        }
        assert_eq!(device.compiles.load(Ordering::Relaxed) - before, compiles, "{cache_bytes} bytes");
    }
}

#[test]
fn an_unknown_device_lists_the_backends() {
    let registry = Registry::new(vec![
        Arc::new(CpuBackend::default()),
        Arc::new(ReferenceBackend::new()),
        Arc::new(CandleBackend::new()),
        Arc::new(TemplateBackend::new()),
    ]);
    let text = |spec: &str| told(&registry.open(spec).map(|device| device.info().id.clone()).unwrap_err());
    for spec in ["gpu", "", "CPU", "cpu:", "cpu:one", "cpu:-1", ":0"] {
        let text = text(spec);
        assert!(text.starts_with(&format!("unknown device `{spec}`: ")), "{text}");
        assert!(text.ends_with("known backends: cpu, reference, candle, template"), "{text}");
    }
    for name in ["cpu", "reference", "candle", "template"] {
        assert!(
            text(&format!("{name}:7")).contains(&format!("{name}:7 does not exist; {name} has 1 device(s)"))
        );
        assert_eq!(registry.open(&format!("{name}:0")).expect("there").info().id, format!("{name}:0"));
    }
    assert!(
        registry.probe().iter().all(|probe| probe.devices.as_ref().is_ok_and(|devices| devices.len() == 1))
    );
}

#[test]
fn a_device_without_kernels_lists_every_node_at_once() {
    let random = classifier(DType::F32);
    let device = TemplateBackend::new().open(0).expect("the template");
    let nodes = Prepared::survey(random.model.graph(), device.as_ref()).expect("a survey");
    assert!(nodes.iter().all(|node| matches!(node.support, hal::Support::No(_))));
    let error = Session::builder(random.model.graph().clone()).device(device).build().unwrap_err();
    let Error::Plan(plan::Error::Device(hal::Error::Unsupported { device, nodes: refused })) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(device, "template:0");
    let names = |all: &mut dyn Iterator<Item = &String>| all.cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&mut refused.iter().map(|node| &node.node)),
        names(&mut nodes.iter().map(|node| &node.name))
    );
    let text = told(&error);
    assert!(text.contains(&format!("cannot run {} node(s)", nodes.len())), "{text}");
    assert!(
        text.contains("encoder.1.output.LayerNorm (LayerNorm of f32[batch, seq, 32], f32[32], f32[32])"),
        "{text}"
    );
}

#[test]
fn a_declared_rewrite_and_an_allowed_decomposition_are_told_apart() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(DType::F32, &[2, 3, 4])).expect("x");
    let middle = b.softmax("middle", x, 1).expect("softmax");
    let custom = b.custom("custom", Arc::new(Stop::default()), &[middle]).expect("the custom op")[0];
    b.output("y", custom).expect("an output");
    let graph = b.finish().expect("a graph");
    let refused = Session::builder(graph.clone()).device(cpu()).build().unwrap_err();
    let text = told(&refused);
    assert!(
        text.contains("cannot run 1 node(s)") && text.contains("custom (test.stop of f32[2, 3, 4])"),
        "{text}"
    );
    assert!(text.contains("its decomposition was not allowed; allow it to try"), "{text}");

    let builder = Session::builder(graph).device(cpu()).fallback(Fallback::Decompose);
    let session = builder.build().expect("both have decompositions");
    let bound = session.prepared().bind(&SymbolValues::new(), &["y"], &[]).expect("a program");
    let of = |node: &str| {
        let mut steps = bound.program.steps().iter().filter(|step| step.name.starts_with(node)).peekable();
        assert!(steps.peek().is_some(), "no step of {node}");
        steps.map(|step| step.provenance.clone()).collect::<Vec<_>>()
    };
    let rewritten = Provenance::Rewritten { node: "middle".into(), rule: hal::Rule::Decompose };
    assert!(of("middle").iter().all(|provenance| *provenance == rewritten), "{:?}", of("middle"));
    let decomposed = Provenance::Decomposed { node: "custom".into() };
    assert!(of("custom").iter().all(|provenance| *provenance == decomposed), "{:?}", of("custom"));
    assert!(session.prepared().nodes().iter().any(|node| node.provenance == decomposed));
    assert_eq!(decomposed.to_string(), "decomposed (allowed by the caller)");

    let x: Vec<f32> = (0..24).map(|i| i as f32 * 0.1).collect();
    let x = HostTensor::from_slice(&[2, 3, 4], &x).expect("x");
    let y = session.run(&[("x", &x)]).expect("a run").output("y").expect("y").to_f64();
    for (row, column) in [(0, 0), (0, 3), (1, 2)] {
        let sum: f64 = (0..3).map(|at| y[(row * 3 + at) * 4 + column]).sum();
        assert!((sum - 1.0).abs() < 1e-6, "column {column} of {row} sums to {sum}");
    }
}

#[test]
fn packing_that_cannot_be_says_why() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(DType::F32, &[2, 3])).expect("x");
    let y = b.softmax("y", x, 1).expect("softmax");
    b.output("y", y).expect("an output");
    let graph = b.finish().expect("a graph");
    let error = Session::builder(graph.clone()).device(cpu()).packing(Packing::Required).build().unwrap_err();
    assert!(
        told(&error).contains("sequences cannot be packed: no attention takes a key mask"),
        "{}",
        told(&error)
    );
    let session = Session::builder(graph.clone()).device(cpu()).build().expect("a session");
    assert!(
        matches!(session.prepared().packing(), PackingOutcome::Padded(why) if why.contains("no attention"))
    );
    assert!(matches!(Session::builder(graph).build().unwrap_err(), Error::NoDevice));
}
