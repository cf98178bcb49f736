//! Nodes that are constants once every extent is a number.

use super::{Lowering, Slot, wrong};
use crate::Result;
use crate::fold::{Elements, MOST_ELEMENTS, elements_of, tensor};
use lockstep_graph::HostTensor;
use lockstep_onnx::messages::NodeProto;

impl Lowering<'_> {
    pub(super) fn shape(&mut self, node: &NodeProto) -> Result<Slot> {
        let [x] = self.exactly(node)?;
        let dims = self.dims(&x);
        let rank = dims.len() as i64;
        let end_of = |number: i64| {
            let from_start = if number < 0 { number.saturating_add(rank) } else { number };
            from_start.clamp(0, rank) as usize
        };
        let start = end_of(node.int("start")?.unwrap_or(0));
        let end = end_of(node.int("end")?.unwrap_or(rank));
        let part = dims.get(start..end).unwrap_or_default();
        let list =
            tensor(lockstep_graph::DType::I64, &[part.len() as i64], &Elements::Integers(part.to_vec()));
        let list = list.map_err(|reason| wrong(node, reason))?;
        self.constant(node, list)
    }

    /// Numbers by themselves; tensors were read with the weights.
    pub(super) fn constant_node(&mut self, node: &NodeProto) -> Result<Slot> {
        let value = match (node.int("value_int")?, node.ints("value_ints")?, node.float("value_float")?) {
            (Some(number), _, _) => Ok(HostTensor::scalar(number)),
            (_, Some(numbers), _) => HostTensor::from_slice(&[numbers.len()], numbers),
            (_, _, Some(number)) => Ok(HostTensor::scalar(number)),
            _ => return Err(wrong(node, "has no value that atc-sim reads; store it as an initializer")),
        };
        let value = value.map_err(|error| wrong(node, error.to_string()))?;
        self.constant(node, value)
    }

    /// One element, repeated: stored once, however large the result.
    pub(super) fn constant_of_shape(&mut self, node: &NodeProto) -> Result<Slot> {
        let [shape] = self.exactly(node)?;
        let dims = self.numbers(node, &shape, "shape")?;
        let value = node.tensor("value")?.unwrap_or_else(|| HostTensor::scalar(0.0f32));
        crate::dtype::compiled(value.dtype()).map_err(|reason| wrong(node, reason))?;
        let value = value.reshape(&[]).map_err(|_| wrong(node, "its value is not of one element"))?;
        let value = self.constant(node, value)?;
        self.repeated(node, &value, &dims)
    }

    pub(super) fn range(&mut self, node: &NodeProto) -> Result<Slot> {
        let slots: [Slot; 3] = self.exactly(node)?;
        let mut ends = Vec::with_capacity(3);
        for slot in &slots {
            let known = self.known(slot).filter(|known| known.element_count() == 1).ok_or_else(|| {
                wrong(
                    node,
                    "its start, limit and step must be single numbers that follow from the inputs' extents",
                )
            })?;
            ends.push(elements_of(known));
        }
        let dtype = self.dtype(node, &slots[0])?;
        let (numbers, count) = match &ends[..] {
            [Elements::Integers(start), Elements::Integers(limit), Elements::Integers(step)] => {
                let (start, limit, step) = (start[0], limit[0], step[0]);
                let count = if step == 0 { -1 } else { counted(start, limit, step) };
                let kept = count.clamp(0, MOST_ELEMENTS);
                (
                    Elements::Integers(
                        (0..kept).map(|at| start.wrapping_add(at.wrapping_mul(step))).collect(),
                    ),
                    count,
                )
            }
            [Elements::Floats(start), Elements::Floats(limit), Elements::Floats(step)] => {
                let (start, step) = (start[0], step[0]);
                let exact = ((limit[0] - start) / step).ceil().max(0.0);
                let count = if exact.is_finite() { exact as i64 } else { -1 };
                let kept = count.clamp(0, MOST_ELEMENTS);
                (Elements::Floats((0..kept).map(|at| start + at as f64 * step).collect()), count)
            }
            _ => return Err(wrong(node, "its start, limit and step are of several dtypes")),
        };
        if !(0..=MOST_ELEMENTS).contains(&count) {
            let reason = "has no end, or more numbers than atc-sim lists at compile time";
            return Err(wrong(node, format!("{reason} ({MOST_ELEMENTS})")));
        }
        let list = tensor(crate::dtype::host(dtype), &[count], &numbers);
        let list = list.map_err(|reason| wrong(node, reason))?;
        self.constant(node, list)
    }
}

/// How many numbers there are from `start` on before `limit`.
fn counted(start: i64, limit: i64, step: i64) -> i64 {
    let distance = i128::from(limit) - i128::from(start);
    let (distance, step) = if step < 0 { (-distance, -i128::from(step)) } else { (distance, step.into()) };
    let count = (distance.max(0) + step - 1) / step;
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_counted_without_overflow() {
        assert_eq!(counted(0, 7, 2), 4);
        assert_eq!(counted(7, 0, -3), 3);
        assert_eq!(counted(7, 0, 1), 0);
        assert_eq!(counted(i64::MIN, i64::MAX, 1), i64::MAX);
        assert_eq!(counted(i64::MAX, i64::MIN, i64::MIN), 2);
    }
}
