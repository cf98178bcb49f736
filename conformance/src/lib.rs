//! What holds backends to the truth and to each other.
//!
//! Two devices are compared op by op, each on its own: a kernel is run on the model's own activations as the trusted device
//! has them, rounded as the tested device stores them ([`replay`]), and its result is held to a bound that follows from
//! float64 and from the numerics that the device declares ([`oracle`], [`op_bounds`], [`bounds`]). So an error is seen where
//! it is made and not where it shows, and there is no tolerance to choose. The whole graph's values are streamed beside it
//! ([`compare`]), to show what becomes of each difference.
//!
//! [`rounding`] is the truth of storage formats: a graph computed in f64 that rounds every stored value as its format does,
//! the best that any device with that format can do. The behaviour that every backend must show is in this crate's `tests/`.

pub mod accept;
pub mod bounds;
pub mod cases;
pub mod compare;
pub mod conform;
pub mod fingerprint;
pub mod fuzz;
pub mod golden;
pub mod inputs;
pub mod judgement;
#[cfg(feature = "mutants")]
pub mod localisation;
#[cfg(feature = "mutants")]
pub mod mutant;
pub mod mutation;
pub mod one_op;
pub mod op_bounds;
pub mod oracle;
pub mod pulse;
pub mod random;
pub mod recipes;
pub mod replay;
pub mod report;
pub mod repro;
pub mod rounding;
pub mod ulp;
#[cfg(feature = "mutants")]
pub mod vanishing;
pub mod verdict;
mod whole_folder;
