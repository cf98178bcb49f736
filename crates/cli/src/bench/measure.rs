//! Order statistics of timed runs, as reports say them.

use super::contender::Run;
use crate::failure::Outcome;
use lockstep_benches::turns::{self, Samples, Turns};
use lockstep_runtime::hal::Work;
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

/// Times of repeated runs, from inputs on the host to outputs on the host.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Timing {
    /// How many.
    pub(super) runs: usize,
    /// The first run of all: with compilation, and with weights packed for the device.
    pub(super) first_ms: f64,
    pub(super) median_ms: f64,
    pub(super) p10_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    /// The same runs on the device itself, where it measures them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) on_device: Option<DeviceTiming>,
    /// What the last run asked of the device, where it keeps count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) work: Option<Work>,
}

/// Times of repeated runs on the device itself.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct DeviceTiming {
    pub(super) median_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
}

impl Timing {
    fn new(turns: &Turns<Run>) -> Self {
        let samples =
            Samples::new(turns.first.end_to_end, turns.later.iter().map(|run| run.end_to_end).collect());
        let on_device: Option<Vec<Duration>> = turns.later.iter().map(|run| run.on_device).collect();
        Self {
            runs: samples.runs(),
            first_ms: samples.first_ms(),
            median_ms: samples.quantile_ms(0.5),
            p10_ms: samples.quantile_ms(0.1),
            p90_ms: samples.quantile_ms(0.9),
            p95_ms: samples.quantile_ms(0.95),
            p99_ms: samples.quantile_ms(0.99),
            on_device: on_device.map(|times| DeviceTiming::new(&Samples::new(Duration::ZERO, times))),
            work: turns.later.last().and_then(|run| run.work),
        }
    }

    /// So many per second, at the median.
    pub(super) fn per_second(&self, count: f64) -> f64 {
        count / (self.median_ms / 1e3)
    }
}

impl DeviceTiming {
    fn new(samples: &Samples) -> Self {
        Self {
            median_ms: samples.quantile_ms(0.5),
            p95_ms: samples.quantile_ms(0.95),
            p99_ms: samples.quantile_ms(0.99),
        }
    }
}

/// Times the contenders in turns until each has had its time.
///
/// # Errors
/// The first run that fails.
pub(super) fn in_turns(
    contenders: &mut [&mut dyn FnMut() -> Outcome<Run>],
    budget: Budget,
) -> Outcome<Vec<Timing>> {
    let turns = turns::in_turns(contenders, budget.time, FEWEST_SAMPLES)?;
    Ok(turns.iter().map(Timing::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(count: u64, on_device: impl Fn(u64) -> Option<u64>) -> Turns<Run> {
        let ms = Duration::from_millis;
        let later = (1..=count).rev().map(|at| Run {
            end_to_end: ms(at),
            on_device: on_device(at).map(ms),
            work: None,
        });
        Turns { first: Run { end_to_end: ms(700), on_device: None, work: None }, later: later.collect() }
    }

    #[test]
    fn a_rate_is_at_the_median() {
        let timing = Timing::new(&runs(11, |_| None));
        assert_eq!((timing.runs, timing.median_ms, timing.per_second(3.0)), (11, 6.0, 500.0));
        assert_eq!(timing.first_ms, 700.0);
    }

    #[test]
    fn tails_are_of_the_runs_and_the_device_has_its_own() {
        let timing = Timing::new(&runs(101, |at| Some(2 * at)));
        assert_eq!((timing.p95_ms, timing.p99_ms), (96.0, 100.0));
        let on_device = timing.on_device.unwrap();
        assert_eq!((on_device.median_ms, on_device.p95_ms, on_device.p99_ms), (102.0, 192.0, 200.0));
    }

    #[test]
    fn a_device_that_timed_some_of_its_runs_has_no_time_of_its_own() {
        assert!(Timing::new(&runs(5, |at| (at != 3).then_some(at))).on_device.is_none());
    }
}
