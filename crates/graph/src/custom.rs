//! Ops from outside the closed set.

use crate::{GraphBuilder, HostTensor, Result, TensorType, ValueId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An op that Lockstep does not know. Whoever adds one brings all that a built-in op has.
///
/// A device that has no kernel of that name may run the decomposition, if the caller allows it; the reference backend
/// runs [`CustomOp::reference`].
pub trait CustomOp: fmt::Debug + Send + Sync {
    /// Its name, unique among custom ops; a prefix such as `acme.` keeps it so.
    fn name(&self) -> &str;

    /// Its parameters, for serialisation and equality.
    fn attributes(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// The outputs' types.
    ///
    /// # Errors
    /// What does not fit, in words; the node's name is added by the caller.
    fn infer(&self, inputs: &[TensorType]) -> std::result::Result<Vec<TensorType>, String>;

    /// The same computation in built-in ops, added to `builder`.
    ///
    /// # Errors
    /// As the builder's methods.
    fn decompose(&self, builder: &mut GraphBuilder, inputs: &[ValueId]) -> Result<Vec<ValueId>>;

    /// The outputs computed in f64; float inputs arrive as f64, others in their own dtype.
    ///
    /// # Errors
    /// What is wrong with the values, in words.
    fn reference(&self, inputs: &[HostTensor]) -> std::result::Result<Vec<HostTensor>, String>;
}

/// A custom op in a graph: its name and attributes, and its implementation unless it was just read from a file.
#[derive(Clone, Serialize, Deserialize)]
pub struct Custom {
    name: String,
    attributes: serde_json::Value,
    #[serde(skip)]
    implementation: Option<Arc<dyn CustomOp>>,
}

impl Custom {
    /// The op that `implementation` describes.
    pub fn new(implementation: Arc<dyn CustomOp>) -> Self {
        Self {
            name: implementation.name().to_owned(),
            attributes: implementation.attributes(),
            implementation: Some(implementation),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its parameters.
    pub fn attributes(&self) -> &serde_json::Value {
        &self.attributes
    }

    /// Its implementation; present in every graph that was built or fully read.
    pub fn implementation(&self) -> Option<&Arc<dyn CustomOp>> {
        self.implementation.as_ref()
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.attributes == other.attributes
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Custom({}, {})", self.name, self.attributes)
    }
}
