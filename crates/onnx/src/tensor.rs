//! Tensors as ONNX files have them: written as raw bytes, read from those or from the typed fields. What a file says of itself
//! is held against what it holds, since files come from anywhere.

use crate::messages::TensorProto;
use crate::{Error, Result};
use lockstep_graph::tensor::{AlignedBytes, Bytes};
use lockstep_graph::{DType, HostTensor};
use prost::Message;
use std::borrow::Cow;

/// A tensor and what the file calls it.
#[derive(Clone, Debug)]
pub struct NamedTensor {
    /// Its name; empty if the file has none.
    pub name: String,
    /// Its elements.
    pub tensor: HostTensor,
}

/// `data_location` of elements that are in another file.
pub const EXTERNAL: i32 = 1;

const CODES: [(DType, i32); 9] = [
    (DType::F32, 1),
    (DType::U8, 2),
    (DType::I8, 3),
    (DType::I32, 6),
    (DType::I64, 7),
    (DType::Bool, 9),
    (DType::F16, 10),
    (DType::F64, 11),
    (DType::Bf16, 16),
];

/// ONNX's number of a dtype.
pub(crate) fn code(dtype: DType) -> i32 {
    CODES.iter().find(|(known, _)| *known == dtype).map_or(0, |(_, code)| *code)
}

/// The dtype of a number; `None` for those that we do not have.
pub fn dtype(code: i32) -> Option<DType> {
    CODES.iter().find(|(_, known)| *known == code).map(|(dtype, _)| *dtype)
}

/// A tensor as the bytes of an ONNX file (`.pb`).
pub fn tensor_bytes(name: &str, tensor: &HostTensor) -> Vec<u8> {
    to_message(name, tensor).encode_to_vec()
}

/// Reads a tensor from the bytes of an ONNX file (`.pb`).
///
/// # Errors
/// Bytes that are no tensor; elements that are in another file, of a dtype we do not have, or not as many as the shape says.
pub fn read_tensor(bytes: &[u8]) -> Result<NamedTensor> {
    let message = TensorProto::decode(bytes).map_err(|source| Error::Message { what: "tensor", source })?;
    let tensor = from_message(&message)?;
    Ok(NamedTensor { name: message.name, tensor })
}

pub(crate) fn to_message(name: &str, tensor: &HostTensor) -> TensorProto {
    TensorProto {
        dims: tensor.shape().iter().map(|&extent| extent as i64).collect(),
        data_type: code(tensor.dtype()),
        name: name.to_owned(),
        raw_data: Some(tensor.bytes().to_vec()),
        ..TensorProto::default()
    }
}

pub(crate) fn from_message(message: &TensorProto) -> Result<HostTensor> {
    let wrong = |reason: String| Error::tensor(&message.name, reason);
    if message.data_location == EXTERNAL {
        return Err(wrong("its elements are in another file, which is not read; embed them".to_owned()));
    }
    let dtype = dtype(message.data_type)
        .ok_or_else(|| wrong(format!("ONNX's data type {} is none of ours", message.data_type)))?;
    let extent = |&extent: &i64| usize::try_from(extent).ok();
    let shape: Vec<usize> = message
        .dims
        .iter()
        .map(extent)
        .collect::<Option<_>>()
        .ok_or_else(|| wrong(format!("has the extents {:?}", message.dims)))?;
    let bytes = match &message.raw_data {
        Some(raw) => Cow::Borrowed(raw.as_slice()),
        None => Cow::Owned(typed(message, dtype).map_err(wrong)?),
    };
    if dtype == DType::Bool && bytes.iter().any(|&byte| byte > 1) {
        return Err(wrong("has truth values other than 0 and 1".to_owned()));
    }
    // Checks that there are as many elements as the shape says.
    HostTensor::from_bytes(dtype, &shape, Bytes::owned(AlignedBytes::copy_of(&bytes)))
        .map_err(|error| wrong(error.to_string()))
}

