//! Random graphs on our devices, and on devices with a fault, which must be found and shrunk to the op that has it.

use crate::models;
use lockstep_conformance::fuzz::{Finding, Found, Fuzzed, Way, fuzz, judge, keep, kept, sketch};
use lockstep_conformance::mutant::Mutant;
use lockstep_conformance::recipes::{Fault, Recipe};
use lockstep_conformance::vanishing::Vanishing;
use lockstep_runtime::Device;
use lockstep_runtime::tensor::{DType, HostTensor};
use models::{candle, cpu, reference};
use std::sync::Arc;

const SEED: u64 = 1;
/// A graph takes a few milliseconds; longer sessions are `lockstep conform --fuzz`.
const GRAPHS: usize = 250;

fn fuzzed(device: &Arc<dyn Device>, dtype: DType, graphs: usize) -> Fuzzed {
    fuzz(device, dtype, SEED, graphs, &|_, _| {}).expect("the oracle runs every graph")
}

/// Every graph holds but those that are refused, and those are few.
fn holds(device: &Arc<dyn Device>, dtype: DType) -> Fuzzed {
    let found = fuzzed(device, dtype, GRAPHS);
    let failures = found.failures.iter();
    let failures =
        failures.map(|one| format!("seed {}: {:?}\n{}", one.seed, one.failure, one.shrunk.join("\n")));
    assert!(found.holds(), "{}", failures.collect::<Vec<_>>().join("\n"));
    assert!(found.refused * 5 < GRAPHS, "{} refused: {:?}", found.refused, found.refusals);
    assert_eq!(found.held + found.refused, GRAPHS);
    found
}

#[test]
fn graphs_hold_on_the_processor_in_every_dtype() {
    for dtype in [DType::F32, DType::F16, DType::Bf16] {
        let found = holds(&cpu(), dtype);
        // Graphs are worth something only if they are made of all there is.
        for op in ["MatMul", "Attention", "AddLayerNorm", "Softmax", "IndexAdd", "Gather", "Cast", "PoolMean"]
        {
            assert!(found.steps.get(op).is_some_and(|&count| count > 5), "{op} in {:?}", found.steps);
        }
    }
}

#[test]
fn graphs_hold_on_candle() {
    for dtype in [DType::F32, DType::F64] {
        holds(&candle(), dtype);
    }
}

#[test]
fn graphs_hold_on_the_reference() {
    holds(&reference(), DType::F64);
}

#[test]
fn a_seed_and_a_dtype_give_the_same_graph_again() {
    for seed in 0..50 {
        assert_eq!(sketch(seed, DType::F16), sketch(seed, DType::F16), "seed {seed}");
    }
    assert_ne!(sketch(1, DType::F32), sketch(2, DType::F32));
}

/// The first graph that fails on the processor with a fault.
fn first_failure(fault: Fault) -> (Arc<dyn Device>, Found) {
    let mutant = Mutant::device(cpu(), Recipe::faulty(fault), None);
    for seed in SEED..SEED + 300 {
        let found = fuzz(&mutant, DType::F32, seed, 1, &|_, _| {}).expect("the oracle runs every graph");
        // One that has something to shrink.
        if let Some(one) = found.failures.into_iter().next().filter(|one| one.nodes > 3) {
            return (mutant, one);
        }
    }
    panic!("{fault:?} shows in none of the graphs from seed {SEED} on");
}

/// A fault anywhere in a graph of up to twelve nodes: found, and shrunk to the one op that has it.
#[test]
fn a_fault_is_found_and_shrunk_to_its_op() {
    for fault in [
        Fault::VarianceOverNMinus1,
        Fault::MaximumForgotten,
        Fault::DuplicatesLost,
        Fault::OtherGeluForm,
        Fault::LastElementStale,
    ] {
        let (_, one) = first_failure(fault);
        assert_eq!(one.failure.way, Way::Wrong, "{fault:?}, seed {}: {:?}", one.seed, one.failure);
        let nodes = &one.sketch.nodes;
        assert_eq!(nodes.len(), 1, "{fault:?}, seed {} of {} nodes: {:?}", one.seed, one.nodes, one.shrunk);
        assert!(fault.touches(&nodes[0].op), "{fault:?}, seed {}: {:?}", one.seed, one.shrunk);
    }
}

#[test]
fn a_shrunk_graph_is_kept_and_fails_again_when_it_is_read() {
    let (mutant, one) = first_failure(Fault::VarianceOverNMinus1);
    let folder = tempfile::tempdir().expect("a folder");
    keep(&one.sketch, folder.path()).expect("it is written");
    let kept = kept(folder.path()).expect("it is read");
    let inputs: Vec<(String, &HostTensor)> = kept.inputs.iter().map(|(name, x)| (name.clone(), x)).collect();
    let again = |device: &Arc<dyn Device>| judge(device, &kept.graph, &inputs).expect("it is a graph");
    assert!(matches!(again(&mutant), Finding::Failed(failure) if failure.is_like(&one.failure)));
    assert!(matches!(again(&cpu()), Finding::Held(_)));
}

/// Graphs that failed once, by seed: sums over a spread tensor in another order, an axis of extent 1 with a stride of 0, values
/// that are infinite in a packed sequence, keys that are all infinitely far, products that underflow, sums that overflow.
#[test]
fn what_fuzzing_found_before_holds() {
    let cases = [
        (candle(), DType::F32, vec![795, 1699, 1798, 11832, 501_302, 502_263]),
        (candle(), DType::F64, vec![2471, 301_883]),
        (cpu(), DType::F32, vec![41, 146, 177, 101_551, 102_235, 107_545, 108_080, 113_464, 502_263]),
        (cpu(), DType::F16, vec![105_458, 206_636, 500_757]),
    ];
    for (device, dtype, seeds) in cases {
        for seed in seeds {
            let found = fuzz(&device, dtype, seed, 1, &|_, _| {}).expect("the oracle runs every graph");
            assert!(found.failures.is_empty(), "seed {seed} in {dtype}: {:?}", found.failures);
        }
    }
}

#[test]
fn graphs_after_a_loss_are_not_run() {
    let found = fuzzed(&Vanishing::device(cpu(), 3000), DType::F32, 40);
    assert!(found.stopped.is_some() && !found.holds());
    assert!(found.held > 0 && found.not_run > 0);
    assert_eq!(found.held + found.refused + found.not_run, 40);
    assert!(found.failures.is_empty(), "{:?}", found.failures);
}
