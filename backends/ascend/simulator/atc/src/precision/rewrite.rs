//! A draft in another precision: casts where dtypes part, weights converted ahead.

use super::Precision;
use crate::constants::Constants;
use crate::draft::{Draft, Given, Source, Value};
use crate::dtype::{host, is_float};
use crate::view::{elements, whole};
use crate::{Error, Result};
use lockstep_ascend_container::{DType, Operand, Operator, Step};
use std::collections::HashMap;

/// The draft as a precision computes it. What is given keeps its dtype.
///
/// # Errors
/// [`Error::Tensor`], not in practice: every value was one before.
pub(crate) fn rewritten(draft: Draft, precision: Precision, constants: &mut Constants) -> Result<Draft> {
    if precision == Precision::Origin {
        return Ok(draft);
    }
    let writers = draft.writers();
    let mut rewriting = Rewriting {
        old: &draft,
        new: Draft::default(),
        versions: HashMap::new(),
        is_written_once: (0..draft.values.len()).map(|value| writers.contains_key(&value)).collect(),
        constants,
    };
    for step in &draft.steps {
        rewriting.step(step, precision)?;
    }
    for given in &draft.given {
        let operand = rewriting.version(&given.operand, given.dtype)?;
        rewriting.new.given.push(Given { operand, ..given.clone() });
    }
    Ok(rewriting.new.without_unread())
}

#[derive(Debug)]
struct Rewriting<'a> {
    old: &'a Draft,
    new: Draft,
    /// The new value of an old one in each dtype in which there is one so far.
    versions: HashMap<(usize, DType), usize>,
    is_written_once: Vec<bool>,
    constants: &'a mut Constants,
}

impl Rewriting<'_> {
    fn step(&mut self, step: &Step, precision: Precision) -> Result<()> {
        let own = self.old.dtype(&step.output);
        let is_product = step.operator == Operator::MatMul;
        let (reads, writes): (fn(DType) -> DType, DType) = match precision {
            Precision::Fp16 => (half, half(own)),
            Precision::MixedFloat16 if is_product => (half, DType::F16),
            Precision::CubeFp16InFp32Out if is_product => (half, wide(own)),
            // Whatever the model says: a f16 model, too, has its products in f32.
            Precision::CubeFp16InFp32Out => (wide, wide(own)),
            // A copy of what exists in f16 alone is one, too, so that a context goes from product to product as it is.
            _ if self.copies_narrow(step) => (half, DType::F16),
            _ => (same, own),
        };
        let mut inputs = Vec::with_capacity(step.inputs.len());
        for input in &step.inputs {
            inputs.push(self.version(input, reads(self.old.dtype(input)))?);
        }
        if step.operator == Operator::Cast && self.new.dtype(&inputs[0]) == writes {
            // A cast between floats that are one here: nothing is left to do for it.
            if self.new.is_whole(&inputs[0]) && self.old.is_whole(&step.output) {
                self.versions.insert((step.output.value, writes), inputs[0].value);
                return Ok(());
            }
            let output = self.written(&step.output, writes)?;
            self.new.step(&step.name, Operator::Copy, inputs, output);
            return Ok(());
        }
        let output = self.written(&step.output, writes)?;
        self.new.step(&step.name, step.operator, inputs, output);
        Ok(())
    }

    fn copies_narrow(&self, step: &Step) -> bool {
        let (Operator::Copy, [from]) = (step.operator, &step.inputs[..]) else { return false };
        let own = self.old.dtype(from);
        // A constant is in f16 alone until somebody reads it in its own dtype, which it still has.
        let is_made = self.old.values[from.value].source == Source::Steps;
        let is_narrow_alone = !self.versions.contains_key(&(from.value, own))
            && self.versions.contains_key(&(from.value, DType::F16));
        is_made && is_narrow_alone && self.is_written_once[step.output.value]
    }

    /// The view that a step writes, of a value in this dtype.
    fn written(&mut self, output: &Operand, dtype: DType) -> Result<Operand> {
        let value = match self.versions.get(&(output.value, dtype)) {
            Some(&known) => known,
            None => {
                let old = &self.old.values[output.value];
                let value = self.add(Value { dtype, ..old.clone() });
                self.versions.insert((output.value, dtype), value);
                value
            }
        };
        Ok(Operand { value, ..output.clone() })
    }

    fn add(&mut self, value: Value) -> usize {
        self.new.values.push(value);
        self.new.values.len() - 1
    }

    /// A view in a dtype: of a value that there is, or of a cast of one.
    fn version(&mut self, operand: &Operand, wanted: DType) -> Result<Operand> {
        if let Some(&value) = self.versions.get(&(operand.value, wanted)) {
            return Ok(Operand { value, ..operand.clone() });
        }
        let old = self.old.values[operand.value].clone();
        if let Source::Constant(id) = old.source {
            let cast = self.constants.cast(id, wanted)?;
            let name = self.constants.name(cast).to_owned();
            let value =
                self.add(Value { name, dtype: wanted, source: Source::Constant(cast), ..old.clone() });
            self.versions.insert((operand.value, wanted), value);
            return Ok(Operand { value, ..operand.clone() });
        }
        let has = [old.dtype, DType::F16, DType::F32]
            .into_iter()
            .find_map(|dtype| self.versions.get(&(operand.value, dtype)).map(|&value| (dtype, value)));
        let from = match has {
            Some((_, value)) => value,
            // Steps come after those that write what they read, so this is an input.
            None => {
                let value = self.add(old.clone());
                self.versions.insert((operand.value, old.dtype), value);
                value
            }
        };
        if self.new.values[from].dtype == wanted {
            return Ok(Operand { value: from, ..operand.clone() });
        }
        self.cast(operand, from, wanted)
    }

    /// A cast of a view, or of all of its value where that is not more.
    fn cast(&mut self, operand: &Operand, from: usize, wanted: DType) -> Result<Operand> {
        let (name, count) = (self.new.values[from].name.clone(), self.new.values[from].elements as i64);
        let is_part = elements(&operand.dims).is_some_and(|shown| shown < count);
        let dims = if is_part { operand.dims.clone() } else { vec![count] };
        let called = format!("{name}.{}", host(wanted));
        let to = self.new.value(&called, wanted, &dims, Source::Steps);
        let to = to.map_err(|reason| Error::tensor(&name, reason))?;
        let seen = if is_part { Operand { value: from, ..operand.clone() } } else { whole(from, &dims) };
        self.new.step(&format!("{name}.cast"), Operator::Cast, vec![seen], to.clone());
        if is_part {
            return Ok(to);
        }
        self.versions.insert((operand.value, wanted), to.value);
        Ok(Operand { value: to.value, ..operand.clone() })
    }
}

fn half(dtype: DType) -> DType {
    if is_float(dtype) { DType::F16 } else { dtype }
}

fn wide(dtype: DType) -> DType {
    if is_float(dtype) { DType::F32 } else { dtype }
}

fn same(dtype: DType) -> DType {
    dtype
}
