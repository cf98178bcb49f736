//! A gear while it is worked on: steps over values whose places are not yet chosen.

use crate::constants::ConstantId;
use crate::view::{elements, is_whole, room, whole};
use lockstep_ascend_container::{DType, Operand, Operator, Step};
use std::collections::HashMap;

/// The most bytes of one value; what is larger is a mistake in a file, and sums of sizes stay far from 64 bits.
const MOST_BYTES: i64 = 1 << 40;

/// The most values of a gear. Placing them compares each with each; a model of this house has a few hundred.
const MOST_VALUES: usize = 1 << 15;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Input(usize),
    Constant(ConstantId),
    /// Steps write it.
    Steps,
}

/// A piece of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) elements: u64,
    pub(crate) source: Source,
}

/// What is given: a view of a value, in the dtype that the model says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) operand: Operand,
}

/// Values, steps in order, and what is given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) values: Vec<Value>,
    pub(crate) steps: Vec<Step>,
    pub(crate) given: Vec<Given>,
}

impl Draft {
    /// Adds a value and gives all of it.
    ///
    /// # Errors
    /// Why it cannot be: more elements than there is memory anywhere, or one value too many.
    pub(crate) fn value(
        &mut self,
        name: &str,
        dtype: DType,
        dims: &[i64],
        source: Source,
    ) -> Result<Operand, String> {
        if self.values.len() >= MOST_VALUES {
            return Err(format!("takes the model beyond the {MOST_VALUES} values that atc-sim has room for"));
        }
        let most = MOST_BYTES / dtype.size() as i64;
        let fits = room(dims).is_some_and(|room| room <= most);
        let count = elements(dims).filter(|_| fits).ok_or_else(|| {
            format!("a value of the extents {dims:?} does not fit a device; are the gears' extents right?")
        })?;
        self.values.push(Value { name: name.to_owned(), dtype, elements: count as u64, source });
        Ok(whole(self.values.len() - 1, dims))
    }

    /// Adds a step.
    pub(crate) fn step(&mut self, name: &str, operator: Operator, inputs: Vec<Operand>, output: Operand) {
        self.steps.push(Step { name: name.to_owned(), operator, inputs, output });
    }

    pub(crate) fn dtype(&self, operand: &Operand) -> DType {
        self.values[operand.value].dtype
    }

    /// Whether a view is all of its value, in order.
    pub(crate) fn is_whole(&self, operand: &Operand) -> bool {
        is_whole(operand, self.values[operand.value].elements)
    }

    /// The step that writes each value, where one alone does.
    pub(crate) fn writers(&self) -> HashMap<usize, usize> {
        let mut writers = HashMap::new();
        let mut several = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            if writers.insert(step.output.value, at).is_some() {
                several.push(step.output.value);
            }
        }
        several.iter().for_each(|value| {
            writers.remove(value);
        });
        writers
    }

    /// How often each value is read, by steps or as what is given.
    pub(crate) fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.values.len()];
        let read = self.steps.iter().flat_map(|step| &step.inputs);
        for operand in read.chain(self.given.iter().map(|given| &given.operand)) {
            readers[operand.value] += 1;
        }
        readers
    }

    /// Drops steps whose results nothing reads.
    pub(crate) fn without_unread(mut self) -> Self {
        let mut is_read = vec![false; self.values.len()];
        self.given.iter().for_each(|given| is_read[given.operand.value] = true);
        let mut kept = Vec::with_capacity(self.steps.len());
        for step in self.steps.drain(..).rev() {
            if is_read[step.output.value] {
                step.inputs.iter().for_each(|input| is_read[input.value] = true);
                kept.push(step);
            }
        }
        kept.reverse();
        self.steps = kept;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_ascend_container::Unary;

    #[test]
    fn what_nothing_reads_is_dropped_with_what_it_alone_reads() {
        let mut draft = Draft::default();
        let x = draft.value("x", DType::F32, &[2], Source::Input(0)).unwrap();
        let [a, b, c] =
            ["a", "b", "c"].map(|name| draft.value(name, DType::F32, &[2], Source::Steps).unwrap());
        let negation = Operator::Unary(Unary::Neg);
        draft.step("a", negation, vec![x.clone()], a.clone());
        draft.step("b", negation, vec![a.clone()], b);
        draft.step("c", negation, vec![x], c.clone());
        draft.given.push(Given { name: "y".to_owned(), dtype: DType::F32, operand: c });
        assert_eq!(draft.readers(), [2, 1, 0, 1]);
        let names: Vec<String> = draft.without_unread().steps.into_iter().map(|step| step.name).collect();
        assert_eq!(names, ["c"]);
    }

    #[test]
    fn values_beyond_any_memory_are_refused() {
        let mut draft = Draft::default();
        for dims in [&[i64::MAX, 2][..], &[1 << 39], &[-1], &[1 << 39, 0]] {
            assert!(draft.value("x", DType::F32, dims, Source::Steps).unwrap_err().contains("extents"));
        }
    }
}
