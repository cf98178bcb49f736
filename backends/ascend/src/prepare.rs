//! Phase 1 of an operator: its arguments are made, checked by the library, and become an executor that runs again and again.

use crate::calls::{Calls, call};
use crate::launch::{Binary, Call, Reduction, Scalar, Unary, View};
use crate::tensors::{Argument, Arguments, data_type, destroy};
use lockstep_ascend_abi::{ExecuteOp, aclOpExecutor, aclrtStream};
use lockstep_hal::Result;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

/// `aclnnGeluV2`'s `approximate`: the error function.
const WITH_ERF: i64 = 0;

/// An operator ready to be put on a stream.
#[derive(Debug)]
pub(crate) struct Prepared {
    node: Arc<str>,
    symbol: &'static str,
    execute: ExecuteOp,
    executor: *mut aclOpExecutor,
    /// Bytes of scratch that it needs beside its operands.
    pub(crate) workspace: u64,
    /// Whether the executor outlives a run; if not, it is made anew for each.
    is_repeatable: bool,
    arguments: Vec<Argument>,
}

/// What phase 1 gives.
struct Phase<'a> {
    calls: &'a Calls,
    node: &'a str,
    symbol: &'static str,
    workspace: u64,
    executor: *mut aclOpExecutor,
}

/// Runs phase 1 of one operator with its arguments, and gives its phase 2.
macro_rules! phase_one {
    ($phase:ident, $kind:ident.$name:ident($($argument:expr),* $(,)?)) => {
        match $phase.calls.functions.ops.$kind.$name {
            Some(op) => {
                // SAFETY: tensors, scalars and arrays are the libraries' own and live as long as the executor; outputs are
                // written to locals.
                let code = unsafe { (op.prepare)($($argument,)* &mut $phase.workspace, &mut $phase.executor) };
                $phase.calls.check($phase.node, concat!(stringify!($name), "GetWorkspaceSize"), code)?;
                op.execute
            }
            None => return Err($phase.calls.absent($phase.node, $phase.symbol)),
        }
    };
}

impl Prepared {
    /// Prepares a call of `node`.
    pub(crate) fn new(calls: &Calls, node: &Arc<str>, call: &Call<u64>) -> Result<Self> {
        let mut arguments = Arguments::new(calls, node);
        let mut phase = Phase { calls, node, symbol: call.symbol(), workspace: 0, executor: ptr::null_mut() };
        let execute = phase_one(&mut phase, &mut arguments, call)?;
        if phase.executor.is_null() {
            return Err(calls.gave_nothing(node, call.symbol()));
        }
        let mut prepared = Self {
            node: node.clone(),
            symbol: call.symbol(),
            execute,
            executor: phase.executor,
            workspace: phase.workspace,
            is_repeatable: false,
            arguments: arguments.into_kept(),
        };
        if let Some(repeatable) = calls.functions.meta.aclSetAclOpExecutorRepeatable {
            // SAFETY: the executor was made just now, and is not submitted yet.
            prepared.is_repeatable = unsafe { repeatable(prepared.executor) } == 0;
        }
        if !prepared.is_repeatable {
            // Some operators' cannot be; that is no error, and its text shall not be laid to another call.
            calls.forget_errors();
        }
        Ok(prepared)
    }

    /// Whether it can run again and again.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// Whether its executor was consumed.
    pub(crate) fn is_spent(&self) -> bool {
        self.executor.is_null()
    }

    /// Puts it on the stream, with at least the scratch it asked for.
    pub(crate) fn submit(&mut self, calls: &Calls, workspace: u64, stream: aclrtStream) -> Result<()> {
        let at = if self.workspace == 0 { ptr::null_mut() } else { workspace as *mut c_void };
        // SAFETY: the executor is of this operator and was not consumed; its tensors and the scratch are there until the stream
        // is waited for.
        let code = unsafe { (self.execute)(at, self.workspace, self.executor, stream) };
        if !self.is_repeatable {
            self.executor = ptr::null_mut();
        }
        calls.check(&self.node, self.symbol, code)
    }

    /// Gives everything back; nothing of it runs any more.
    pub(crate) fn destroy(&mut self, calls: &Calls) {
        if self.is_repeatable && !self.executor.is_null() {
            // SAFETY: repeatable, so that it is ours to destroy, once.
            if let Err(error) = call!(calls, &self.node, meta.aclDestroyAclOpExecutor(self.executor)) {
                tracing::warn!("{error}");
            }
        }
        self.executor = ptr::null_mut();
        destroy(calls, &self.arguments);
        self.arguments.clear();
    }
}

/// One, as the operator's other operands count.
fn one(x: &View<u64>) -> Scalar {
    if x.dtype.is_integer() { Scalar::I64(1) } else { Scalar::F32(1.0) }
}

