//! Operators on small constants, computed at compile time: what a model does with shapes, above all.

use crate::view::{broadcast, expanded, positions, room, whole};
use lockstep_ascend_container::{Binary, Comparison, Operand, Unary};
use lockstep_graph::tensor::{AlignedBytes, Bytes};
use lockstep_graph::{DType, HostTensor};

/// The most elements of what is computed at compile time; larger results are computed when the model runs.
pub(crate) const MOST_ELEMENTS: i64 = 1 << 14;

/// What folding gives: a tensor, nothing for what is left to the run, or why there is no result at all.
pub(crate) type Folded = Result<Option<HostTensor>, String>;

/// The elements of a tensor, in a type that holds each exactly.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Elements {
    Floats(Vec<f64>),
    /// Truth values are 0 and 1.
    Integers(Vec<i64>),
}

/// What a tensor holds.
pub(crate) fn elements_of(tensor: &HostTensor) -> Elements {
    match tensor.as_slice::<i64>() {
        Ok(whole) => Elements::Integers(whole.to_vec()),
        Err(_) if tensor.dtype().is_float() => Elements::Floats(tensor.to_f64()),
        // Narrower integers, all of which f64 holds.
        Err(_) => Elements::Integers(tensor.to_f64().into_iter().map(|x| x as i64).collect()),
    }
}

/// Whole numbers of a tensor; `None` for floats.
pub(crate) fn integers(tensor: &HostTensor) -> Option<Vec<i64>> {
    match elements_of(tensor) {
        Elements::Integers(numbers) if tensor.dtype().is_integer() => Some(numbers),
        _ => None,
    }
}

/// A tensor of these elements, rounded to its dtype.
///
/// # Errors
/// For more or fewer elements than the extents say.
pub(crate) fn tensor(dtype: DType, dims: &[i64], elements: &Elements) -> Result<HostTensor, String> {
    let shape = shape(dims)?;
    let made = match (elements, dtype) {
        (Elements::Integers(numbers), DType::I64) => HostTensor::from_slice(&shape, numbers),
        (Elements::Integers(numbers), _) => {
            HostTensor::from_f64(dtype, &shape, &numbers.iter().map(|&x| x as f64).collect::<Vec<_>>())
        }
        (Elements::Floats(numbers), _) => HostTensor::from_f64(dtype, &shape, numbers),
    };
    made.map_err(|error| error.to_string())
}

/// Whether a result of these extents is computed at compile time.
pub(crate) fn is_small(dims: &[i64]) -> bool {
    room(dims).is_some_and(|room| room <= MOST_ELEMENTS)
}

/// The elements that a view of a tensor shows. `None` for more than are computed at compile time.
pub(crate) fn viewed(tensor: &HostTensor, view: &Operand) -> Folded {
    if !is_small(&view.dims) {
        return Ok(None);
    }
    let size = tensor.dtype().size();
    let mut bytes = Vec::new();
    for at in positions(view) {
        let element = usize::try_from(at).ok().and_then(|at| tensor.bytes().get(at * size..(at + 1) * size));
        bytes.extend_from_slice(element.ok_or("a view leaves its tensor")?);
    }
    from_bytes(tensor.dtype(), &view.dims, &bytes).map(Some)
}

/// A tensor of these bytes.
///
/// # Errors
/// For more or fewer than the extents say.
pub(crate) fn from_bytes(dtype: DType, dims: &[i64], bytes: &[u8]) -> Result<HostTensor, String> {
    HostTensor::from_bytes(dtype, &shape(dims)?, Bytes::owned(AlignedBytes::copy_of(bytes)))
        .map_err(|error| error.to_string())
}

fn shape(dims: &[i64]) -> Result<Vec<usize>, String> {
    let extents = dims.iter().map(|&dim| usize::try_from(dim)).collect::<Result<Vec<_>, _>>();
    extents.map_err(|_| format!("has the extents {dims:?}"))
}

fn dims(tensor: &HostTensor) -> Vec<i64> {
    tensor.shape().iter().map(|&extent| extent as i64).collect()
}

/// Extents, and what each of several tensors has at every index into them.
type Aligned = (Vec<i64>, Vec<Elements>);

