//! Offline models: files of `atc-sim`, loaded, described and run through ACL's functions for an `.om`.
//!
//! A model's steps are run by the very kernels of `ops`, so that the settings of numerics hold for them too. What the
//! graph engine does differently from the single operators is in `lower`. Its error codes are documented by name only;
//! which of them a mistake gets is our reading, said where it is chosen. `aclmdlInitDump` and its two companions are not
//! exported: a caller finds dumps absent instead of empty.

mod binding;
mod config;
mod dataset;
mod describe;
mod description;
mod execute;
mod gears;
mod load;
mod lower;
mod memory;
mod model;
mod program;
mod run;
mod tensor_desc;
mod turns;

use lockstep_ascend_abi::aclDataType;
use lockstep_ascend_container::DType;

/// ACL's name of a container's type.
fn data_type(dtype: DType) -> aclDataType {
    match dtype {
        DType::F32 => aclDataType::FLOAT,
        DType::F16 => aclDataType::FLOAT16,
        DType::I64 => aclDataType::INT64,
        DType::I32 => aclDataType::INT32,
        DType::Bool => aclDataType::BOOL,
    }
}

/// What was not given back, one line each.
pub(crate) fn leaks() -> Vec<String> {
    [model::leaks(), describe::leaks(), dataset::leaks(), tensor_desc::leaks(), config::leaks()].concat()
}

/// How many live ones there are, by the report's names.
pub(crate) fn counts() -> [(&'static str, usize); 6] {
    [
        ("offline_models", model::count()),
        ("model_descs", describe::DESCS.count()),
        ("datasets", dataset::DATASETS.count()),
        ("data_buffers", dataset::BUFFERS.count()),
        ("tensor_descs", tensor_desc::TENSOR_DESCS.count()),
        ("model_configs", config::count()),
    ]
}
