//! The two phases of an operator: [`prepare`] checks and plans, [`execute`] submits what was planned.

use crate::exports::result_place;
use crate::meta::launch::{Extent, Submission};
use crate::meta::tensor::{self, Description};
use crate::numerics::Settings;
use crate::registry::{Registry, as_pointer};
use crate::runtime::errors::{Failure, call};
use crate::runtime::worker::Task;
use crate::runtime::{lock, process, stream};
use crate::view::View;
use core::ffi::c_void;
use core::ops::Index;
use lockstep_ascend_abi::{
    aclDataType, aclFormat, aclOpExecutor, aclTensor, aclTensorList, aclnnStatus, aclrtStream, errors,
};
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// # Errors
    /// 161002 if the view, which begins at element `offset`, leaves the storage.
    fn check_storage(&self, offset: i64) -> Result<(), Failure> {
        let Self { name, dims, strides, format, storage_dims, .. } = self;
        let extent = Extent { dims, strides, offset, format: *format, storage_dims };
        let storage = storage_dims.iter().product::<i64>();
        if extent.elements().is_some_and(|elements| elements <= storage) {
            return Ok(());
        }
        let view = format!("{name}: dims {dims:?} with strides {strides:?} from element {offset} on");
        Err(Failure::new(161_002, format!("{view} leave the storage of {storage_dims:?}")))
    }
}

/// The operands in order, a list as several; indexing gives those that may not be null.
pub(crate) struct Tensors(Vec<Option<Described>>);

impl Tensors {
    /// Of operands that no handle stands for.
    pub(crate) fn of(operands: Vec<Option<Described>>) -> Self {
        Self(operands)
    }

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

/// A tensor of an executor.
pub(crate) struct Bound {
    /// The parameter's name in C.
    pub name: &'static str,
    /// Which parameter it is of, counting from 0; tensors of a list share it.
    pub parameter: usize,
    /// What the operator does with it.
    pub role: Role,
    /// Its handle; 0 for a null one.
    pub tensor: usize,
    /// As phase 1 found it; `None` for a null one.
    pub description: Option<Description>,
}

/// What phase 1 made.
pub(crate) struct Executor {
    op: &'static str,
    /// Its tensors; their addresses may be changed if it is repeatable.
    pub operands: Mutex<Vec<Bound>>,
    workspace: u64,
    kernel: Arc<Kernel>,
    /// Phase 2 does not consume it.
    pub is_repeatable: AtomicBool,
}

pub(crate) static EXECUTORS: Registry<Executor> = Registry::new(8);

/// The live executors, one line each.
pub(crate) fn leaks() -> Vec<String> {
    EXECUTORS.all().iter().map(|executor| format!("an executor of {}GetWorkspaceSize", executor.op)).collect()
}

/// Live executors.
pub(crate) fn count() -> usize {
    EXECUTORS.count()
}

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
    let null = |failure: Failure| Failure::new(161_001, failure.text);
    let outcome = call(symbol, || {
        let mut bound = Vec::new();
        for (parameter, operand) in operands.iter().enumerate() {
            bind(op, parameter, operand, &mut bound)?;
        }
        // SAFETY: aclnn's contract: the results' pointers are null or valid for the call.
        let workspace_place = unsafe { result_place(workspace_size, "workspaceSize") }.map_err(null)?;
        // SAFETY: as above.
        let executor_place = unsafe { result_place(executor, "executor") }.map_err(null)?;
        let tensors = Tensors(bound.iter().map(described).collect());
        for (tensor, bound) in tensors.0.iter().zip(&bound) {
            if let (Some(tensor), Some(found)) = (tensor, &bound.description) {
                tensor.check_storage(found.offset)?;
            }
        }
        let planned = plan(&tensors).map_err(|refusal| Failure::new(refusal.status, refusal.text))?;
        let workspace = planned.workspace.saturating_add(process::settings().workspace);
        workspace_place.write(workspace);
        executor_place.write(as_pointer(EXECUTORS.add(Executor {
            op,
            operands: Mutex::new(bound),
            workspace,
            kernel: Arc::new(planned.kernel),
            is_repeatable: AtomicBool::new(false),
        })));
        Ok(())
    });
    outcome.err().unwrap_or(0)
}

