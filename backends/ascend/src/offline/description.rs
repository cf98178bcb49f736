//! What a loaded model says of itself.

use crate::calls::{Calls, call};
use lockstep_ascend_abi::{ACL_DYNAMIC_TENSOR_NAME, aclDataType, aclmdlBatch, aclmdlDesc, aclmdlIODims};
use lockstep_hal::graph::DType;
use lockstep_hal::graph::tensor::element_count;
use lockstep_hal::{CompiledModel, CompiledPort, Error, Gear, Result};
use std::ffi::{CStr, c_char};

/// What is done, in errors.
const DESCRIBING: &str = "the model's description";
/// The index of gears, which is reserved: -1.
const RESERVED_INDEX: usize = usize::MAX;
/// More gears than ATC takes are none.
const MOST_GEARS: usize = 128;

/// Which of the two calls chooses a gear.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    /// There is one gear.
    None,
    /// The batch of each gear, by `aclmdlSetDynamicBatchSize`.
    Batch(Vec<u64>),
    /// The dims of each gear, by `aclmdlSetInputDynamicDims`.
    Dims(Vec<aclmdlIODims>),
}

/// The model's ports and gears, and how much memory its ports take at the largest.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) model: CompiledModel,
    /// Bytes of all inputs, that which chooses the gear included.
    pub(crate) input_bytes: Vec<usize>,
    pub(crate) output_bytes: Vec<usize>,
    pub(crate) choice: Choice,
    /// The input that chooses the gear.
    pub(crate) chooser: Option<usize>,
}

/// A description as the library holds it; its owner destroys it.
#[derive(Debug)]
pub(crate) struct Handle(pub(crate) *mut aclmdlDesc);

impl Handle {
    /// Of a loaded model.
    pub(crate) fn new(calls: &Calls, model_id: u32) -> Result<Self> {
        let Some(create) = calls.functions.model.aclmdlCreateDesc else {
            return Err(calls.absent(DESCRIBING, "aclmdlCreateDesc"));
        };
        // SAFETY: it takes nothing.
        let handle = Self(unsafe { create() });
        if handle.0.is_null() {
            return Err(calls.gave_nothing(DESCRIBING, "aclmdlCreateDesc"));
        }
        // SAFETY: made just now; the model is loaded.
        if let Err(error) = call!(calls, DESCRIBING, model.aclmdlGetDesc(handle.0, model_id)) {
            handle.destroy(calls);
            return Err(error);
        }
        Ok(handle)
    }

    /// Gives it back.
    pub(crate) fn destroy(&self, calls: &Calls) {
        // SAFETY: made by `new`, destroyed once, by its owner.
        if let Err(error) = call!(calls, DESCRIBING, model.aclmdlDestroyDesc(self.0)) {
            tracing::warn!("{error}");
        }
    }
}

/// Calls a function of the description that gives a value and no code; what it gives in place of an error is an empty one, which
/// is refused where it is looked at.
macro_rules! ask {
    ($calls:expr, $name:ident($($argument:expr),*)) => {
        match $calls.functions.model.$name {
            // SAFETY: the description is alive, and indices are of what it said to have.
            Some(function) => unsafe { function($($argument),*) },
            None => return Err($calls.absent(DESCRIBING, stringify!($name))),
        }
    };
}

