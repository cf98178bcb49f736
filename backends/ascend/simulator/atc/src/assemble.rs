//! Drafts as gears of the file: outputs bound, memory laid out, and each constant stored once.

use crate::arena::{Life, placed};
use crate::constants::{ConstantId, Constants};
use crate::draft::{Draft, Source};
use crate::gears::Extents;
use crate::{Error, Result};
use lockstep_ascend_container::{ALIGNMENT, Constant, Gear, Operand, Operator, Place, Step, Value};
use std::collections::HashMap;

/// The constants that any gear reads, in the order in which they are met.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    numbers: HashMap<ConstantId, usize>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) bytes: Vec<u8>,
}

impl Stored {
    fn number(&mut self, id: ConstantId, constants: &Constants) -> usize {
        if let Some(&known) = self.numbers.get(&id) {
            return known;
        }
        let bytes = constants.tensor(id).bytes();
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
        self.constants.push(Constant {
            name: constants.name(id).to_owned(),
            offset: self.bytes.len() as u64,
            bytes: bytes.len() as u64,
        });
        self.bytes.extend_from_slice(bytes);
        self.numbers.insert(id, self.constants.len() - 1);
        self.constants.len() - 1
    }
}

/// The gear of a draft.
///
/// # Errors
/// [`Error::Tensor`] for an output that does not fit a device.
pub(crate) fn assembled(
    mut draft: Draft,
    extents: &Extents,
    constants: &Constants,
    stored: &mut Stored,
) -> Result<Gear> {
    let outputs: Vec<Vec<i64>> = draft.given.iter().map(|given| given.operand.dims.clone()).collect();
    let bound = bound(&mut draft)?;
    let (offsets, arena) = laid_out(&draft, &bound);
    let mut gear =
        Gear { key: extents.key.clone(), inputs: extents.inputs.clone(), outputs, arena, ..Gear::default() };
    // Only what steps touch is a value of the gear.
    let mut numbers: HashMap<usize, usize> = HashMap::new();
    let mut numbered = |operand: Operand, gear: &mut Gear| {
        let number = *numbers.entry(operand.value).or_insert_with(|| {
            let old = &draft.values[operand.value];
            let place = match (bound.get(&operand.value), old.source) {
                (Some(&output), _) => Place::Output(output),
                (None, Source::Input(at)) => Place::Input(at),
                (None, Source::Constant(id)) => Place::Constant(stored.number(id, constants)),
                (None, Source::Steps) => Place::Arena(offsets.get(&operand.value).copied().unwrap_or(0)),
            };
            let (name, dtype, elements) = (old.name.clone(), old.dtype, old.elements);
            gear.values.push(Value { name, dtype, elements, place });
            gear.values.len() - 1
        });
        Operand { value: number, ..operand }
    };
    for step in draft.steps.iter().cloned() {
        let inputs = step.inputs.into_iter().map(|input| numbered(input, &mut gear)).collect();
        let output = numbered(step.output, &mut gear);
        gear.steps.push(Step { inputs, output, ..step });
    }
    Ok(gear)
}

/// The output that each value is. What is given of something else (an input, a constant, a view, or twice) is copied.
fn bound(draft: &mut Draft) -> Result<HashMap<usize, usize>> {
    let mut bound = HashMap::new();
    for at in 0..draft.given.len() {
        let given = draft.given[at].clone();
        let value = &draft.values[given.operand.value];
        let is_it = value.source == Source::Steps
            && draft.is_whole(&given.operand)
            && !bound.contains_key(&given.operand.value);
        if is_it {
            bound.insert(given.operand.value, at);
            continue;
        }
        let (name, dtype) = (given.name.clone(), value.dtype);
        let to = draft.value(&name, dtype, &given.operand.dims, Source::Steps);
        let to = to.map_err(|reason| Error::tensor(&name, reason))?;
        bound.insert(to.value, at);
        draft.step(&name, Operator::Copy, vec![given.operand], to);
    }
    Ok(bound)
}

/// Offsets of the values that are neither inputs, constants nor outputs.
fn laid_out(draft: &Draft, bound: &HashMap<usize, usize>) -> (HashMap<usize, u64>, u64) {
    let mut lives: Vec<(usize, Life)> = Vec::new();
    let mut known: HashMap<usize, usize> = HashMap::new();
    for (at, step) in draft.steps.iter().enumerate() {
        for operand in step.inputs.iter().chain([&step.output]) {
            let value = &draft.values[operand.value];
            if value.source != Source::Steps || bound.contains_key(&operand.value) {
                continue;
            }
            let number = *known.entry(operand.value).or_insert_with(|| {
                let bytes = value.elements * value.dtype.size();
                lives.push((operand.value, Life { bytes, first: at, last: at }));
                lives.len() - 1
            });
            lives[number].1.last = at;
        }
    }
    let (values, lives): (Vec<usize>, Vec<Life>) = lives.into_iter().unzip();
    let (offsets, whole) = placed(&lives);
    (values.into_iter().zip(offsets).collect(), whole)
}
