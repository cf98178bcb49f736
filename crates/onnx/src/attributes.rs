//! Attributes of nodes: made and read.

use crate::messages::{AttributeProto, NodeProto, attribute_kind};
use crate::tensor::to_message;
use crate::{Error, Result};
use lockstep_graph::HostTensor;

/// A whole number.
pub(crate) fn int(name: &str, i: i64) -> AttributeProto {
    let (name, i) = (name.to_owned(), Some(i));
    AttributeProto { name, i, kind: attribute_kind::INT, ..AttributeProto::default() }
}

/// Several.
pub(crate) fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { name: name.to_owned(), ints, kind: attribute_kind::INTS, ..AttributeProto::default() }
}

/// A text.
pub(crate) fn text(name: &str, text: &str) -> AttributeProto {
    let (name, s) = (name.to_owned(), Some(text.as_bytes().to_vec()));
    AttributeProto { name, s, kind: attribute_kind::STRING, ..AttributeProto::default() }
}

/// A tensor.
pub(crate) fn tensor(name: &str, tensor: &HostTensor) -> AttributeProto {
    let (name, t) = (name.to_owned(), Some(to_message("", tensor)));
    AttributeProto { name, t, kind: attribute_kind::TENSOR, ..AttributeProto::default() }
}

impl NodeProto {
    /// The attribute of that name and kind; `None` if the node has none.
    fn attribute(&self, name: &str, kind: i32) -> Result<Option<&AttributeProto>> {
        let Some(found) = self.attribute.iter().find(|attribute| attribute.name == name) else {
            return Ok(None);
        };
        if found.kind != kind {
            let reason = format!("its attribute `{name}` is of kind {}, expected {kind}", found.kind);
            return Err(Error::model(&self.name, reason));
        }
        Ok(Some(found))
    }

    /// A whole number, if the node has it.
    ///
    /// # Errors
    /// [`Error::Model`] for an attribute of that name and another kind; so do the others.
    pub fn int(&self, name: &str) -> Result<Option<i64>> {
        let attribute = self.attribute(name, attribute_kind::INT)?;
        Ok(attribute.map(|attribute| attribute.i.unwrap_or_default()))
    }

    /// Several, if the node has them.
    pub fn ints(&self, name: &str) -> Result<Option<&[i64]>> {
        Ok(self.attribute(name, attribute_kind::INTS)?.map(|attribute| attribute.ints.as_slice()))
    }

    /// The bytes of a text, if the node has it.
    pub fn text(&self, name: &str) -> Result<Option<&[u8]>> {
        let attribute = self.attribute(name, attribute_kind::STRING)?;
        Ok(attribute.map(|attribute| attribute.s.as_deref().unwrap_or_default()))
    }

    /// A float, if the node has it.
    pub fn float(&self, name: &str) -> Result<Option<f32>> {
        let attribute = self.attribute(name, attribute_kind::FLOAT)?;
        Ok(attribute.map(|attribute| attribute.f.unwrap_or_default()))
    }

    /// A tensor, if the node has it.
    pub fn tensor(&self, name: &str) -> Result<Option<HostTensor>> {
        let attribute = self.attribute(name, attribute_kind::TENSOR)?;
        attribute.map(|attribute| attribute.t.clone().unwrap_or_default().read()).transpose()
    }
}
