//! Steps to operators: views, constants and scratch are fixed once, when a program is compiled. The same code says how much
//! scratch a step needs, when the planner asks.

mod attention;
mod elementwise;
mod index;
mod movement;
mod norm;
mod product;
mod reduce;

use crate::error::unclaimed;
use crate::launch::{Call, CallList, IndexCheck, Place, Scalar, StepCalls, View};
use crate::port::Port;
use lockstep_hal::graph::{Constant, ConstantKey, DType, Op};
use lockstep_hal::tensor::HostTensor;
use lockstep_hal::{Error, Location, OpQuery, Program, Result};
use std::collections::HashMap;

/// What `aclrtMalloc` aligns to.
pub(crate) const ALIGNMENT: usize = 64;
/// What kernels may read behind a tensor.
pub(crate) const PADDING: usize = 32;

/// The bytes that a piece of so many takes of a larger allocation.
pub(crate) fn padded(bytes: usize) -> usize {
    (bytes.next_multiple_of(32) + PADDING).next_multiple_of(ALIGNMENT)
}

/// The calls of a program, and the constants they name, each with the dtype it is wanted in.
pub(crate) fn compile(program: &Program, port: Port) -> Result<(CallList, Vec<(Constant, DType)>)> {
    let mut constants = Constants::default();
    let mut list = CallList::default();
    for step in program.steps() {
        let of = |&id: &lockstep_hal::OperandId| {
            let operand = program.operand(id);
            let (place, constant) = match &operand.location {
                Location::Arena(range) => (Place::Arena(range.start), None),
                Location::Io(slot) => (Place::Io(*slot), None),
                Location::Constant(constant) => (Place::Arena(0), Some(constant.clone())),
            };
            Operand { dtype: operand.dtype, shape: operand.shape.clone(), place, constant }
        };
        let inputs: Vec<Operand> = step.inputs.iter().map(of).collect();
        let outputs: Vec<Operand> = step.outputs.iter().map(of).collect();
        let mut lowering = Lowering {
            port,
            op: &step.op,
            inputs: &inputs,
            outputs: &outputs,
            constants: &mut constants,
            calls: Vec::new(),
            checks: Vec::new(),
            scratch: step.workspace.start,
        };
        lowering
            .lower()
            .and_then(|()| {
                if lowering.scratch > step.workspace.end.max(step.workspace.start) {
                    return Err(Error::program("has less scratch than its operators need"));
                }
                Ok(())
            })
            .map_err(|error| Error::program(format!("{} ({}): {error}", step.name, step.op)))?;
        let from = list.calls.len();
        list.calls.append(&mut lowering.calls);
        list.steps.push(StepCalls {
            node: step.name.clone(),
            op: step.op.name().to_owned(),
            calls: from..list.calls.len(),
            checks: lowering.checks,
        });
    }
    Ok((list, constants.wanted))
}

/// What a program does on a device, as data: for those who want to look.
///
/// # Errors
/// [`Error::Program`] for a step that no operator runs.
pub fn call_list(program: &Program) -> Result<CallList> {
    compile(program, Port::Careful).map(|(list, _)| list)
}

/// Bytes of scratch that an op needs; 0 while extents are unknown.
pub(crate) fn scratch(query: &OpQuery<'_>, port: Port) -> usize {
    let of = |ty: &lockstep_hal::graph::TensorType| {
        Some(Operand { dtype: ty.dtype, shape: ty.fixed_shape()?, place: Place::Arena(0), constant: None })
    };
    let inputs: Option<Vec<Operand>> = query.inputs.iter().map(|ty| of(ty)).collect();
    let outputs: Option<Vec<Operand>> = query.outputs.iter().map(of).collect();
    let (Some(inputs), Some(outputs)) = (inputs, outputs) else { return 0 };
    let mut constants = Constants::default();
    let mut lowering = Lowering {
        port,
        op: query.op,
        inputs: &inputs,
        outputs: &outputs,
        constants: &mut constants,
        calls: Vec::new(),
        checks: Vec::new(),
        scratch: 0,
    };
    // What cannot be lowered is refused with its reason when it is compiled.
    if lowering.lower().is_err() { 0 } else { lowering.scratch }
}

/// The constants of a program by number.
#[derive(Default)]
struct Constants {
    wanted: Vec<(Constant, DType)>,
    numbers: HashMap<(ConstantKey, DType), usize>,
    /// Those of the operators themselves, by the value's bits.
    scalars: HashMap<(DType, u64), Constant>,
}

impl Constants {
    fn place(&mut self, constant: &Constant, dtype: DType) -> Place {
        let wanted = &mut self.wanted;
        Place::Constant(*self.numbers.entry((constant.key(), dtype)).or_insert_with(|| {
            wanted.push((constant.clone(), dtype));
            wanted.len() - 1
        }))
    }