/// Tensors repeated to the extents that they broadcast to.
fn aligned(tensors: &[&HostTensor]) -> Result<Option<Aligned>, String> {
    let all: Vec<Vec<i64>> = tensors.iter().map(|tensor| dims(tensor)).collect();
    let shape = broadcast(&all.iter().map(Vec::as_slice).collect::<Vec<_>>())
        .ok_or_else(|| format!("the extents {all:?} do not broadcast"))?;
    let mut repeated = Vec::with_capacity(tensors.len());
    for (tensor, dims) in tensors.iter().zip(&all) {
        match viewed(tensor, &expanded(&whole(0, dims), &shape))? {
            Some(tensor) => repeated.push(elements_of(&tensor)),
            None => return Ok(None),
        }
    }
    Ok(Some((shape, repeated)))
}

/// A function of two numbers, of each pair of elements.
pub(crate) fn binary(op: Binary, a: &HostTensor, b: &HostTensor) -> Folded {
    let Some((shape, both)) = aligned(&[a, b])? else { return Ok(None) };
    let result = match &both[..] {
        [Elements::Integers(a), Elements::Integers(b)] => {
            let pairs = a.iter().zip(b).map(|(&a, &b)| of_integers(op, a, b));
            match pairs.collect::<Option<Result<Vec<i64>, String>>>() {
                Some(numbers) => Elements::Integers(numbers?),
                None => return Ok(None),
            }
        }
        [Elements::Floats(a), Elements::Floats(b)] => {
            match a.iter().zip(b).map(|(&a, &b)| of_floats(op, a, b)).collect() {
                Some(numbers) => Elements::Floats(numbers),
                None => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    tensor(a.dtype(), &shape, &result).map(Some)
}

fn of_integers(op: Binary, a: i64, b: i64) -> Option<Result<i64, String>> {
    let exact = match op {
        Binary::Add => a.checked_add(b),
        Binary::Sub => a.checked_sub(b),
        Binary::Mul => a.checked_mul(b),
        Binary::Div => a.checked_div(b),
        Binary::Max => Some(a.max(b)),
        Binary::Min => Some(a.min(b)),
        Binary::And => Some(a & b),
        Binary::Or => Some(a | b),
        Binary::Pow => return None,
    };
    Some(exact.ok_or_else(|| format!("{op:?} of {a} and {b} has no result in 64 bits")))
}

/// In f64, which rounds to f32 as the operation itself would.
fn of_floats(op: Binary, a: f64, b: f64) -> Option<f64> {
    match op {
        Binary::Add => Some(a + b),
        Binary::Sub => Some(a - b),
        Binary::Mul => Some(a * b),
        Binary::Div => Some(a / b),
        // Of the others only a NaN's way is a question.
        Binary::Max | Binary::Min | Binary::And | Binary::Or | Binary::Pow => None,
    }
}

/// A relation, of each pair of elements.
pub(crate) fn compare(op: Comparison, a: &HostTensor, b: &HostTensor) -> Folded {
    fn holds<T: PartialOrd>(op: Comparison, a: T, b: T) -> i64 {
        i64::from(match op {
            Comparison::Equal => a == b,
            Comparison::Less => a < b,
            Comparison::LessOrEqual => a <= b,
            Comparison::Greater => a > b,
            Comparison::GreaterOrEqual => a >= b,
        })
    }
    let Some((shape, both)) = aligned(&[a, b])? else { return Ok(None) };
    let result = match &both[..] {
        [Elements::Integers(a), Elements::Integers(b)] => {
            a.iter().zip(b).map(|(a, b)| holds(op, a, b)).collect()
        }
        [Elements::Floats(a), Elements::Floats(b)] => a.iter().zip(b).map(|(a, b)| holds(op, a, b)).collect(),
        _ => return Ok(None),
    };
    tensor(DType::Bool, &shape, &Elements::Integers(result)).map(Some)
}

/// x where the condition holds, else y.
pub(crate) fn select(condition: &HostTensor, x: &HostTensor, y: &HostTensor) -> Folded {
    fn chosen<T: Copy>(condition: &[i64], x: &[T], y: &[T]) -> Vec<T> {
        condition.iter().zip(x.iter().zip(y)).map(|(&c, (&x, &y))| if c != 0 { x } else { y }).collect()
    }
    let Some((shape, all)) = aligned(&[condition, x, y])? else { return Ok(None) };
    let result = match &all[..] {
        [Elements::Integers(c), Elements::Integers(x), Elements::Integers(y)] => {
            Elements::Integers(chosen(c, x, y))
        }
        [Elements::Integers(c), Elements::Floats(x), Elements::Floats(y)] => {
            Elements::Floats(chosen(c, x, y))
        }
        _ => return Ok(None),
    };
    tensor(x.dtype(), &shape, &result).map(Some)
}

/// A function of one number, of each element.
pub(crate) fn unary(op: Unary, x: &HostTensor) -> Folded {
    if !is_small(&dims(x)) {
        return Ok(None);
    }
    let result = match (op, elements_of(x)) {
        (Unary::Neg, Elements::Floats(x)) => Elements::Floats(x.into_iter().map(|x| -x).collect()),
        (Unary::Abs, Elements::Floats(x)) => Elements::Floats(x.into_iter().map(f64::abs).collect()),
        (Unary::Neg, Elements::Integers(x)) => {
            Elements::Integers(x.into_iter().map(i64::wrapping_neg).collect())
        }
        (Unary::Abs, Elements::Integers(x)) => {
            Elements::Integers(x.into_iter().map(i64::wrapping_abs).collect())
        }
        (Unary::Not, Elements::Integers(x)) => Elements::Integers(x.into_iter().map(|x| 1 - x).collect()),
        _ => return Ok(None),
    };
    tensor(x.dtype(), &dims(x), &result).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole_numbers(shape: &[usize], numbers: &[i64]) -> HostTensor {
        HostTensor::from_slice(shape, numbers).unwrap()
    }

    #[test]
    fn shapes_are_computed_exactly_and_overflow_is_an_error() {
        let a = whole_numbers(&[2], &[(1 << 53) + 1, -7]);
        let two = whole_numbers(&[], &[2]);
        let of = |op| elements_of(&binary(op, &a, &two).unwrap().unwrap());
        assert_eq!(of(Binary::Add), Elements::Integers(vec![(1 << 53) + 3, -5]));
        // As C divides.
        assert_eq!(of(Binary::Div), Elements::Integers(vec![1 << 52, -3]));
        assert!(binary(Binary::Div, &a, &whole_numbers(&[], &[0])).unwrap_err().contains("Div"));
        assert!(binary(Binary::Mul, &a, &whole_numbers(&[], &[i64::MAX])).is_err());
        assert!(binary(Binary::Add, &a, &whole_numbers(&[3], &[1, 2, 3])).unwrap_err().contains("broadcast"));
    }

    #[test]
    fn floats_round_to_their_dtype() {
        let third = HostTensor::from_slice(&[1], &[1.0f32]).unwrap();
        let three = HostTensor::from_slice(&[], &[3.0f32]).unwrap();
        let quotient = binary(Binary::Div, &third, &three).unwrap().unwrap();
        assert_eq!(quotient.as_slice::<f32>().unwrap(), [1.0f32 / 3.0]);
    }

    #[test]
    fn choices_and_relations_broadcast() {
        let row = whole_numbers(&[3], &[0, 1, 2]);
        let is_less = compare(Comparison::Less, &row, &whole_numbers(&[], &[2])).unwrap().unwrap();
        assert_eq!((is_less.dtype(), is_less.bytes()), (DType::Bool, &[1, 1, 0][..]));
        let chosen = select(&is_less, &row, &whole_numbers(&[2, 1], &[8, 9])).unwrap().unwrap();
        assert_eq!(integers(&chosen).unwrap(), [0, 1, 8, 0, 1, 9]);
        let not = unary(Unary::Not, &is_less).unwrap().unwrap();
        assert_eq!(not.bytes(), [0, 0, 1]);
    }

    #[test]
    fn large_results_are_left_to_the_run() {
        let long = HostTensor::zeros(DType::I64, &[MOST_ELEMENTS as usize + 1]).unwrap();
        assert!(binary(Binary::Add, &long, &long).unwrap().is_none());
        let column = HostTensor::zeros(DType::I64, &[1000, 1]).unwrap();
        let row = HostTensor::zeros(DType::I64, &[1000]).unwrap();
        assert!(compare(Comparison::Equal, &column, &row).unwrap().is_none());
        assert!(unary(Unary::Neg, &long).unwrap().is_none());
        let none = HostTensor::zeros(DType::I64, &[1 << 40, 0]).unwrap();
        assert!(unary(Unary::Neg, &none).unwrap().is_none());
        assert!(viewed(&none, &whole(0, &[1 << 40, 0])).unwrap().is_none());
    }
}
