//! How alike all outputs of two devices are, as one vector each, summed as documents come.

use super::flips::deviation;
use serde::Serialize;

/// How alike all outputs are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Similarity {
    /// The cosine of all outputs, as one vector, in percent; `None` where an output is NaN or infinite.
    pub cosine_percent: Option<f64>,
    /// The largest absolute difference of two outputs; `None` likewise.
    pub largest_error: Option<f64>,
    /// The line of the document that has it.
    pub largest_error_line: Option<usize>,
    /// The median of the documents' largest differences.
    pub usual_error: f64,
    /// Documents with a NaN or an infinity: of the trusted device, of the candidate.
    pub not_finite: [usize; 2],
    /// How many outputs were compared.
    pub outputs: usize,
}

/// Sums over the documents so far.
#[derive(Default)]
pub(super) struct Sums {
    dot: f64,
    squares: [f64; 2],
    largest: Option<(f64, usize)>,
    not_finite: [usize; 2],
    outputs: usize,
}

impl Sums {
    /// Adds a document's outputs and gives their largest difference.
    pub(super) fn add(&mut self, line: usize, [a, b]: [&[f64]; 2]) -> f64 {
        let deviation = deviation([a, b]);
        self.outputs += a.len();
        for (&x, &y) in a.iter().zip(b) {
            self.dot += x * y;
            self.squares[0] += x * x;
            self.squares[1] += y * y;
        }
        for (count, values) in self.not_finite.iter_mut().zip([a, b]) {
            *count += usize::from(values.iter().any(|x| !x.is_finite()));
        }
        if self.largest.is_none_or(|(largest, _)| deviation > largest) {
            self.largest = Some((deviation, line));
        }
        deviation
    }

    pub(super) fn similarity(&self, usual_error: f64) -> Similarity {
        let norms = (self.squares[0] * self.squares[1]).sqrt();
        let cosine = if norms == 0.0 && self.squares[0] == self.squares[1] { 1.0 } else { self.dot / norms };
        Similarity {
            // Rounding may lift a cosine just above 1.
            cosine_percent: Some(100.0 * cosine.min(1.0)).filter(|_| cosine.is_finite()),
            largest_error: self.largest.map(|(largest, _)| largest).filter(|largest| largest.is_finite()),
            largest_error_line: self.largest.map(|(_, line)| line),
            usual_error,
            not_finite: self.not_finite,
            outputs: self.outputs,
        }
    }
}