impl Description {
    /// Reads a description.
    ///
    /// # Errors
    /// What the library says, and [`Error::CompiledModel`] for a model that is not run here: of another dtype, or with extents that are
    /// neither fixed nor of gears.
    pub(crate) fn read(calls: &Calls, handle: &Handle, file: &str) -> Result<Self> {
        let desc = handle.0;
        let (all_inputs, outputs) =
            (ask!(calls, aclmdlGetNumInputs(desc)), ask!(calls, aclmdlGetNumOutputs(desc)));
        let mut ports = Vec::new();
        let (mut input_bytes, mut chooser) = (Vec::new(), None);
        for index in 0..all_inputs {
            let name = text(ask!(calls, aclmdlGetInputNameByIndex(desc, index)));
            let name = name.ok_or_else(|| calls.gave_nothing(DESCRIBING, "aclmdlGetInputNameByIndex"))?;
            input_bytes.push(ask!(calls, aclmdlGetInputSizeByIndex(desc, index)));
            if name.as_bytes() == ACL_DYNAMIC_TENSOR_NAME.to_bytes() {
                chooser = Some(index);
                continue;
            }
            let dtype = ask!(calls, aclmdlGetInputDataType(desc, index));
            let mut dims = no_dims();
            // SAFETY: the description is alive; writes a local.
            call!(calls, DESCRIBING, model.aclmdlGetInputDims(desc, index, &mut dims))?;
            ports.push((port(file, name, dtype)?, listed(&dims)));
        }
        // The gears' extents are given by the position among the others.
        if chooser.is_some_and(|chooser| chooser + 1 != all_inputs) {
            return Err(Error::compiled_model(file, "its input that chooses extents is not the last"));
        }
        let (mut given, mut output_bytes) = (Vec::new(), Vec::new());
        for index in 0..outputs {
            let name = text(ask!(calls, aclmdlGetOutputNameByIndex(desc, index)));
            let name = name.ok_or_else(|| calls.gave_nothing(DESCRIBING, "aclmdlGetOutputNameByIndex"))?;
            let dtype = ask!(calls, aclmdlGetOutputDataType(desc, index));
            given.push(port(file, output_name(&name), dtype)?);
            output_bytes.push(ask!(calls, aclmdlGetOutputSizeByIndex(desc, index)));
        }
        let choice = if chooser.is_some() { read_choice(calls, desc, file)? } else { Choice::None };
        let dims: Vec<&[i64]> = ports.iter().map(|(_, dims)| dims.as_slice()).collect();
        let gears = gears(file, &dims, &choice)?;
        let inputs: Vec<CompiledPort> = ports.into_iter().map(|(port, _)| port).collect();
        for (at, port) in inputs.iter().enumerate() {
            let largest = gears.iter().map(|gear| element_count(&gear.inputs[at])).max().unwrap_or(0);
            if largest * port.dtype.size() > input_bytes[at] {
                let said = format!(
                    "input `{}` has {} bytes, less than its largest gear",
                    port.name, input_bytes[at]
                );
                return Err(Error::compiled_model(file, said));
            }
        }
        let model = CompiledModel { file: file.to_owned(), inputs, outputs: given, gears };
        Ok(Self { model, input_bytes, output_bytes, choice, chooser })
    }
}

/// A name; `None` for none.
fn text(name: *const c_char) -> Option<String> {
    if name.is_null() {
        return None;
    }
    // SAFETY: a string of the library's that lives as long as the description.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    Some(name).filter(|name| !name.is_empty())
}

/// The graph's name of an output, which ATC may put behind its node's and a number: `Add_7:0:logits`.
fn output_name(name: &str) -> String {
    name.rsplit(':').next().unwrap_or(name).to_owned()
}

