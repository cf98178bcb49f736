//! The two phases of an operator: [`prepare`] checks and plans, [`execute`] submits what was planned.

use crate::meta::tensor::{self, Description};
use crate::numerics::Settings;
use crate::registry::{Registry, as_pointer};
use crate::runtime::errors::{Failure, call};
use crate::runtime::lock;
use crate::view::{View, element_size};
use core::ffi::c_void;
use core::ops::Index;
use lockstep_ascend_abi::{
    aclDataType, aclFormat, aclOpExecutor, aclTensor, aclTensorList, aclnnStatus, aclrtStream,
};
use std::sync::{Arc, Mutex};

/// A tensor parameter of phase 1.
#[derive(Clone, Copy)]
pub(crate) struct Operand {
    name: &'static str,
    role: Role,
    tensor: Tensor,
    is_optional: bool,
}

/// What the operator does with it; for `aclSetInputTensorAddr` and `aclSetOutputTensorAddr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reads it.
    Input,
    /// Writes it.
    Output,
    /// Reads and writes it.
    Both,
}

#[derive(Clone, Copy)]
enum Tensor {
    One(*const aclTensor),
    List(*const aclTensorList),
}

impl Operand {
    /// An input that may not be null.
    pub(crate) fn input(tensor: *const aclTensor, name: &'static str) -> Self {
        Self { name, role: Role::Input, tensor: Tensor::One(tensor), is_optional: false }
    }

    /// An input that may be null.
    pub(crate) fn optional(tensor: *const aclTensor, name: &'static str) -> Self {
        Self { is_optional: true, ..Self::input(tensor, name) }
    }

    /// An output that may not be null.
    pub(crate) fn output(tensor: *const aclTensor, name: &'static str) -> Self {
        Self { role: Role::Output, ..Self::input(tensor, name) }
    }

    /// An output that may be null.
    pub(crate) fn optional_output(tensor: *const aclTensor, name: &'static str) -> Self {
        Self { is_optional: true, ..Self::output(tensor, name) }
    }

    /// What an in-place operator reads and writes.
    pub(crate) fn both(tensor: *const aclTensor, name: &'static str) -> Self {
        Self { role: Role::Both, ..Self::input(tensor, name) }
    }

    /// A list of inputs; counts as as many operands as it holds tensors.
    pub(crate) fn list(tensors: *const aclTensorList, name: &'static str) -> Self {
        Self { name, role: Role::Input, tensor: Tensor::List(tensors), is_optional: false }
    }
}

/// A tensor as phase 1 found it.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// The parameter's name in C.
    pub name: &'static str,
    /// Element type.
    pub dtype: aclDataType,
    /// The view's extents.
    pub dims: Vec<i64>,
    /// The view's strides, in elements.
    pub strides: Vec<i64>,
    /// The storage's layout.
    pub format: aclFormat,
    /// The storage's extents.
    pub storage_dims: Vec<i64>,
}

impl Described {
    /// Elements of the view.
    pub(crate) fn count(&self) -> usize {
        self.dims.iter().map(|dim| *dim as usize).product()
    }
}

/// The operands in order, a list as several; indexing gives those that may not be null.
pub(crate) struct Tensors(Vec<Option<Described>>);

impl Tensors {
    /// The operand at `index`, unless it is null.
    pub(crate) fn optional(&self, index: usize) -> Option<&Described> {
        self.0.get(index)?.as_ref()
    }

    /// How many operands there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Index<usize> for Tensors {
    type Output = Described;

    /// An operand that may not be null; [`prepare`] has seen that it is there.
    fn index(&self, index: usize) -> &Described {
        self.0[index].as_ref().expect("prepare refuses null where it is not optional")
    }
}

/// Why phase 1 refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// An `aclnnStatus`.
    pub status: aclnnStatus,
    /// The parameter, what it is and what was expected.
    pub text: String,
}

impl Refusal {
    /// Of a status and its text.
    pub(crate) fn new(status: aclnnStatus, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// 161001: the parameter `name` is null.
    pub(crate) fn null(name: &str) -> Self {
        Self::new(161_001, format!("parameter {name} is NULL"))
    }

    /// 161002: dtype, shape, format or attribute.
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(161_002, text)
    }
}

/// What phase 2 will do.
pub(crate) struct Planned {
    /// Bytes of device memory that the kernel wants beside its operands.
    pub workspace: u64,
    /// Runs on the stream's thread.
    pub kernel: Kernel,
}

/// Computes an operator's outputs.
pub(crate) type Kernel = Box<dyn Fn(&Launch<'_>) -> Result<(), Fault> + Send + Sync>;

/// What a kernel is run with.
pub(crate) struct Launch<'a> {
    /// The operands in order, `None` for null ones. Their memory is allocated and large enough.
    pub views: &'a [Option<View>],
    /// Address and bytes, at least as many as planned.
    pub workspace: (*mut u8, u64),
    /// Numerics; `overflow` as the stream was created with.
    pub settings: &'a Settings,
    /// Whether `ACL_OPT_DETERMINISTIC` was on when phase 2 was called.
    pub is_deterministic: bool,
    /// Counts this process's launches, from 1.
    pub launch_number: u64,
}

