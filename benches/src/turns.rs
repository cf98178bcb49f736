//! Times of repeated runs, taken in turns.
//!
//! Contenders take turns within one measurement, so that what else the machine does befalls all of them; two runs apart
//! compare nothing on a shared machine. A turn has its own length and the first run of it does not count, since another
//! contender's data is in the caches then.

use std::time::{Duration, Instant};

/// A turn lasts at least so long, that a device works with its own data in the caches.
const TURN: Duration = Duration::from_millis(100);

/// Times of one contender's runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    first: Duration,
    sorted: Vec<Duration>,
}

impl Samples {
    /// The first run of all, which compiles and packs weights, and the later ones in any order; at least one of these.
    pub fn new(first: Duration, mut later: Vec<Duration>) -> Self {
        later.sort_unstable();
        Self { first, sorted: later }
    }

    /// How many runs count.
    pub fn runs(&self) -> usize {
        self.sorted.len()
    }

    /// The first run of all, in milliseconds.
    pub fn first_ms(&self) -> f64 {
        milliseconds(self.first)
    }

    /// The quantile at `share` (0 to 1), in milliseconds: the sample nearest to that place. 0 without samples.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let at = (self.sorted.len().saturating_sub(1) as f64 * share).round() as usize;
        self.sorted.get(at).map_or(0.0, |sample| milliseconds(*sample))
    }
}

/// What one contender's runs gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns<T> {
    /// The first run of all, which compiles and packs weights.
    pub first: T,
    /// The later ones that count, in order; at least one.
    pub later: Vec<T>,
}

impl From<Turns<Duration>> for Samples {
    fn from(turns: Turns<Duration>) -> Self {
        Self::new(turns.first, turns.later)
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Runs the contenders in turns until each has had `time` and gave `fewest` samples, however slow it is. Each call runs
/// once and gives how long that took, and what else it measured; each contender is warmed up by one call first.
///
/// # Errors
/// The first run that fails.
pub fn in_turns<T, E>(
    contenders: &mut [&mut dyn FnMut() -> Result<T, E>],
    time: Duration,
    fewest: usize,
) -> Result<Vec<Turns<T>>, E> {
    let mut firsts = Vec::new();
    for contender in contenders.iter_mut() {
        firsts.push(contender()?);
    }
    let mut samples: Vec<Vec<T>> = contenders.iter().map(|_| Vec::new()).collect();
    let mut spent = vec![Duration::ZERO; contenders.len()];
    while spent.iter().zip(&samples).any(|(spent, taken)| *spent < time || taken.len() < fewest) {
        for (at, contender) in contenders.iter_mut().enumerate() {
            let start = Instant::now();
            let turn = TURN.min(time);
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
    Ok(firsts.into_iter().zip(samples).map(|(first, later)| Turns { first, later }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn quantiles_are_of_the_samples() {
        let samples =
            Samples::new(Duration::from_millis(70), (1..=11).rev().map(Duration::from_millis).collect());
        assert_eq!((samples.runs(), samples.first_ms()), (11, 70.0));
        assert_eq!([0.1, 0.5, 0.9, 1.0].map(|share| samples.quantile_ms(share)), [2.0, 6.0, 10.0, 11.0]);
    }

    #[test]
    fn each_contender_gets_its_turns_and_its_own_times() {
        let (mut calls, mut others) = (0, 0);
        let turns = in_turns::<_, Infallible>(
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
            Duration::from_millis(1),
            3,
        )
        .unwrap();
        let samples: Vec<Samples> = turns.into_iter().map(Samples::from).collect();
        assert_eq!((samples[0].quantile_ms(0.5), samples[1].quantile_ms(0.5)), (2.0, 8.0));
        assert!(samples.iter().all(|samples| samples.runs() >= 3));
        assert!(calls > samples[0].runs() && others > samples[1].runs());
    }

    #[test]
    fn the_first_failure_ends_the_measurement() {
        let mut left = 3;
        let found = in_turns(
            &mut [&mut || {
                left -= 1;
                if left == 0 { Err("lost") } else { Ok(Duration::ZERO) }
            }],
            Duration::from_secs(1),
            1,
        );
        assert_eq!(found, Err("lost"));
    }
}
