//! Samples and their order statistics.

use crate::failure::Outcome;
use serde::Serialize;
use std::time::{Duration, Instant};

/// However slow, so many samples are taken of each.
const FEWEST_SAMPLES: usize = 3;
/// A turn lasts at least so long, that a device works with its own data in the caches.
const TURN: Duration = Duration::from_millis(100);

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
    fn new(first: Duration, mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        let at = |share: f64| milliseconds(samples[((samples.len() - 1) as f64 * share).round() as usize]);
        Self {
            runs: samples.len(),
            first_ms: milliseconds(first),
            median_ms: at(0.5),
            p10_ms: at(0.1),
            p90_ms: at(0.9),
        }
    }

    /// So many per second, at the median.
    pub(super) fn per_second(&self, count: f64) -> f64 {
        count / (self.median_ms / 1e3)
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Times the contenders in turns until each has had its time. Each is warmed up first, and the first run of a turn does
/// not count, since another contender's data is in the caches then.
///
/// # Errors
/// The first run that fails.
pub(super) fn in_turns(
    contenders: &mut [&mut dyn FnMut() -> Outcome<Duration>],
    budget: Budget,
) -> Outcome<Vec<Timing>> {
    let mut firsts = Vec::new();
    for contender in contenders.iter_mut() {
        firsts.push(contender()?);
    }
    let mut samples = vec![Vec::new(); contenders.len()];
    let mut spent = vec![Duration::ZERO; contenders.len()];
    while spent
        .iter()
        .zip(&samples)
        .any(|(spent, taken)| *spent < budget.time || taken.len() < FEWEST_SAMPLES)
    {
        for (at, contender) in contenders.iter_mut().enumerate() {
            let start = Instant::now();
            let turn = TURN.min(budget.time);
            contender()?;
            loop {
                samples[at].push(contender()?);
                if start.elapsed() >= turn {
                    break;
                }
            }
            spent[at] += start.elapsed();
        }
    }
    Ok(firsts.into_iter().zip(samples).map(|(first, samples)| Timing::new(first, samples)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_statistics_are_of_the_samples() {
        let samples = (1..=11).rev().map(Duration::from_millis).collect();
        let timing = Timing::new(Duration::from_millis(70), samples);
        assert_eq!((timing.runs, timing.first_ms), (11, 70.0));
        assert_eq!((timing.p10_ms, timing.median_ms, timing.p90_ms), (2.0, 6.0, 10.0));
        assert_eq!(timing.per_second(3.0), 500.0);
    }

    #[test]
    fn each_contender_gets_its_turns_and_its_own_times() {
        let (mut calls, mut others) = (0, 0);
        let timings = in_turns(
            &mut [
                &mut || {
                    calls += 1;
                    Ok(Duration::from_millis(2))
                },
                &mut || {
                    others += 1;
                    Ok(Duration::from_millis(8))
                },
            ],
            Budget { time: Duration::from_millis(1) },
        )
        .unwrap();
        assert_eq!((timings[0].median_ms, timings[1].median_ms), (2.0, 8.0));
        assert!(timings.iter().all(|timing| timing.runs >= FEWEST_SAMPLES));
        assert!(calls > timings[0].runs && others > timings[1].runs);
    }
}