impl Launch<'_> {
    /// An operand that may not be null.
    pub(crate) fn view(&self, index: usize) -> &View {
        self.views[index].as_ref().expect("prepare refuses null where it is not optional")
    }
}

/// What went wrong on the device; the next synchronisation tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// An `aclError`: 507015 of an AI core, 507035 of a vector core.
    pub code: i32,
    /// What happened.
    pub text: String,
}

impl Fault {
    /// Of a code and its text.
    pub(crate) fn new(code: i32, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

struct Executor {
    op: &'static str,
    operands: Vec<(Role, Option<Description>)>,
    workspace: u64,
    kernel: Arc<Kernel>,
    is_repeatable: Mutex<bool>,
}

static EXECUTORS: Registry<Executor> = Registry::new(8);

/// Phase 1, the export `symbol`: looks at the operands, asks `plan`, and makes an executor for the phase 2
/// whose name `symbol` starts with. Panics in `plan` become 561000.
pub(crate) fn prepare(
    symbol: &'static str,
    operands: &[Operand],
    workspace_size: *mut u64,
    executor: *mut *mut aclOpExecutor,
    plan: impl FnOnce(&Tensors) -> Result<Planned, Refusal>,
) -> aclnnStatus {
    let op = symbol.strip_suffix("GetWorkspaceSize").unwrap_or(symbol);
    let outcome = call(symbol, || {
        let mut described = Vec::new();
        for operand in operands {
            describe(operand, &mut described)?;
        }
        let tensors = Tensors(
            described
                .iter()
                .map(|(name, _, found)| {
                    found.as_ref().map(|found| Described {
                        name,
                        dtype: found.dtype,
                        dims: found.dims.clone(),
                        strides: found.strides.clone(),
                        format: found.format,
                        storage_dims: found.storage_dims.clone(),
                    })
                })
                .collect(),
        );
        let planned = plan(&tensors).map_err(|refusal| Failure::new(refusal.status, refusal.text))?;
        // SAFETY: aclnn's contract: the results' pointers are null or valid for the call.
        let place = unsafe { crate::exports::result_place(workspace_size, "workspaceSize") };
        place.map_err(|failure| Failure::new(161_001, failure.text))?.write(planned.workspace);
        // SAFETY: as above.
        let place = unsafe { crate::exports::result_place(executor, "executor") };
        let place = place.map_err(|failure| Failure::new(161_001, failure.text))?;
        place.write(as_pointer(EXECUTORS.add(Executor {
            op,
            operands: described.into_iter().map(|(_, role, found)| (role, found)).collect(),
            workspace: planned.workspace,
            kernel: Arc::new(planned.kernel),
            is_repeatable: Mutex::new(false),
        })));
        Ok(())
    });
    outcome.err().unwrap_or(0)
}

type Found = (&'static str, Role, Option<Description>);

fn describe(operand: &Operand, found: &mut Vec<Found>) -> Result<(), Failure> {
    let name = operand.name;
    let null = || Failure::new(161_001, format!("parameter {name} is NULL"));
    let dead = || Failure::new(161_001, format!("{name} is not a tensor that is alive"));
    match operand.tensor {
        Tensor::One(tensor) if tensor.is_null() => {
            if !operand.is_optional {
                return Err(null());
            }
            found.push((name, operand.role, None));
        }
        Tensor::One(tensor) => {
            found.push((name, operand.role, Some(tensor::description(tensor).ok_or_else(dead)?)));
        }
        Tensor::List(list) if list.is_null() => return Err(null()),
        Tensor::List(list) => {
            for tensor in tensor::listed(list).ok_or_else(dead)? {
                found.push((name, operand.role, Some(tensor::description(tensor).ok_or_else(dead)?)));
            }
        }
    }
    Ok(())
}

/// Phase 2 of `op`: submits the executor's kernel to `stream`, and consumes the executor unless it is
/// repeatable.
pub(crate) fn execute(
    op: &'static str,
    workspace: *mut c_void,
    workspace_size: u64,
    executor: *mut aclOpExecutor,
    _stream: aclrtStream,
) -> aclnnStatus {
    let outcome = call(op, || {
        let prepared = EXECUTORS.get(executor).ok_or_else(|| Failure::new(561_103, "no such executor"))?;
        if !*lock(&prepared.is_repeatable) {
            EXECUTORS.remove(executor);
        }
        let views: Vec<Option<View>> = prepared
            .operands
            .iter()
            .map(|(_, found)| {
                found.as_ref().map(|found| {
                    let size = element_size(found.dtype).unwrap_or(1);
                    let base: *mut u8 = core::ptr::with_exposed_provenance_mut(found.address);
                    View {
                        dtype: found.dtype,
                        dims: found.dims.clone(),
                        strides: found.strides.clone(),
                        data: base.wrapping_add(found.offset as usize * size),
                    }
                })
            })
            .collect();
        let settings = crate::runtime::process::settings();
        let launch = Launch {
            views: &views,
            workspace: (workspace.cast(), workspace_size.min(prepared.workspace)),
            settings: &settings,
            is_deterministic: false,
            launch_number: 1,
        };
        (prepared.kernel)(&launch)
            .map_err(|fault| Failure::new(fault.code, format!("{}: {}", prepared.op, fault.text)))
    });
    outcome.err().unwrap_or(0)
}
