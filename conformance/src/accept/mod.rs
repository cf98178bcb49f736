//! Acceptance: whether a device may take another's place, on one model and one set of documents.
//!
//! Every op may hold its bounds ([`crate::replay`]) and a port still be refused, for its speed or for answers that tip; so
//! the page that someone signs is about answers: similarity of all outputs, task scores on the same documents with the
//! interval of their difference, every answer that flipped, speed and memory. What is asked is a [`Policy`], each of its
//! goals is MET, MISSED or NOT-RUN, and a device is accepted if all are met: a goal that was not run is not.
//!
//! The module knows no model. A [`Task`] says how documents become inputs and outputs become answers; the other device is a
//! session of this process, whose speed is measured in turns, or what a golden pack recorded.

mod comparing;
mod data;
mod goals;
mod outputs;
mod policy;
mod report;
mod run;
mod scores;
mod speed;
mod statistics;
mod task;

pub use comparing::{Agreement, Flip, Found, Score, Similarity, TokenPlace};
pub use data::{Document, Field, TestSet};
pub use goals::{Goal, Status};
pub use outputs::DocumentOutputs;
pub use policy::{EXAMPLE as POLICY_EXAMPLE, Policy};
pub use report::{Data, Outcome, Report, Side, Speeds};
pub use run::{Setting, Trusted, accept};
pub use scores::{Tally, right_tag};
pub use speed::{Latency, Measured, PlannedMemory, measure};
pub use statistics::{Interval, McNemar, Share, normal_quantile, paired_bootstrap, tango, wilson};
pub use task::{Kind, Task, TaskError};

use std::path::PathBuf;

/// The result of this module's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What keeps devices from being judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line that is no document.
    #[error("{path}, line {line}: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A file without a document.
    #[error(
        "{path}: has no document; write one JSON object per line, such as {{\"text\": \"...\", \"label\": \"...\"}}"
    )]
    NoDocuments {
        /// The file.
        path: PathBuf,
    },
    /// A policy that cannot be read.
    #[error("{path}: {reason}")]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and in which line.
        reason: String,
    },
    /// A pack that is damaged, or of another model or other data.
    #[error(transparent)]
    Pack(#[from] crate::golden::Error),
    /// What the task said of its documents.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// What a device said.
    #[error(transparent)]
    Run(#[from] lockstep_runtime::Error),
}
