//! Order statistics of timed runs, as reports say them.

use crate::failure::Outcome;
use lockstep_benches::turns::{self, Samples};
use serde::Serialize;
use std::time::Duration;

/// However slow, so many samples are taken of each.
const FEWEST_SAMPLES: usize = 3;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// For each contender.
    pub(super) time: Duration,
}

/// Times of repeated runs.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Timing {
    /// How many.
    pub(super) runs: usize,
    /// The first run of all: with compilation, and with weights packed for the device.
    pub(super) first_ms: f64,
    pub(super) median_ms: f64,
    pub(super) p10_ms: f64,
    pub(super) p90_ms: f64,
}

impl Timing {
    fn new(samples: &Samples) -> Self {
        Self {
            runs: samples.runs(),
            first_ms: samples.first_ms(),
            median_ms: samples.quantile_ms(0.5),
            p10_ms: samples.quantile_ms(0.1),
            p90_ms: samples.quantile_ms(0.9),
        }
    }

    /// So many per second, at the median.
    pub(super) fn per_second(&self, count: f64) -> f64 {
        count / (self.median_ms / 1e3)
    }
}

/// Times the contenders in turns until each has had its time.
///
/// # Errors
/// The first run that fails.
pub(super) fn in_turns(
    contenders: &mut [&mut dyn FnMut() -> Outcome<Duration>],
    budget: Budget,
) -> Outcome<Vec<Timing>> {
    let samples = turns::in_turns(contenders, budget.time, FEWEST_SAMPLES)?;
    Ok(samples.iter().map(Timing::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_at_the_median() {
        let later = (1..=11).map(Duration::from_millis).collect();
        let timing = Timing::new(&Samples::new(Duration::from_millis(70), later));
        assert_eq!((timing.runs, timing.median_ms, timing.per_second(3.0)), (11, 6.0, 500.0));
    }
}
