//! What a guilty op's results look like: every fault is tried as a hypothesis.
//!
//! A fault fits if a plain kernel with that fault gives nearly what was found. How well is the share of the error's energy
//! that it explains: 1 if it accounts for all of it, 0 if the truth itself is as near. A clean kernel of another order already
//! leaves roundings unexplained, so no hypothesis reaches 1.

use crate::recipes::{Fault, Recipe};
use lockstep_runtime::graph::Op;
use lockstep_runtime::tensor::HostTensor;
use serde::Serialize;

/// Below it a hypothesis explains too little to be named.
const LEAST_SHARE: f64 = 0.5;

/// A hypothesis that fits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fingerprint {
    /// The fault.
    pub fault: Fault,
    /// The share of the squared error that it explains, at most 1.
    pub explains: f64,
}

/// The faults that explain at least half of how `found` differs from `truth`, the best first. `inputs` are those the device
/// was given.
pub fn fingerprints(
    op: &Op,
    inputs: &[HostTensor],
    truth: &HostTensor,
    found: &HostTensor,
) -> Vec<Fingerprint> {
    let error = squared_distance(found, truth);
    let mut fitting: Vec<Fingerprint> = (Fault::ALL.iter())
        .filter(|fault| fault.touches(op))
        .filter_map(|&fault| {
            let recipe = Recipe::faulty(fault);
            // An op without a recipe may still be stored wrongly: then its truth is what was stored so.
            let hypothesis = match recipe.run(op, inputs, found.dtype()) {
                Some(hypothesis) => hypothesis,
                None => recipe.stored(truth.cast(found.dtype()).ok()?),
            };
            if hypothesis.shape() != found.shape() {
                return None;
            }
            let left = squared_distance(found, &hypothesis);
            let explains = if left == 0.0 && error > 0.0 { 1.0 } else { 1.0 - left / error };
            (explains >= LEAST_SHARE).then_some(Fingerprint { fault, explains })
        })
        .collect();
    // Stable, so that of equals the first of the list stays first.
    fitting.sort_by(|a, b| b.explains.total_cmp(&a.explains));
    fitting
}

/// The squared difference, each element's at most that of the largest numbers; a NaN out of place counts as such.
fn squared_distance(a: &HostTensor, b: &HostTensor) -> f64 {
    let (a, b) = (a.to_f64(), b.to_f64());
    let largest = a.iter().chain(&b).filter(|x| x.is_finite()).fold(1.0f64, |most, x| most.max(x.abs()));
    let apart = |x: f64, y: f64| match (x - y).abs() {
        _ if x == y || (x.is_nan() && y.is_nan()) => 0.0,
        distance if distance.is_finite() => distance,
        _ => 2.0 * largest,
    };
    a.iter().zip(&b).map(|(&x, &y)| apart(x, y).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use crate::oracle::Oracle;
    use lockstep_runtime::graph::Op;
    use lockstep_runtime::tensor::DType;

    /// Each fault of a norm, found again among all hypotheses from what another order of sums gives.
    #[test]
    fn the_fault_that_was_made_fits_best() {
        let oracle = Oracle::new().unwrap();
        let all = cases::all();
        let case = all
            .iter()
            .find(|case| matches!(case.op, Op::LayerNorm { .. }) && case.inputs[0].shape() == [3, 17])
            .unwrap()
            .in_dtype(DType::F32);
        let truth = oracle.truth("norm", &case.op, &case.arguments()).unwrap().swap_remove(0);
        for fault in [
            Fault::VarianceOverNMinus1,
            Fault::EpsilonTooLarge,
            Fault::GammaBetaSwapped,
            Fault::StatisticsInF16,
            Fault::TailLost,
        ] {
            let recipe = Recipe { order: crate::recipes::Order::Pairwise, ..Recipe::faulty(fault) };
            let found = recipe.run(&case.op, &case.inputs, DType::F32).unwrap();
            let fitting = fingerprints(&case.op, &case.inputs, &truth, &found);
            assert_eq!(fitting.first().map(|first| first.fault), Some(fault), "{fitting:?}");
        }
    }

    #[test]
    fn an_honest_result_has_no_fingerprint() {
        let x = HostTensor::from_slice(&[3], &[1.0f32, -2.0, 0.5]).unwrap();
        let truth = x.cast(DType::F64).unwrap();
        let op = Op::Unary(lockstep_runtime::graph::UnaryOp::Abs);
        assert!(fingerprints(&op, std::slice::from_ref(&x), &truth, &x).is_empty());
    }
}
