//! The judge is measured: it must catch faults and accuse no honest kernel.

use lockstep_conformance::cases;
use lockstep_conformance::mutation::{false_alarms, fate, honest_variants, trials};
use lockstep_conformance::oracle::Oracle;
use lockstep_conformance::recipes::Fault;
use lockstep_runtime::hal::{NumericsProfile, Overflow};
use lockstep_runtime::tensor::DType;

const DTYPES: [DType; 3] = [DType::F32, DType::F16, DType::Bf16];

/// What recipes promise: f32 sums, functions of the C library's accuracy.
fn profile() -> NumericsProfile {
    NumericsProfile {
        version: 1,
        accumulate: DTYPES.map(|dtype| (dtype, DType::F32)).to_vec(),
        reduced_f32_products: false,
        flushes_subnormals: false,
        overflow: Overflow::Infinity,
        exp_ulp: 1.0,
        erf_ulp: 1.0,
        tanh_ulp: 1.0,
        deterministic: true,
        batch_invariant: true,
    }
}

#[test]
fn faults_are_caught() {
    let oracle = Oracle::new().expect("an oracle");
    let trials = trials(&oracle, &cases::all(), &DTYPES, &profile()).expect("trials");
    let mut survivors = Vec::new();
    for &fault in Fault::ALL {
        let fate = fate(&trials, fault).expect("a fate");
        eprintln!("{fate:?}");
        if !fate.is_killed() {
            survivors.push(fate);
        }
    }
    assert!(survivors.is_empty(), "of {}: {survivors:#?}", Fault::ALL.len());
}

#[test]
fn honest_kernels_are_not_accused() {
    let oracle = Oracle::new().expect("an oracle");
    let trials = trials(&oracle, &cases::all(), &DTYPES, &profile()).expect("trials");
    let variants = honest_variants();
    assert!(variants.len() >= 100);
    for (at, recipe) in variants.into_iter().enumerate() {
        let alarms = false_alarms(&trials, recipe).expect("judgements");
        assert!(alarms.is_empty(), "variant {at}: {} alarms, first {:#?}", alarms.len(), alarms[0]);
    }
}