    /// A tensor of one element.
    fn scalar(&mut self, dtype: DType, value: f64) -> Result<View> {
        let key = (dtype, value.to_bits());
        let constant = match self.scalars.get(&key) {
            Some(constant) => constant.clone(),
            None => {
                let constant = Constant::new(HostTensor::from_f64(dtype, &[1], &[value])?);
                self.scalars.insert(key, constant.clone());
                constant
            }
        };
        Ok(View::whole(self.place(&constant, dtype), dtype, &[1]))
    }
}

/// An operand as operators see it.
struct Operand {
    dtype: DType,
    shape: Vec<usize>,
    place: Place,
    constant: Option<Constant>,
}

/// A step on its way to calls.
struct Lowering<'a> {
    port: Port,
    op: &'a Op,
    inputs: &'a [Operand],
    outputs: &'a [Operand],
    constants: &'a mut Constants,
    calls: Vec<Call>,
    checks: Vec<IndexCheck>,
    /// Where its unused scratch begins, in the arena.
    scratch: usize,
}

impl Lowering<'_> {
    fn lower(&mut self) -> Result<()> {
        if self.out()?.count() == 0 {
            // Nothing is computed, and what is wrong is wrong all the same.
            return match self.op {
                Op::Gather { axis } | Op::IndexAdd { axis } => self.check(*axis),
                _ => Ok(()),
            };
        }
        match self.op {
            Op::Unary(op) => self.unary(*op),
            Op::Binary(op) => self.binary(*op),
            Op::Compare(op) => self.compare(*op),
            Op::Select => self.select(),
            Op::Cast { .. } => self.cast(),
            Op::Gelu(form) => self.gelu(*form),
            Op::MatMul => self.matmul(),
            Op::Linear(parts) => self.linear(*parts),
            Op::Transpose { permutation } => self.transpose(permutation),
            Op::Reshape { .. } => self.reshape(),
            Op::Expand { .. } => self.expand(),
            Op::Slice { axis, start, step, .. } => self.slice(*axis, *start, *step),
            Op::Concat { axis } => self.concat(*axis),
            Op::Fill { dtype, value, .. } => self.fill(*dtype, *value),
            Op::Iota { .. } => self.iota(),
            Op::Gather { axis } => self.gather(*axis),
            Op::IndexAdd { axis } => self.index_add(*axis),
            Op::Reduce { op, axes, keep_axes } => self.reduce(*op, axes, *keep_axes),
            Op::Softmax { axis } => self.softmax(*axis),
            Op::LayerNorm { epsilon } => self.layer_norm(*epsilon),
            Op::Attention(attention) => self.attention(attention),
            Op::AddLayerNorm { .. } | Op::EmbedLayerNorm { .. } | Op::Pool { .. } | Op::Custom(_) => {
                Err(unclaimed(self.op))
            }
        }
    }

    fn operand(&self, at: usize) -> Result<&Operand> {
        self.inputs.get(at).ok_or_else(|| unclaimed(self.op))
    }

    fn view(&mut self, operand: &Operand) -> View {
        let place = match &operand.constant {
            Some(constant) => self.constants.place(constant, operand.dtype),
            None => operand.place,
        };
        View::whole(place, operand.dtype, &operand.shape)
    }

    fn input(&mut self, at: usize) -> Result<View> {
        let operand = self.inputs.get(at).ok_or_else(|| unclaimed(self.op))?;
        Ok(self.view(operand))
    }

    /// An input in another dtype: a constant as it is uploaded, anything else by a cast into scratch.
    fn input_as(&mut self, at: usize, dtype: DType) -> Result<View> {
        let operand = self.inputs.get(at).ok_or_else(|| unclaimed(self.op))?;
        if operand.dtype == dtype {
            return Ok(self.view(operand));
        }
        if let Some(constant) = &operand.constant {
            return Ok(View::whole(self.constants.place(constant, dtype), dtype, &operand.shape));
        }
        let x = self.view(operand);
        Ok(self.casted(&x, dtype))
    }

    fn out(&self) -> Result<View> {
        let operand = self.outputs.first().ok_or_else(|| unclaimed(self.op))?;
        Ok(View::whole(operand.place, operand.dtype, &operand.shape))
    }

    /// Scratch for a tensor.
    fn temporary(&mut self, dtype: DType, dims: &[usize]) -> View {
        let view = View::whole(Place::Arena(self.scratch), dtype, dims);
        self.scratch += padded(view.storage * dtype.size());
        view
    }

    /// A view's elements in another dtype, without gaps, in scratch.
    fn casted(&mut self, x: &View, dtype: DType) -> View {
        let out = self.temporary(dtype, &x.dims);
        self.calls.push(Call::Cast { x: x.clone(), out: out.clone() });
        out
    }

    fn fill_with(&mut self, out: View, value: f64) {
        let value = match out.dtype {
            DType::Bool => Scalar::Bool(value != 0.0),
            dtype if dtype.is_integer() => Scalar::I64(value as i64),
            _ => Scalar::F32(value as f32),
        };
        self.calls.push(Call::Fill { out, value });
    }
}
