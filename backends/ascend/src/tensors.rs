//! Arguments of operators as the libraries hold them; each is given back when it is dropped, on the device's own thread.

use crate::calls::{Calls, call};
use crate::launch::{Scalar, View};
use lockstep_ascend_abi::{aclDataType, aclFormat, aclIntArray, aclScalar, aclTensor, aclTensorList};
use lockstep_hal::Result;
use lockstep_hal::graph::DType;
use std::ffi::c_void;

/// The dtype's number in the libraries.
pub(crate) fn data_type(dtype: DType) -> aclDataType {
    match dtype {
        DType::F64 => aclDataType::DOUBLE,
        DType::F32 => aclDataType::FLOAT,
        DType::F16 => aclDataType::FLOAT16,
        DType::Bf16 => aclDataType::BF16,
        DType::I64 => aclDataType::INT64,
        DType::I32 => aclDataType::INT32,
        DType::I8 => aclDataType::INT8,
        DType::U8 => aclDataType::UINT8,
        DType::Bool => aclDataType::BOOL,
    }
}

fn signed(values: &[usize]) -> Vec<i64> {
    values.iter().map(|&value| value as i64).collect()
}

/// What an operator was given, to be kept as long as its executor.
#[derive(Debug)]
pub(crate) enum Argument {
    Tensor(*const aclTensor),
    Scalar(*const aclScalar),
    Array(*const aclIntArray),
    /// It owns its tensors.
    List(*const aclTensorList),
}

/// The arguments of one operator.
pub(crate) struct Arguments<'a> {
    calls: &'a Calls,
    node: &'a str,
    kept: Vec<Argument>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(calls: &'a Calls, node: &'a str) -> Self {
        Self { calls, node, kept: Vec::new() }
    }

    /// Hands them to whoever keeps them.
    pub(crate) fn into_kept(mut self) -> Vec<Argument> {
        std::mem::take(&mut self.kept)
    }

    fn created<T>(
        &mut self,
        call: &str,
        made: *mut T,
        keep: impl FnOnce(*const T) -> Argument,
    ) -> Result<*mut T> {
        if made.is_null() {
            return Err(self.calls.gave_nothing(self.node, call));
        }
        self.kept.push(keep(made));
        Ok(made)
    }

    fn make_tensor(&self, view: &View<u64>) -> Result<*mut aclTensor> {
        let (dims, strides) = (signed(&view.dims), signed(&view.strides));
        let storage = [view.storage as i64];
        let Some(create) = self.calls.functions.meta.aclCreateTensor else {
            return Err(self.calls.absent(self.node, "aclCreateTensor"));
        };
        // SAFETY: the arrays live through the call, which copies them; the address is of device memory of the program's.
        let made = unsafe {
            create(
                dims.as_ptr(),
                dims.len() as u64,
                data_type(view.dtype),
                strides.as_ptr(),
                view.offset as i64,
                aclFormat::ND,
                storage.as_ptr(),
                1,
                view.place as *mut c_void,
            )
        };
        if made.is_null() { Err(self.calls.gave_nothing(self.node, "aclCreateTensor")) } else { Ok(made) }
    }

    /// A tensor over device memory.
    pub(crate) fn tensor(&mut self, view: &View<u64>) -> Result<*mut aclTensor> {
        let made = self.make_tensor(view)?;
        self.created("aclCreateTensor", made, Argument::Tensor)
    }

    /// A list of tensors.
    pub(crate) fn list(&mut self, views: &[View<u64>]) -> Result<*mut aclTensorList> {
        let mut tensors: Vec<*const aclTensor> = Vec::new();
        let made = views.iter().try_for_each(|view| {
            tensors.push(self.make_tensor(view)?);
            Ok(())
        });
        let list = made.and_then(|()| match self.calls.functions.meta.aclCreateTensorList {
            // SAFETY: the array lives through the call, which copies it; the list owns the tensors from now on.
            Some(create) => Ok(unsafe { create(tensors.as_ptr(), tensors.len() as u64) }),
            None => Err(self.calls.absent(self.node, "aclCreateTensorList")),
        });
        match list {
            Ok(list) if !list.is_null() => self.created("aclCreateTensorList", list, Argument::List),
            other => {
                self.kept.extend(tensors.into_iter().map(Argument::Tensor));
                other.and_then(|_| Err(self.calls.gave_nothing(self.node, "aclCreateTensorList")))
            }
        }
    }

    /// A value of the host's, which is copied.
    pub(crate) fn scalar(&mut self, value: Scalar) -> Result<*mut aclScalar> {
        let Some(create) = self.calls.functions.meta.aclCreateScalar else {
            return Err(self.calls.absent(self.node, "aclCreateScalar"));
        };
        // SAFETY: the value lives through the call, which copies as many bytes as the dtype has.
        let made = unsafe {
            match value {
                Scalar::F32(mut value) => create((&raw mut value).cast(), aclDataType::FLOAT),
                Scalar::I64(mut value) => create((&raw mut value).cast(), aclDataType::INT64),
                Scalar::Bool(mut value) => create((&raw mut value).cast(), aclDataType::BOOL),
            }
        };
        self.created("aclCreateScalar", made, Argument::Scalar)
    }

    /// An array of numbers, which is copied.
    pub(crate) fn array(&mut self, values: &[usize]) -> Result<*mut aclIntArray> {
        let Some(create) = self.calls.functions.meta.aclCreateIntArray else {
            return Err(self.calls.absent(self.node, "aclCreateIntArray"));
        };
        let values = signed(values);
        // SAFETY: the values live through the call.
        let made = unsafe { create(values.as_ptr(), values.len() as u64) };
        self.created("aclCreateIntArray", made, Argument::Array)
    }
}

impl Drop for Arguments<'_> {
    fn drop(&mut self) {
        destroy(self.calls, &self.kept);
    }
}

/// Gives arguments back.
pub(crate) fn destroy(calls: &Calls, arguments: &[Argument]) {
    for argument in arguments {
        // SAFETY: made by `Arguments`, and destroyed once, by whoever keeps them last.
        let destroyed = match *argument {
            Argument::Tensor(tensor) => call!(calls, "arguments", meta.aclDestroyTensor(tensor)),
            Argument::Scalar(scalar) => call!(calls, "arguments", meta.aclDestroyScalar(scalar)),
            Argument::Array(array) => call!(calls, "arguments", meta.aclDestroyIntArray(array)),
            Argument::List(list) => call!(calls, "arguments", meta.aclDestroyTensorList(list)),
        };
        if let Err(error) = destroyed {
            tracing::warn!("{error}");
        }
    }
}
