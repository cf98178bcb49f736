//! Intervals and tests for a port: the same documents, answered twice.
//!
//! Two devices answer the same documents, so that differences are paired: only documents on which exactly one is right say
//! anything. A port changes few answers or none, where the textbook interval has no width at all; the methods here keep
//! theirs.

use crate::random::Random;
use serde::Serialize;

/// Up to so many discordant pairs McNemar's test is the exact binomial one.
const EXACT_UP_TO: usize = 25;
/// Resamples of a bootstrap: enough for the third digit of an interval's end.
const RESAMPLES: usize = 2000;

/// The ends of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Both ends times `factor`, which is positive.
    pub fn times(self, factor: f64) -> Self {
        Self { low: self.low * factor, high: self.high * factor }
    }
}

/// The z of a two-sided interval that holds with probability `confidence` (between 0 and 1): 1.96 for 0.95.
pub fn normal_quantile(confidence: f64) -> f64 {
    let tail = |z: f64| libm::erfc(z / std::f64::consts::SQRT_2);
    bisect(0.0, 40.0, |z| tail(z) > 1.0 - confidence)
}

/// Where `is_before` turns from true to false between `low` and `high`.
fn bisect(mut low: f64, mut high: f64, is_before: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if is_before(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Wilson's score interval of a proportion (Wilson 1927; Newcombe, Statistics in Medicine 17, 1998, 857-872, method 3).
/// All of 0 to 1 for no observations.
pub fn wilson(successes: usize, of: usize, z: f64) -> Interval {
    if of == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (n, p, square) = (of as f64, successes as f64 / of as f64, z * z);
    let (middle, scale) = (p + square / (2.0 * n), 1.0 + square / n);
    let half = z * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
    Interval { low: ((middle - half) / scale).max(0.0), high: ((middle + half) / scale).min(1.0) }
}

/// Tango's score interval for `(gained - lost) / of`, the difference of two paired proportions (Tango, Statistics in
/// Medicine 17, 1998, 891-908).
///
/// * `gained`: pairs of which only the second is a success; `lost`: only the first; `of`: all pairs.
///
/// It is chosen over Newcombe's square-and-add since it asks for the discordant pairs alone, and keeps its width,
/// `z² / (n + z²)` to each side, where there are none. From -1 to 1 for no pairs.
pub fn tango(gained: usize, lost: usize, of: usize, z: f64) -> Interval {
    if of == 0 {
        return Interval { low: -1.0, high: 1.0 };
    }
    let (b, c, n) = (gained as f64, lost as f64, of as f64);
    let score = |delta: f64| {
        // The probability of a loss that is likeliest if the difference is `delta`.
        let linear = (2.0 * n - b + c) * delta - b - c;
        let constant = -c * delta * (1.0 - delta);
        let loss = ((linear * linear - 8.0 * n * constant).max(0.0).sqrt() - linear) / (4.0 * n);
        let distance = b - c - n * delta;
        let variance = n * (2.0 * loss + delta * (1.0 - delta));
        if distance == 0.0 { 0.0 } else { distance / variance.max(0.0).sqrt() }
    };
    let estimate = (b - c) / n;
    Interval {
        low: bisect(-1.0, estimate, |delta| score(delta) > z),
        high: bisect(estimate, 1.0, |delta| score(delta) > -z),
    }
}

/// McNemar's test: whether as many documents were gained as lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct McNemar {
    /// Documents of which only the candidate is right.
    pub gained: usize,
    /// Documents of which only the trusted device is right.
    pub lost: usize,
    /// The two-sided p-value; 1 without discordant documents.
    pub p: f64,
    /// Whether it is the exact binomial test; otherwise the asymptotic one, chi-squared with one degree of freedom.
    pub exact: bool,
}

impl McNemar {
    /// The test of these discordant pairs (McNemar, Psychometrika 12, 1947, 153-157), exact up to 25 of them.
    pub fn new(gained: usize, lost: usize) -> Self {
        let pairs = gained + lost;
        if pairs > EXACT_UP_TO {
            let distance = gained.abs_diff(lost) as f64 / (pairs as f64).sqrt();
            let p = libm::erfc(distance / std::f64::consts::SQRT_2);
            return Self { gained, lost, p, exact: false };
        }
        let (mut term, mut sum) = (0.5f64.powi(pairs as i32), 0.0);
        for successes in 0..=gained.min(lost) {
            sum += term;
            term *= (pairs - successes) as f64 / (successes + 1) as f64;
        }
        Self { gained, lost, p: (2.0 * sum).min(1.0), exact: true }
    }
}

/// A document's share of a score that is a ratio of sums: `2 right / (fields + found)` for F1, `right / tokens` for an
/// accuracy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// What it adds above the line.
    pub above: f64,
    /// What it adds below the line.
    pub below: f64,
}

