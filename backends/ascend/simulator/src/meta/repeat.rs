//! Executors that run more than once, and the addresses that they use.

use crate::exports::exports;
use crate::meta::executor::{EXECUTORS, Executor, Role};
use crate::meta::tensor::{self, listed};
use crate::runtime::errors::Failure;
use crate::runtime::lock;
use core::ffi::c_void;
use lockstep_ascend_abi::{aclOpExecutor, aclTensor, aclTensorList};
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn live(executor: *mut aclOpExecutor) -> Result<Arc<Executor>, Failure> {
    if executor.is_null() {
        return Err(Failure::new(561_103, "parameter executor is NULL"));
    }
    EXECUTORS.get(executor).ok_or_else(|| Failure::new(561_103, "executor is not one that is alive"))
}

/// Which tensors an index counts.
#[derive(Clone, Copy)]
enum Counted {
    Inputs,
    Outputs,
    All,
}

impl Counted {
    fn has(self, role: Role) -> bool {
        match self {
            Self::Inputs => role != Role::Output,
            Self::Outputs => role != Role::Input,
            Self::All => true,
        }
    }
}

/// Points a tensor elsewhere: the tensors of the `index`th parameter of its kind, of which the `relative`th,
/// 0 where the parameter is no list.
fn set_address(
    executor: *mut aclOpExecutor,
    counted: Counted,
    index: usize,
    relative: usize,
    tensor: *const aclTensor,
    address: *mut c_void,
) -> Result<(), Failure> {
    let executor = live(executor)?;
    if tensor.is_null() {
        return Err(Failure::new(561_103, "parameter tensor is NULL"));
    }
    if !executor.is_repeatable.load(Ordering::Relaxed) {
        return Err(Failure::new(161_002, "the executor is not repeatable"));
    }
    let mut operands = lock(&executor.operands);
    let mut parameters: Vec<usize> =
        operands.iter().filter(|bound| counted.has(bound.role)).map(|bound| bound.parameter).collect();
    parameters.dedup();
    let wanted = parameters.get(index).copied();
    let mut of_parameter = operands.iter_mut().filter(|bound| Some(bound.parameter) == wanted);
    let description = of_parameter.nth(relative).and_then(|bound| bound.description.as_mut());
    let description = description.ok_or_else(|| {
        Failure::new(161_002, format!("index {index} ({relative}) is out of range, or was null in phase 1"))
    })?;
    tensor::set_address(tensor, address.addr())?;
    description.address = address.addr();
    Ok(())
}

/// As [`set_address`], of a list's tensor.
fn set_listed_address(
    executor: *mut aclOpExecutor,
    counted: Counted,
    index: usize,
    relative: usize,
    tensors: *const aclTensorList,
    address: *mut c_void,
) -> Result<(), Failure> {
    if tensors.is_null() {
        return Err(Failure::new(561_103, "parameter tensors is NULL"));
    }
    let listed =
        listed(tensors).ok_or_else(|| Failure::new(561_103, "tensors is not a list that is alive"))?;
    let tensor = listed.get(relative).copied();
    let tensor = tensor.ok_or_else(|| Failure::new(161_002, format!("the list has no tensor {relative}")))?;
    set_address(executor, counted, index, relative, tensor, address)
}

exports! { meta;
    fn aclSetAclOpExecutorRepeatable(executor: *mut aclOpExecutor) {
        live(executor)?.is_repeatable.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn aclDestroyAclOpExecutor(executor: *mut aclOpExecutor) {
        live(executor)?;
        EXECUTORS.remove(executor);
        Ok(())
    }
}

/// Both spellings of the functions that set an address.
macro_rules! address_setters {
    ($($one:ident $old_one:ident, $listed:ident $old_listed:ident: $counted:ident;)*) => {$(
        address_setters! { @one $one, $counted }
        address_setters! { @one $old_one, $counted }
        address_setters! { @listed $listed, $counted }
        address_setters! { @listed $old_listed, $counted }
    )*};
    (@one $name:ident, $counted:ident) => {
        exports! { meta;
            fn $name(
                executor: *mut aclOpExecutor, index: usize, tensor: *mut aclTensor, addr: *mut c_void,
            ) {
                set_address(executor, Counted::$counted, index, 0, tensor, addr)
            }
        }
    };
    (@listed $name:ident, $counted:ident) => {
        exports! { meta;
            fn $name(
                executor: *mut aclOpExecutor, ir_index: usize, relative_index: usize,
                tensors: *mut aclTensorList, addr: *mut c_void,
            ) {
                set_listed_address(executor, Counted::$counted, ir_index, relative_index, tensors, addr)
            }
        }
    };
}

address_setters! {
    aclSetInputTensorAddr AclSetInputTensorAddr,
        aclSetDynamicInputTensorAddr AclSetDynamicInputTensorAddr: Inputs;
    aclSetOutputTensorAddr AclSetOutputTensorAddr,
        aclSetDynamicOutputTensorAddr AclSetDynamicOutputTensorAddr: Outputs;
    aclSetTensorAddr AclSetTensorAddr, aclSetDynamicTensorAddr AclSetDynamicTensorAddr: All;
}
