//! The model family to clone: a bag-of-embeddings text classifier (Joulin et al. 2016, "Bag of Tricks for Efficient Text
//! Classification"). It is small on purpose, and whole: settings, weights, graph, checkpoints, errors, tests.
//!
//! What to do, in order:
//! 1. Copy this folder to `models/NAME`. In its `Cargo.toml` rename the package; in the root's add it to `members` and
//!    `[workspace.dependencies]`; give it a line in `conformance/tests/conformance/arrows.rs` and in `ARCHITECTURE.md`.
//! 2. Rename `Bag` to your family's name throughout.
//! 3. `config.rs`: the settings that change what the model computes, and refusals of those that you do not honour.
//! 4. `weights.rs`: as it is, unless the family's files spell names in several ways (see `models/bert/src/weights.rs`).
//! 5. `model.rs`: the graph. Build it of the most explicit ops; the planner finds the fused ones. Name a checkpoint
//!    wherever someone porting the model will want to look.
//! 6. `error.rs`: what can be wrong with a folder, each with what to try.
//! 7. `tests/against_formula.rs`: the formula written out once more in plain f64, and a folder for each refusal.
//! 8. Record what the original framework gives for trained weights in float64, and hold the model to it within 1e-9 on the
//!    reference backend, as `conformance/tests/conformance/golden.rs` does for BERT-Small.
//!
//! A tokenizer, label names and answers are a matter of taste of each family; `models/bert` has all three.

mod config;
mod error;
mod model;
mod weights;

pub use config::BagConfig;
pub use error::{Error, Result};
pub use model::BagModel;