fn phase_one(phase: &mut Phase<'_>, with: &mut Arguments<'_>, call: &Call<u64>) -> Result<ExecuteOp> {
    let products = phase.calls.products.cube_math_type();
    Ok(match call {
        Call::Unary(op, x, out) => unary(phase, with, *op, x, out)?,
        Call::Binary(op, [a, b], out) => binary(phase, with, *op, [a, b], out)?,
        Call::InplaceMuls { x, factor } => {
            let (x, factor) = (with.tensor(x)?, with.scalar(Scalar::F32(*factor))?);
            phase_one!(phase, elementwise.aclnnInplaceMuls(x, factor))
        }
        Call::EqScalar { x, value, out } => {
            let (x, value, out) = (with.tensor(x)?, with.scalar(Scalar::F32(*value))?, with.tensor(out)?);
            phase_one!(phase, elementwise.aclnnEqScalar(x, value, out))
        }
        Call::SWhere { condition, a, b, out } => {
            let (condition, a, b) = (with.tensor(condition)?, with.tensor(a)?, with.tensor(b)?);
            phase_one!(phase, elementwise.aclnnSWhere(condition, a, b, with.tensor(out)?))
        }
        Call::Cast { x, out } => {
            let (x, dtype, out) = (with.tensor(x)?, data_type(out.dtype), with.tensor(out)?);
            phase_one!(phase, elementwise.aclnnCast(x, dtype, out))
        }
        Call::Matmul { a, b, out } => {
            let (a, b, out) = (with.tensor(a)?, with.tensor(b)?, with.tensor(out)?);
            phase_one!(phase, matmul.aclnnMatmul(a, b, out, products))
        }
        Call::Addmm { bias, a, b, out } => {
            let (bias, a, b) = (with.tensor(bias)?, with.tensor(a)?, with.tensor(b)?);
            let (beta, alpha) = (with.scalar(Scalar::F32(1.0))?, with.scalar(Scalar::F32(1.0))?);
            phase_one!(phase, matmul.aclnnAddmm(bias, a, b, beta, alpha, with.tensor(out)?, products))
        }
        Call::Softmax { x, axis, out } => {
            let (x, out) = (with.tensor(x)?, with.tensor(out)?);
            phase_one!(phase, activation.aclnnSoftmax(x, *axis as i64, out))
        }
        Call::LayerNorm { x, gamma, beta, epsilon, out } => {
            let over = with.array(&x.dims[x.dims.len().saturating_sub(1)..])?;
            let (x, gamma, beta, out) =
                (with.tensor(x)?, with.tensor(gamma)?, with.tensor(beta)?, with.tensor(out)?);
            let none = ptr::null_mut();
            phase_one!(phase, normalization.aclnnLayerNorm(x, over, gamma, beta, *epsilon, out, none, none))
        }
        Call::Reduce { reduction, x, axes, keep_axes, out } => {
            let dtype = data_type(out.dtype);
            let (x, axes, out) = (with.tensor(x)?, with.array(axes)?, with.tensor(out)?);
            match reduction {
                Reduction::Sum => {
                    phase_one!(phase, normalization.aclnnReduceSum(x, axes, *keep_axes, dtype, out))
                }
                Reduction::Mean => {
                    phase_one!(phase, normalization.aclnnMean(x, axes, *keep_axes, dtype, out))
                }
                Reduction::Amax => phase_one!(phase, layout.aclnnAmax(x, axes, *keep_axes, out)),
                Reduction::Amin => phase_one!(phase, layout.aclnnAmin(x, axes, *keep_axes, out)),
            }
        }
        Call::Permute { x, permutation, out } => {
            let (x, permutation, out) = (with.tensor(x)?, with.array(permutation)?, with.tensor(out)?);
            phase_one!(phase, layout.aclnnPermute(x, permutation, out))
        }
        Call::Copy { from, to } => {
            let (to, from) = (with.tensor(to)?, with.tensor(from)?);
            phase_one!(phase, layout.aclnnInplaceCopy(to, from))
        }
        Call::Slice { x, axis, start, end, step, out } => {
            let (x, out) = (with.tensor(x)?, with.tensor(out)?);
            let [axis, start, end, step] = [axis, start, end, step].map(|&value| value as i64);
            phase_one!(phase, layout.aclnnSlice(x, axis, start, end, step, out))
        }
        Call::Cat { parts, axis, out } => {
            let (parts, out) = (with.list(parts)?, with.tensor(out)?);
            phase_one!(phase, layout.aclnnCat(parts, *axis as i64, out))
        }
        Call::Fill { out, value } => {
            let (out, value) = (with.tensor(out)?, with.scalar(*value)?);
            phase_one!(phase, layout.aclnnInplaceFillScalar(out, value))
        }
        Call::Arange { end, out } => {
            let (start, end) = (with.scalar(Scalar::I64(0))?, with.scalar(Scalar::I64(*end))?);
            let (step, out) = (with.scalar(Scalar::I64(1))?, with.tensor(out)?);
            phase_one!(phase, layout.aclnnArange(start, end, step, out))
        }
        Call::GatherV2 { data, axis, index, out } => {
            let (data, index, out) = (with.tensor(data)?, with.tensor(index)?, with.tensor(out)?);
            phase_one!(phase, index.aclnnGatherV2(data, *axis as i64, index, out))
        }
        Call::IndexAdd { base, axis, index, source, out } => {
            let alpha = with.scalar(one(base))?;
            let (base, index, source) = (with.tensor(base)?, with.tensor(index)?, with.tensor(source)?);
            let out = with.tensor(out)?;
            phase_one!(phase, index.aclnnIndexAdd(base, *axis as i64, index, source, alpha, out))
        }
    })
}