/// Elements that stand in a field of their type; narrow ones stand in the field of 32-bit integers, half precision by its
/// bits.
fn typed(message: &TensorProto, dtype: DType) -> std::result::Result<Vec<u8>, String> {
    let narrow =
        |range: std::ops::RangeInclusive<i32>| match message.int32_data.iter().find(|x| !range.contains(x)) {
            Some(beyond) => Err(format!("its element {beyond} is beyond {dtype}")),
            None => {
                let bytes =
                    message.int32_data.iter().flat_map(|x| x.to_le_bytes().into_iter().take(dtype.size()));
                Ok(bytes.collect())
            }
        };
    match dtype {
        DType::F32 => Ok(message.float_data.iter().flat_map(|x| x.to_le_bytes()).collect()),
        DType::F64 => Ok(message.double_data.iter().flat_map(|x| x.to_le_bytes()).collect()),
        DType::I64 => Ok(message.int64_data.iter().flat_map(|x| x.to_le_bytes()).collect()),
        DType::I32 => narrow(i32::MIN..=i32::MAX),
        DType::F16 | DType::Bf16 => narrow(0..=i32::from(u16::MAX)),
        DType::I8 => narrow(-128..=127),
        DType::U8 | DType::Bool => narrow(0..=255),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes worked out by hand from protobuf's wire format: field number times 8 plus wire type, then the value.
    #[test]
    fn a_tensor_has_the_bytes_that_the_format_says() {
        let tensor = HostTensor::from_slice(&[2], &[1.0f32, -2.0]).unwrap();
        let expected = [
            &[0x08, 2, 0x10, 1, 0x42, 1, b'x', 0x4a, 8][..],
            &1.0f32.to_le_bytes(),
            &(-2.0f32).to_le_bytes(),
        ];
        assert_eq!(tensor_bytes("x", &tensor), expected.concat());
    }

    #[test]
    fn every_dtype_comes_back() {
        for dtype in DType::ALL {
            let tensor = HostTensor::from_f64(dtype, &[3, 1], &[1.0, 0.0, 1.0]).unwrap();
            let back = read_tensor(&tensor_bytes("t", &tensor)).unwrap();
            assert_eq!((back.name.as_str(), back.tensor.dtype()), ("t", dtype));
            assert_eq!((back.tensor.shape(), back.tensor.bytes()), (&[3, 1][..], tensor.bytes()));
        }
    }

    #[test]
    fn elements_in_typed_fields_are_read() {
        let read =
            |message: TensorProto| read_tensor(&message.encode_to_vec()).map(|read| read.tensor.to_f64());
        let of = |dtype| TensorProto { dims: vec![2], data_type: code(dtype), ..TensorProto::default() };
        let halves = TensorProto { int32_data: vec![0x3c00, 0xc000], ..of(DType::F16) };
        assert_eq!(read(halves).unwrap(), [1.0, -2.0]);
        let bytes = TensorProto { int32_data: vec![-3, 7], ..of(DType::I8) };
        assert_eq!(read(bytes).unwrap(), [-3.0, 7.0]);
        let doubles = TensorProto { double_data: vec![0.1, 0.2], ..of(DType::F64) };
        assert_eq!(read(doubles).unwrap(), [0.1, 0.2]);
    }

    #[test]
    fn tensors_that_lie_are_refused_by_name() {
        let good = to_message("w", &HostTensor::from_slice(&[2], &[1.0f32, 2.0]).unwrap());
        let refused = |message: TensorProto| read_tensor(&message.encode_to_vec()).unwrap_err().to_string();
        for (message, says) in [
            (TensorProto { dims: vec![3], ..good.clone() }, "w"),
            (TensorProto { dims: vec![-2], ..good.clone() }, "[-2]"),
            (TensorProto { dims: vec![i64::MAX, i64::MAX], ..good.clone() }, "w"),
            (TensorProto { data_type: 8, ..good.clone() }, "data type 8"),
            (TensorProto { data_location: EXTERNAL, ..good.clone() }, "another file"),
            (TensorProto { raw_data: None, ..good.clone() }, "w"),
            (
                TensorProto {
                    raw_data: None,
                    int32_data: vec![1, 300],
                    data_type: code(DType::U8),
                    ..good.clone()
                },
                "300 is beyond u8",
            ),
            (TensorProto { data_type: code(DType::Bool), dims: vec![8], ..good.clone() }, "truth values"),
        ] {
            let said = refused(message);
            assert!(said.contains(says), "{said}");
        }
        let cut = tensor_bytes("w", &HostTensor::from_slice(&[2], &[1.0f32, 2.0]).unwrap());
        assert!(read_tensor(&cut[..cut.len() - 3]).unwrap_err().to_string().contains("cut short"));
    }
}