/// The percentile interval of the second score minus the first, by a bootstrap that draws documents with both their answers
/// (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), `confidence` between 0 and 1.
///
/// A bootstrap cannot draw what was not seen: without a single document of other answers it would exclude everything after
/// three documents. So two documents are added to the urn, an average one that the second side loses whole and one that it
/// gains whole, as Bonett and Price (Statistics in Medicine 31, 2012, 479-488) add one to each discordant count of a paired
/// table.
pub fn paired_bootstrap(documents: &[[Share; 2]], confidence: f64, seed: u64) -> Interval {
    let count = documents.len() as f64;
    if documents.is_empty() {
        return Interval { low: -1.0, high: 1.0 };
    }
    let mean = documents.iter().map(|[first, _]| first.below).sum::<f64>() / count;
    let (whole, nothing) = (Share { above: mean, below: mean }, Share { above: 0.0, below: mean });
    let urn: Vec<[Share; 2]> =
        documents.iter().copied().chain([[whole, nothing], [nothing, whole]]).collect();
    let mut random = Random(seed);
    let mut differences: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut sums = [Share::default(); 2];
            for _ in 0..urn.len() {
                let drawn = &urn[random.below(urn.len())];
                for (sum, share) in sums.iter_mut().zip(drawn) {
                    sum.above += share.above;
                    sum.below += share.below;
                }
            }
            let [first, second] = sums.map(|sum| if sum.below > 0.0 { sum.above / sum.below } else { 0.0 });
            second - first
        })
        .collect();
    differences.sort_by(f64::total_cmp);
    let at = |share: f64| differences[((RESAMPLES - 1) as f64 * share).round() as usize];
    Interval { low: at(0.5 - 0.5 * confidence), high: at(0.5 + 0.5 * confidence) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: f64 = 1.959963984540054;

    fn near(found: Interval, low: f64, high: f64, digits: f64) {
        assert!((found.low - low).abs() < digits && (found.high - high).abs() < digits, "{found:?}");
    }

    #[test]
    fn the_quantile_is_that_of_the_normal_distribution() {
        for (confidence, z) in [(0.95, Z), (0.99, 2.5758293035489004), (0.5, 0.6744897501960817)] {
            assert!((normal_quantile(confidence) - z).abs() < 1e-12, "{confidence}");
        }
    }

    #[test]
    fn wilson_gives_the_published_examples() {
        // Newcombe 1998, table I, method 3.
        for (successes, of, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            near(wilson(successes, of, Z), low, high, 5e-5);
        }
    }

    #[test]
    fn tango_gives_the_published_example() {
        // Airway hyper-responsiveness before and after a transplantation, 1, 1, 7, 12 of 21 (Bentur 2009), in Fagerland,
        // Lydersen and Laake, Statistics in Medicine 33, 2014, 2850-2875: -0.517 to -0.026.
        near(tango(1, 7, 21, Z), -0.517, -0.026, 5e-4);
        near(tango(7, 1, 21, Z), 0.026, 0.517, 5e-4);
    }

    #[test]
    fn tango_without_discordant_pairs_keeps_its_closed_form_width() {
        for of in [1, 10, 3000] {
            let width = Z * Z / (of as f64 + Z * Z);
            near(tango(0, 0, of, Z), -width, width, 1e-9);
        }
        near(tango(10, 0, 10, Z), (10.0 - Z * Z) / (10.0 + Z * Z), 1.0, 1e-9);
    }

    #[test]
    fn the_score_at_both_ends_is_z() {
        // The restricted likelihood maximised by a search instead of its root in closed form.
        for (gained, lost, of) in [(3usize, 0usize, 1000usize), (40, 20, 160), (2, 9, 3000)] {
            let interval = tango(gained, lost, of, Z);
            for end in [interval.low, interval.high] {
                let (b, c, n) = (gained as f64, lost as f64, of as f64);
                let likelihood = |loss: f64| {
                    let log = |count: f64, p: f64| if count == 0.0 { 0.0 } else { count * p.ln() };
                    log(b, loss + end) + log(c, loss) + log(n - b - c, 1.0 - 2.0 * loss - end)
                };
                let (mut low, mut high) = (0.0f64.max(-end) + 1e-12, 0.5 * (1.0 - end) - 1e-12);
                for _ in 0..300 {
                    let (first, second) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
                    if likelihood(first) < likelihood(second) { low = first } else { high = second }
                }
                let score = (b - c - n * end) / (n * (2.0 * low + end * (1.0 - end))).sqrt();
                assert!((score.abs() - Z).abs() < 1e-4, "{gained} {lost} {of}: {score}");
            }
        }
    }

    #[test]
    fn mcnemar_is_exact_for_few_and_asymptotic_for_many() {
        // The same example: exact conditional p = 0.0703 (2 * 9 / 256).
        let few = McNemar::new(1, 7);
        assert!(few.exact && (few.p - 18.0 / 256.0).abs() < 1e-15, "{few:?}");
        // Approval ratings, 150 and 86 (Agresti, Categorical Data Analysis, section 10.1): z² = 17.36, p < 0.0001.
        let many = McNemar::new(86, 150);
        assert!(!many.exact && (many.p - 3.0993e-5).abs() < 1e-8, "{many:?}");
        assert_eq!(McNemar::new(0, 0).p, 1.0);
        assert_eq!(McNemar::new(4, 4).p, 1.0);
    }

    fn answered(right: [bool; 2]) -> [Share; 2] {
        right.map(|right| Share { above: f64::from(right), below: 1.0 })
    }

    #[test]
    fn a_bootstrap_of_an_accuracy_agrees_with_tango() {
        // Two methods for one thing: within a sixth of the width of each other.
        let documents: Vec<[Share; 2]> =
            (0..1000).map(|at| answered([at % 100 != 1, at % 40 != 2])).collect();
        let (gained, lost) = (10, 25);
        let expected = tango(gained, lost, documents.len(), Z);
        let found = paired_bootstrap(&documents, 0.95, 1);
        near(found, expected.low, expected.high, (1.0 / 6.0) * (expected.high - expected.low));
    }

    #[test]
    fn a_bootstrap_excludes_little_after_a_few_equal_documents() {
        let few = paired_bootstrap(&vec![answered([true, true]); 20], 0.95, 1);
        assert!(few.low < -0.05, "{few:?}");
        let many = paired_bootstrap(&vec![answered([true, true]); 3000], 0.95, 1);
        assert!((-0.0015..0.0).contains(&many.low) && (0.0..0.0015).contains(&many.high), "{many:?}");
        assert_eq!(many, paired_bootstrap(&vec![answered([true, true]); 3000], 0.95, 1));
    }

    #[test]
    fn nothing_observed_excludes_nothing() {
        assert_eq!(wilson(0, 0, Z), Interval { low: 0.0, high: 1.0 });
        assert_eq!(tango(0, 0, 0, Z), Interval { low: -1.0, high: 1.0 });
        assert_eq!(paired_bootstrap(&[], 0.95, 1), Interval { low: -1.0, high: 1.0 });
    }
}