fn unary(
    phase: &mut Phase<'_>,
    with: &mut Arguments<'_>,
    op: Unary,
    x: &View<u64>,
    out: &View<u64>,
) -> Result<ExecuteOp> {
    let (x, out) = (with.tensor(x)?, with.tensor(out)?);
    Ok(match op {
        Unary::Abs => phase_one!(phase, elementwise.aclnnAbs(x, out)),
        Unary::Erf => phase_one!(phase, activation.aclnnErf(x, out)),
        Unary::Exp => phase_one!(phase, elementwise.aclnnExp(x, out)),
        Unary::Gelu => phase_one!(phase, activation.aclnnGelu(x, out)),
        Unary::GeluV2 => phase_one!(phase, activation.aclnnGeluV2(x, WITH_ERF, out)),
        Unary::Log => phase_one!(phase, elementwise.aclnnLog(x, out)),
        Unary::LogicalNot => phase_one!(phase, elementwise.aclnnLogicalNot(x, out)),
        Unary::Neg => phase_one!(phase, elementwise.aclnnNeg(x, out)),
        Unary::Reciprocal => phase_one!(phase, elementwise.aclnnReciprocal(x, out)),
        Unary::Relu => phase_one!(phase, activation.aclnnRelu(x, out)),
        Unary::Sigmoid => phase_one!(phase, activation.aclnnSigmoid(x, out)),
        Unary::Sqrt => phase_one!(phase, elementwise.aclnnSqrt(x, out)),
        Unary::Tanh => phase_one!(phase, activation.aclnnTanh(x, out)),
    })
}

fn binary(
    phase: &mut Phase<'_>,
    with: &mut Arguments<'_>,
    op: Binary,
    [a, b]: [&View<u64>; 2],
    out: &View<u64>,
) -> Result<ExecuteOp> {
    let alpha = match op {
        Binary::Add | Binary::Sub => with.scalar(one(a))?,
        _ => ptr::null_mut(),
    };
    let (a, b, out) = (with.tensor(a)?, with.tensor(b)?, with.tensor(out)?);
    Ok(match op {
        Binary::Add => phase_one!(phase, elementwise.aclnnAdd(a, b, alpha, out)),
        Binary::Sub => phase_one!(phase, elementwise.aclnnSub(a, b, alpha, out)),
        Binary::Mul => phase_one!(phase, elementwise.aclnnMul(a, b, out)),
        Binary::Div => phase_one!(phase, elementwise.aclnnDiv(a, b, out)),
        Binary::Maximum => phase_one!(phase, elementwise.aclnnMaximum(a, b, out)),
        Binary::Minimum => phase_one!(phase, elementwise.aclnnMinimum(a, b, out)),
        Binary::Pow => phase_one!(phase, elementwise.aclnnPowTensorTensor(a, b, out)),
        Binary::LogicalAnd => phase_one!(phase, elementwise.aclnnLogicalAnd(a, b, out)),
        Binary::LogicalOr => phase_one!(phase, elementwise.aclnnLogicalOr(a, b, out)),
        Binary::Eq => phase_one!(phase, elementwise.aclnnEqTensor(a, b, out)),
        Binary::Ne => phase_one!(phase, elementwise.aclnnNeTensor(a, b, out)),
        Binary::Lt => phase_one!(phase, elementwise.aclnnLtTensor(a, b, out)),
        Binary::Le => phase_one!(phase, elementwise.aclnnLeTensor(a, b, out)),
        Binary::Gt => phase_one!(phase, elementwise.aclnnGtTensor(a, b, out)),
        Binary::Ge => phase_one!(phase, elementwise.aclnnGeTensor(a, b, out)),
    })
}