fn no_dims() -> aclmdlIODims {
    // SAFETY: plain numbers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

fn listed(dims: &aclmdlIODims) -> Vec<i64> {
    dims.dims[..dims.dim_count.min(dims.dims.len())].to_vec()
}

fn port(file: &str, name: String, dtype: aclDataType) -> Result<CompiledPort> {
    let known = match dtype {
        aclDataType::DOUBLE => DType::F64,
        aclDataType::FLOAT => DType::F32,
        aclDataType::FLOAT16 => DType::F16,
        aclDataType::BF16 => DType::Bf16,
        aclDataType::INT64 => DType::I64,
        aclDataType::INT32 => DType::I32,
        aclDataType::INT8 => DType::I8,
        aclDataType::UINT8 => DType::U8,
        aclDataType::BOOL => DType::Bool,
        other => {
            return Err(Error::compiled_model(
                file,
                format!("`{name}` is of {other:?}, which no graph here has"),
            ));
        }
    };
    Ok(CompiledPort { name, dtype: known })
}

fn read_choice(calls: &Calls, desc: *mut aclmdlDesc, file: &str) -> Result<Choice> {
    // SAFETY: plain numbers, for which zero is a value.
    let mut batch: aclmdlBatch = unsafe { std::mem::zeroed() };
    // SAFETY (of the calls here): the description is alive; they write locals, of as many places as they are told.
    call!(calls, DESCRIBING, model.aclmdlGetDynamicBatch(desc, &mut batch))?;
    if batch.batch_count > 0 {
        return Ok(Choice::Batch(batch.batch[..batch.batch_count.min(batch.batch.len())].to_vec()));
    }
    let mut count = 0;
    call!(calls, DESCRIBING, model.aclmdlGetInputDynamicGearCount(desc, RESERVED_INDEX, &mut count))?;
    if count > 0 {
        let mut dims = vec![no_dims(); count.min(MOST_GEARS)];
        let (at, count) = (dims.as_mut_ptr(), dims.len());
        call!(calls, DESCRIBING, model.aclmdlGetInputDynamicDims(desc, RESERVED_INDEX, at, count))?;
        return Ok(Choice::Dims(dims));
    }
    let reason = "it was compiled for image sizes; compile it with --dynamic_batch_size or --dynamic_dims";
    Err(Error::compiled_model(file, reason))
}

/// The extents of every input at every gear; `dims` are the inputs' own, -1 where a gear chooses.
fn gears(file: &str, dims: &[&[i64]], choice: &Choice) -> Result<Vec<Gear>> {
    let unusable = |what: String| Error::compiled_model(file, what);
    // An extent for each of the inputs', which fits what the input itself says, and none left over.
    let gear = |values: &[i64]| {
        let mut values = values.iter().copied();
        let inputs = dims.iter().map(|dims| {
            let extents = dims.iter().map(|&own| {
                let value = values.next().filter(|&value| own == -1 || own == value)?;
                usize::try_from(value).ok()
            });
            extents.collect::<Option<Vec<usize>>>()
        });
        let inputs = inputs.collect::<Option<Vec<_>>>()?;
        values.next().is_none().then_some(Gear { inputs })
    };
    let at_batch = |batch: i64| {
        dims.iter().flat_map(move |dims| dims.iter().map(move |&dim| if dim == -1 { batch } else { dim }))
    };
    let gears: Option<Vec<Gear>> = match choice {
        Choice::None => gear(&dims.concat()).map(|gear| vec![gear]),
        Choice::Batch(batches) => {
            batches.iter().map(|&batch| gear(&at_batch(batch as i64).collect::<Vec<_>>())).collect()
        }
        Choice::Dims(all) => all.iter().map(|dims| gear(&listed(dims))).collect(),
    };
    gears.filter(|gears| !gears.is_empty()).ok_or_else(|| {
        unusable(format!(
            "its inputs' extents {dims:?} are not fixed; compile it for gears, or for fixed extents"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gears_fill_in_what_is_open() {
        let dims: [&[i64]; 2] = [&[-1, 128], &[-1]];
        let found = gears("m", &dims, &Choice::Batch(vec![1, 8])).unwrap();
        assert_eq!(found[1].inputs, [vec![8, 128], vec![8]]);
        let mut all = no_dims();
        all.dim_count = 3;
        all.dims[..3].copy_from_slice(&[4, 64, 4]);
        let found = gears("m", &[&[-1, -1], &[-1]], &Choice::Dims(vec![all])).unwrap();
        assert_eq!(found[0].inputs, [vec![4, 64], vec![4]]);
        assert_eq!(gears("m", &[&[2, 3]], &Choice::None).unwrap()[0].inputs, [vec![2, 3]]);
    }

    #[test]
    fn extents_that_nothing_chooses_are_refused() {
        let said = gears("m.om", &[&[-1, 3]], &Choice::None).unwrap_err().to_string();
        assert!(said.contains("m.om") && said.contains("not fixed"), "{said}");
        assert!(gears("m", &[&[-1, -1]], &Choice::Dims(vec![no_dims()])).is_err());
        // Extents of another input, or more than there are.
        let mut all = no_dims();
        all.dim_count = 2;
        all.dims[..2].copy_from_slice(&[4, 64]);
        assert!(gears("m", &[&[-1, 32]], &Choice::Dims(vec![all])).is_err());
        assert!(gears("m", &[&[-1]], &Choice::Dims(vec![all])).is_err());
    }

    #[test]
    fn an_output_is_called_as_in_the_graph() {
        assert_eq!(output_name("Add_7:0:logits"), "logits");
        assert_eq!(output_name("logits"), "logits");
    }

    #[test]
    fn dtypes_that_graphs_lack_are_refused_by_name() {
        let said = port("m.om", "image".to_owned(), aclDataType::UINT16).unwrap_err().to_string();
        assert!(said.contains("`image`") && said.contains("UINT16"), "{said}");
    }
}
