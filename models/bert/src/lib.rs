//! The BERT family: config and weight names to graph, tokenizer, heads.

pub mod architecture;
pub mod config;
mod embeddings;
mod encoder;
pub mod entities;
pub mod error;
#[cfg(feature = "fixtures")]
pub mod fixtures;
pub mod folder;
mod heads;
pub mod labels;
pub mod model;
pub mod pipeline;
pub mod pooling;
pub mod tokenizer;
mod weights;

pub use architecture::{EmbeddingHead, Head};
pub use config::{BertConfig, GeluForm, ProblemType};
pub use entities::{Aggregation, Entity, EntityOptions, extract_entities};
pub use error::{Error, Result};
pub use folder::{ModelFolder, TokenizerFiles, WeightFiles};
pub use labels::{Activation, ClassScore, ClassScores, Labels};
pub use model::{BertModel, LoadOptions};
pub use pipeline::{Answer, Embedding, EmbeddingSource, EncodedText, Prediction, TextModel, TextOptions};
pub use pooling::Pooling;
pub use tokenizer::{Encoding, Text, Tokenizer, Truncation};
pub use weights::WeightProblems;
