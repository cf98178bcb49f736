//! Dtypes of ONNX models, and those of them that compiled models have.

use lockstep_ascend_container as container;
use lockstep_graph::DType;

/// The compiled model's dtype for it.
///
/// # Errors
/// Why there is none.
pub(crate) fn compiled(dtype: DType) -> Result<container::DType, String> {
    Ok(match dtype {
        DType::F32 => container::DType::F32,
        DType::F16 => container::DType::F16,
        DType::I64 => container::DType::I64,
        DType::I32 => container::DType::I32,
        DType::Bool => container::DType::Bool,
        DType::F64 => return Err("is f64, in which the 910B's cores do not compute; export f32".to_owned()),
        DType::Bf16 => return Err("is bf16, in which atc-sim does not compute; export f32 or f16".to_owned()),
        DType::I8 | DType::U8 => {
            return Err(format!("is {dtype}, which atc-sim does not have; export i32 or i64"));
        }
    })
}

/// The dtype of the same elements on the host.
pub(crate) fn host(dtype: container::DType) -> DType {
    match dtype {
        container::DType::F32 => DType::F32,
        container::DType::F16 => DType::F16,
        container::DType::I64 => DType::I64,
        container::DType::I32 => DType::I32,
        container::DType::Bool => DType::Bool,
    }
}

/// Whether it is a float.
pub(crate) fn is_float(dtype: container::DType) -> bool {
    matches!(dtype, container::DType::F32 | container::DType::F16)
}
