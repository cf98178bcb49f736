//! The judge is measured: it must catch faults and accuse no honest kernel.

use lockstep_conformance::cases;
use lockstep_conformance::mutation::{DTYPES, false_alarms, fate, honest_variants, profile, trials};
use lockstep_conformance::oracle::Oracle;
use lockstep_conformance::recipes::Fault;

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
