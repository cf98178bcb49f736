//! The messages of ONNX files, as far as we read and write them; what they have beside these fields is passed over.
//!
//! Derived here instead of generated from `onnx.proto`, which would take a protobuf compiler to build. Fields whose presence
//! has a meaning are optional: ONNX's checker wants an attribute of 0 to be there, and an operator's domain to be named,
//! even where it is the empty one.
//!
//! Public for whoever reads models that are no graphs of ours, as the stand-in for Huawei's compiler does. Nothing here is
//! checked: what a file says of itself may be wrong.

pub use crate::tensor::{EXTERNAL, dtype as dtype_of};
use crate::tensor::{from_message, to_message};
use crate::{Error, Result};
use lockstep_graph::HostTensor;
use prost::Message;

/// A file with a model.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// The version of the file format.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// What wrote the file.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// The version of that.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// What is computed.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// The domains that nodes are of.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Bodies of nodes.
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<FunctionProto>,
}

impl ModelProto {
    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`Error::Message`] for bytes that are no model.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        ModelProto::decode(bytes).map_err(|source| Error::Message { what: "model", source })
    }

    /// The bytes of a file.
    pub fn bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

/// A domain and the version of its operators.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    /// Its name; ONNX's own is empty.
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    /// The version of its operators.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

impl OperatorSetIdProto {
    /// A version of a domain.
    pub fn new(domain: &str, version: i64) -> Self {
        Self { domain: Some(domain.to_owned()), version }
    }
}

/// Nodes in topological order.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// What is computed, in order.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Constants, by their names.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// What is fed; in old files initializers, too.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// What is given.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
}

/// One node.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// The names of what it reads; empty for an optional one that is left out.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// The names of what it gives.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Its own name; it may have none.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// The operator's settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// The operator's domain.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// An attribute; `kind` says which of the values it has.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A float.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// A whole number.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// A text.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    /// A tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// Whole numbers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Which of them it has, one of [`attribute_kind`].
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

/// The values of [`AttributeProto::kind`].
pub mod attribute_kind {
    /// [`f`](super::AttributeProto::f).
    pub const FLOAT: i32 = 1;
    /// [`i`](super::AttributeProto::i).
    pub const INT: i32 = 2;
    /// [`s`](super::AttributeProto::s).
    pub const STRING: i32 = 3;
    /// [`t`](super::AttributeProto::t).
    pub const TENSOR: i32 = 4;
    /// [`ints`](super::AttributeProto::ints).
    pub const INTS: i32 = 7;
}

/// A node's body, by name.
#[derive(Clone, PartialEq, Message)]
pub struct FunctionProto {
    /// The operator that it is the body of.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The names of what it reads.
    #[prost(string, repeated, tag = "4")]
    pub input: Vec<String>,
    /// The names of what it gives.
    #[prost(string, repeated, tag = "5")]
    pub output: Vec<String>,
    /// The names of its settings.
    #[prost(string, repeated, tag = "6")]
    pub attribute: Vec<String>,
    /// What is computed, in order.
    #[prost(message, repeated, tag = "7")]
    pub node: Vec<NodeProto>,
    /// The domains that its nodes are of.
    #[prost(message, repeated, tag = "9")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// The operator's domain.
    #[prost(string, tag = "10")]
    pub domain: String,
}

/// A name and its type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The type.
    #[prost(message, optional, tag = "2")]
    pub ty: Option<TypeProto>,
}

/// A type; other than tensors are not read.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// That of a tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// The type of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeProto {
    /// ONNX's number of the dtype.
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// The extents, if they are said.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// Extents.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// One for each axis.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// An extent: a number, or a name.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    /// The number.
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    /// The name.
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}

/// A tensor with its elements.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// The extents.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// ONNX's number of the dtype.
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Elements of f32.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements of every dtype that is narrower than 64 bits and not f32.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Elements of i64.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Its name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Elements of any dtype, little-endian and row-major; instead of the typed ones.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    /// Elements of f64.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Where its elements are, if elsewhere.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<EntryProto>,
    /// 1 if its elements are in another file.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

impl TensorProto {
    /// The elements, whether they stand as raw bytes or in a field of their type.
    ///
    /// # Errors
    /// [`Error::Tensor`] for elements that are in another file, of a dtype we do not have, or not as many as the shape says.
    pub fn read(&self) -> Result<HostTensor> {
        from_message(self)
    }

    /// A tensor with its elements as raw bytes.
    pub fn of(name: &str, tensor: &HostTensor) -> Self {
        to_message(name, tensor)
    }
}

/// A key and its value: of a tensor in another file, `location`, `offset` and `length`.
#[derive(Clone, PartialEq, Message)]
pub struct EntryProto {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes worked out by hand from `onnx.proto`'s field numbers: number times 8 plus wire type, then length or value.
    #[test]
    fn messages_have_the_bytes_that_the_format_says() {
        let node = NodeProto {
            input: vec!["a".into(), "b".into()],
            output: vec!["c".into()],
            name: "n".into(),
            op_type: "Cat".into(),
            attribute: vec![AttributeProto { name: "x".into(), i: Some(0), kind: 2, ..Default::default() }],
            domain: "d".into(),
        };
        let attribute = [0x0a, 1, b'x', 0x18, 0, 0xa0, 0x01, 2];
        let parts: [&[u8]; 8] = [
            &[0x0a, 1, b'a'],
            &[0x0a, 1, b'b'],
            &[0x12, 1, b'c'],
            &[0x1a, 1, b'n'],
            &[0x22, 3, b'C', b'a', b't'],
            &[0x2a, 8],
            &attribute,
            &[0x3a, 1, b'd'],
        ];
        assert_eq!(node.encode_to_vec(), parts.concat());
        assert_eq!(OperatorSetIdProto::new("", 18).encode_to_vec(), [0x0a, 0, 0x10, 18]);
        let extent = DimensionProto { dim_value: Some(300), dim_param: None };
        assert_eq!(extent.encode_to_vec(), [0x08, 0xac, 0x02]);
    }
}