fn described(bound: &Bound) -> Option<Described> {
    bound.description.as_ref().map(|found| Described {
        name: bound.name,
        dtype: found.dtype,
        dims: found.dims.clone(),
        strides: found.strides.clone(),
        format: found.format,
        storage_dims: found.storage_dims.clone(),
    })
}

fn bind(
    op: &'static str,
    parameter: usize,
    operand: &Operand,
    bound: &mut Vec<Bound>,
) -> Result<(), Failure> {
    let Operand { name, role, .. } = *operand;
    let null = || Failure::new(161_001, format!("parameter {name} is NULL"));
    let dead = || Failure::new(161_001, format!("{name} is not a tensor that is alive"));
    let mut add = |tensor: *const aclTensor| {
        let description = tensor::seen_by(op, tensor).ok_or_else(dead)?;
        bound.push(Bound { name, parameter, role, tensor: tensor.addr(), description: Some(description) });
        Ok(())
    };
    match operand.tensor {
        Tensor::One(tensor) if !tensor.is_null() => add(tensor),
        Tensor::List(list) if !list.is_null() => {
            tensor::listed(list).ok_or_else(dead)?.into_iter().try_for_each(add)
        }
        _ if operand.is_optional => {
            bound.push(Bound { name, parameter, role, tensor: 0, description: None });
            Ok(())
        }
        _ => Err(null()),
    }
}

/// Phase 2 of `op`: submits the executor's kernel to `stream`, and consumes the executor unless it is
/// repeatable, also where it refuses.
pub(crate) fn execute(
    op: &'static str,
    workspace: *mut c_void,
    workspace_size: u64,
    executor: *mut aclOpExecutor,
    stream: aclrtStream,
) -> aclnnStatus {
    let prepared = EXECUTORS.get(executor);
    if let Some(prepared) = &prepared
        && prepared.op == op
        && !prepared.is_repeatable.load(Ordering::Relaxed)
    {
        EXECUTORS.remove(executor);
    }
    let outcome = call(op, || {
        if executor.is_null() {
            return Err(Failure::new(561_103, "parameter executor is NULL"));
        }
        let prepared = prepared.ok_or_else(|| {
            let text = "executor is not one that is alive: phase 2 consumes it, unless it is repeatable";
            Failure::new(561_103, text)
        })?;
        if prepared.op != op {
            return Err(Failure::new(161_002, format!("executor was made for {}", prepared.op)));
        }
        prepared.submit(workspace, workspace_size, stream)
    });
    outcome.err().unwrap_or(0)
}

impl Executor {
    fn submit(
        &self,
        workspace: *mut c_void,
        workspace_size: u64,
        stream: aclrtStream,
    ) -> Result<(), Failure> {
        let (stream, context) = stream::resolve(stream).map_err(|failure| {
            let name = errors::name(failure.code).unwrap_or("unnamed");
            Failure::new(361_001, format!("{}: {} {name}", failure.text, failure.code))
        })?;
        self.check_workspace(workspace, workspace_size)?;
        let operands = lock(&self.operands);
        if !self.is_repeatable.load(Ordering::Relaxed) {
            operands.iter().try_for_each(check_address)?;
        }
        let workspace = (workspace.addr(), self.workspace);
        let submission =
            Submission::new(self.op, self.kernel.clone(), &operands, workspace, &stream, &context);
        let run = Arc::new(move || submission.run());
        stream.submit(Task { name: self.op, is_unconditional: false, run });
        Ok(())
    }

    fn check_workspace(&self, workspace: *mut c_void, size: u64) -> Result<(), Failure> {
        if self.workspace == 0 {
            return Ok(());
        }
        if workspace.is_null() {
            let text = format!("workspace is NULL, {} bytes are needed", self.workspace);
            return Err(Failure::new(161_001, text));
        }
        if size < self.workspace {
            let text = format!("workspaceSize is {size}, {} bytes are needed", self.workspace);
            return Err(Failure::new(161_002, text));
        }
        Ok(())
    }
}

/// `aclSetRawTensorAddr` is not to be called between the phases.
fn check_address(bound: &Bound) -> Result<(), Failure> {
    let planned = bound.description.as_ref().map(|description| description.address);
    match (planned, tensor::address(bound.tensor)) {
        (Some(planned), Some(now)) if planned != now => {
            Err(Failure::new(161_002, format!("{}'s address was changed between the phases", bound.name)))
        }
        _ => Ok(()),
    }
}
