//! Weights and what is computed at compile time, each once for all gears.

use crate::Error;
use crate::dtype::host;
use lockstep_ascend_container as container;
use lockstep_graph::{DType, HostTensor};
use std::collections::HashMap;

/// A constant's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConstantId(usize);

/// What tells small constants apart: dtype, shape and bytes.
type Content = (DType, Vec<usize>, Vec<u8>);

/// The most bytes of small tensors. What is computed from shapes takes kilobytes; a file of many nodes could ask for all memory.
const MOST_SHARED: usize = 256 << 20;

/// Every constant that a gear may read; those that none reads are not stored.
#[derive(Debug, Default)]
pub(crate) struct Constants {
    entries: Vec<(String, HostTensor)>,
    casts: HashMap<(ConstantId, DType), ConstantId>,
    by_content: HashMap<Content, ConstantId>,
    shared_bytes: usize,
    overflowed: Vec<String>,
}

impl Constants {
    /// Adds a weight.
    pub(crate) fn add(&mut self, name: &str, tensor: HostTensor) -> ConstantId {
        self.entries.push((name.to_owned(), tensor));
        ConstantId(self.entries.len() - 1)
    }

    /// Adds a small tensor, or finds an equal one.
    ///
    /// # Errors
    /// Why there are no more.
    pub(crate) fn shared(&mut self, name: &str, tensor: HostTensor) -> Result<ConstantId, String> {
        let content = (tensor.dtype(), tensor.shape().to_vec(), tensor.bytes().to_vec());
        if let Some(&known) = self.by_content.get(&content) {
            return Ok(known);
        }
        self.shared_bytes = self.shared_bytes.saturating_add(tensor.bytes().len());
        if self.shared_bytes > MOST_SHARED {
            let most = MOST_SHARED >> 20;
            return Err(format!(
                "what is computed at compile time takes more than {most} MiB; is the file whole?"
            ));
        }
        let id = self.add(name, tensor);
        self.by_content.insert(content, id);
        Ok(id)
    }

    /// The constants of which a finite element became infinite in f16, in order.
    pub(crate) fn overflowed(&self) -> &[String] {
        &self.overflowed
    }

    /// The same constant in another dtype, converted once.
    ///
    /// # Errors
    /// [`Error::Tensor`], not in practice.
    pub(crate) fn cast(&mut self, id: ConstantId, to: container::DType) -> crate::Result<ConstantId> {
        let to = host(to);
        if self.tensor(id).dtype() == to {
            return Ok(id);
        }
        if let Some(&known) = self.casts.get(&(id, to)) {
            return Ok(known);
        }
        let name = self.name(id).to_owned();
        let cast = converted(self.tensor(id), to).map_err(|error| Error::tensor(&name, error.to_string()))?;
        if to == DType::F16 && overflows(self.tensor(id), &cast) {
            self.overflowed.push(name.clone());
        }
        let made = self.add(&format!("{name}.{to}"), cast);
        self.casts.insert((id, to), made);
        Ok(made)
    }

    pub(crate) fn tensor(&self, id: ConstantId) -> &HostTensor {
        &self.entries[id.0].1
    }

    pub(crate) fn name(&self, id: ConstantId) -> &str {
        &self.entries[id.0].0
    }

    /// Its extents, as ONNX counts.
    pub(crate) fn dims(&self, id: ConstantId) -> Vec<i64> {
        self.tensor(id).shape().iter().map(|&extent| extent as i64).collect()
    }

    /// Its value, if it has one element.
    pub(crate) fn scalar(&self, id: ConstantId) -> Option<f64> {
        let tensor = self.tensor(id);
        (tensor.element_count() == 1).then(|| tensor.to_f64()[0])
    }
}

fn overflows(wide: &HostTensor, narrow: &HostTensor) -> bool {
    let infinite = |tensor: &HostTensor| tensor.to_f64().into_iter().filter(|x| x.is_infinite()).count();
    infinite(narrow) > infinite(wide)
}

/// As ONNX's Cast: any number but 0 is true, which the host's cast of integers would cut to its low bits.
fn converted(tensor: &HostTensor, to: DType) -> lockstep_graph::tensor::Result<HostTensor> {
    match to {
        DType::Bool => HostTensor::from_f64(to, tensor.shape(), &tensor.to_f64()),
        _ => tensor.cast(to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_small_tensors_are_one_and_a_weight_is_converted_once() {
        let mut constants = Constants::default();
        let one = |shape: &[usize]| HostTensor::from_slice(shape, &[1i64]).unwrap();
        let first = constants.shared("a", one(&[1])).unwrap();
        assert_eq!(constants.shared("b", one(&[1])).unwrap(), first);
        assert_ne!(constants.shared("b", one(&[])).unwrap(), first);
        let weight = constants.add("w", HostTensor::from_slice(&[2], &[0.1f32, 70000.0]).unwrap());
        let half = constants.cast(weight, container::DType::F16).unwrap();
        assert_eq!(constants.cast(weight, container::DType::F16).unwrap(), half);
        assert_eq!(constants.tensor(half).to_f64(), [0.0999755859375, f64::INFINITY]);
        assert_eq!(constants.cast(half, container::DType::F16).unwrap(), half);
        assert_eq!(constants.overflowed(), ["w"]);
    }

    #[test]
    fn small_tensors_are_many_only_up_to_a_limit() {
        let mut constants = Constants::default();
        let large = |first: i64| {
            let mut numbers = vec![0i64; 1 << 20];
            numbers[0] = first;
            HostTensor::from_slice(&[1 << 20], &numbers).unwrap()
        };
        let added: Result<Vec<_>, _> = (0..32).map(|at| constants.shared("list", large(at))).collect();
        assert!(added.is_ok() && constants.shared("again", large(3)).is_ok());
        assert!(constants.shared("one more", large(32)).unwrap_err().contains("256 MiB"));
    }

    #[test]
    fn a_number_with_a_low_byte_of_0_is_true() {
        let mut constants = Constants::default();
        let id = constants.add("n", HostTensor::from_slice(&[2], &[256i64, 0]).unwrap());
        let bools = constants.cast(id, container::DType::Bool).unwrap();
        assert_eq!(constants.tensor(bools).bytes(), [1, 0]);
    }
}
