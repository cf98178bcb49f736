//! What a model takes and gives, as `aclmdlDesc` tells it.

use crate::offline::data_type;
use crate::offline::program::Program;
use lockstep_ascend_abi::{ACL_DYNAMIC_TENSOR_NAME, ACL_MAX_BATCH_NUM, ACL_MAX_DIM_CNT, aclDataType};
use lockstep_ascend_container::{Dynamic, Model, Port};
use std::ffi::CString;

/// Inputs, outputs and gears of a model.
pub(super) struct Description {
    /// The graph's name.
    pub(super) name: String,
    /// The graph's, then the one that chooses a gear where there is a choice.
    pub(super) inputs: Vec<Described>,
    /// The graph's.
    pub(super) outputs: Vec<Described>,
    /// How a gear is chosen.
    pub(super) dynamic: Dynamic,
    /// The gears' names, the largest last.
    pub(super) keys: Vec<Vec<i64>>,
    /// What the input that chooses a gear holds, per gear.
    pub(super) choices: Vec<Vec<i64>>,
}

/// An input or output.
pub(super) struct Described {
    pub(super) name: CString,
    pub(super) dtype: aclDataType,
    /// Extents, -1 where gears differ.
    pub(super) dims: Vec<i64>,
    /// Extents per gear.
    pub(super) by_gear: Vec<Vec<i64>>,
    /// Bytes at the largest gear.
    pub(super) bytes: usize,
}

impl Described {
    fn of(port: &Port, by_gear: Vec<Vec<i64>>, bytes: impl Iterator<Item = usize>) -> Result<Self, String> {
        if port.dims.len() > ACL_MAX_DIM_CNT {
            return Err(format!("`{}` has more than {ACL_MAX_DIM_CNT} axes", port.name));
        }
        Ok(Self {
            name: CString::new(port.name.as_str()).map_err(|_| format!("{:?} holds a NUL", port.name))?,
            dtype: data_type(port.dtype),
            dims: port.dims.clone(),
            by_gear,
            bytes: bytes.max().unwrap_or(0),
        })
    }

    /// Extents at the largest gear.
    pub(super) fn largest(&self) -> &[i64] {
        self.by_gear.last().map_or(&[], Vec::as_slice)
    }

    /// The smallest and largest extent of each axis.
    pub(super) fn ranges(&self) -> Vec<[i64; 2]> {
        let extents = |axis: usize| self.by_gear.iter().map(move |dims| dims[axis]);
        let range = |axis| [extents(axis).min().unwrap_or(0), extents(axis).max().unwrap_or(0)];
        (0..self.dims.len()).map(range).collect()
    }
}

impl Description {
    /// # Errors
    /// What of the model ACL's structs do not hold, or how a gear is misnamed.
    pub(super) fn of(model: &Model, programs: &[Program]) -> Result<Self, String> {
        let described =
            |ports: &[Port], dims: fn(&Program) -> &[Vec<i64>], bytes: fn(&Program) -> &[usize]| {
                let one = |(at, port): (usize, &Port)| {
                    let by_gear = programs.iter().map(|program| dims(program)[at].clone()).collect();
                    Described::of(port, by_gear, programs.iter().map(|program| bytes(program)[at]))
                };
                ports.iter().enumerate().map(one).collect::<Result<Vec<_>, _>>()
            };
        let mut inputs =
            described(&model.inputs, |program| &program.input_dims, |program| &program.input_bytes)?;
        let outputs =
            described(&model.outputs, |program| &program.output_dims, |program| &program.output_bytes)?;
        let choices = programs.iter().map(|program| choice(model, program)).collect::<Result<Vec<_>, _>>()?;
        if programs.len() > ACL_MAX_BATCH_NUM || (model.dynamic == Dynamic::No && programs.len() > 1) {
            return Err(format!("it has {} gears", programs.len()));
        }
        if model.dynamic != Dynamic::No && choices.iter().any(Vec::is_empty) {
            return Err("it is dynamic, and a gear chooses nothing".to_owned());
        }
        if let (true, Some(first)) = (model.dynamic != Dynamic::No, choices.first()) {
            let dims = vec![first.len() as i64];
            inputs.push(Described {
                name: ACL_DYNAMIC_TENSOR_NAME.into(),
                // Our reading: it holds a number of 64 bits for each extent that gears choose.
                dtype: aclDataType::INT64,
                by_gear: vec![dims.clone(); programs.len()],
                dims,
                bytes: size_of_val(first.as_slice()),
            });
        }
        let keys = programs.iter().map(|program| program.key.clone()).collect();
        Ok(Self { name: model.name.clone(), inputs, outputs, dynamic: model.dynamic, keys, choices })
    }

    /// The number of the input that chooses a gear.
    pub(super) fn chooser(&self) -> Option<usize> {
        (self.dynamic != Dynamic::No).then(|| self.inputs.len() - 1)
    }

    /// The gears, as a refusal lists them.
    pub(super) fn gears(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(|key| format!("{key:?}")).collect();
        keys.join(", ")
    }
}

/// The extents that a gear chooses.
fn choice(model: &Model, program: &Program) -> Result<Vec<i64>, String> {
    let all: Vec<i64> = program.input_dims.concat();
    let is_chosen: Vec<bool> =
        model.inputs.iter().flat_map(|port| port.dims.iter().map(|dim| *dim == -1)).collect();
    let (expected, chosen) = match model.dynamic {
        Dynamic::No => (Vec::new(), Vec::new()),
        Dynamic::Batch => {
            let batch = all.iter().zip(&is_chosen).find(|(_, is_chosen)| **is_chosen).map(|(dim, _)| *dim);
            (batch.into_iter().collect(), batch.into_iter().collect())
        }
        Dynamic::Dims => {
            let chosen = all.iter().zip(&is_chosen).filter(|(_, is_chosen)| **is_chosen);
            let chosen = chosen.map(|(dim, _)| *dim).collect();
            (all, chosen)
        }
    };
    if program.key != expected || program.key.len() > ACL_MAX_DIM_CNT {
        return Err(format!("a gear is called {:?}, expected {expected:?}", program.key));
    }
    Ok(chosen)
}
