//! The file: a magic, lengths, the model as JSON, and the constants' bytes.

use crate::{Gear, Model, Operand, Operator, Place, Value};

/// How our files begin.
pub const MAGIC: [u8; 8] = *b"LOCKSIM\x01";
/// How a compiled model of CANN begins.
pub const HUAWEI_MAGIC: [u8; 4] = *b"IMOD";
/// Magic, bytes of the JSON, bytes of the constants.
const HEADER: usize = 24;
/// What offsets of constants and of work memory are multiples of.
pub const ALIGNMENT: u64 = 64;

/// The most elements of a view: more than a device holds, and far from the end of 64 bits. An extent of 0 counts as 1.
pub const MOST_ELEMENTS: u64 = 1 << 40;

/// Why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A compiled model of CANN's ATC.
    #[error(
        "is a real .om (magic IMOD): it holds machine code of an NPU, which the simulator cannot execute; \
         compile the ONNX model with atc-sim for it"
    )]
    Real,
    /// Something else.
    #[error("is no model of atc-sim: {0}")]
    Invalid(String),
}

fn invalid<T>(reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(reason.into()))
}

/// The file of a model and its constants' bytes.
///
/// # Errors
/// [`Error::Invalid`] for a model that [`read`] would refuse.
pub fn write(model: &Model, constants: &[u8]) -> Result<Vec<u8>, Error> {
    check(model, constants.len() as u64)?;
    let json = serde_json::to_vec(model).map_err(|error| Error::Invalid(error.to_string()))?;
    let mut bytes = Vec::with_capacity(HEADER + json.len() + constants.len());
    bytes.extend(MAGIC);
    bytes.extend((json.len() as u64).to_le_bytes());
    bytes.extend((constants.len() as u64).to_le_bytes());
    bytes.extend(json);
    bytes.extend(constants);
    Ok(bytes)
}

/// The model in a file, and its constants' bytes. Whatever [`Ok`] holds may be run: every view has at most [`MOST_ELEMENTS`] and
/// lies inside its value, every value inside its place; steps write to outputs and work memory alone, and no element twice.
///
/// # Errors
/// [`Error::Real`] for a model of CANN, [`Error::Invalid`] for anything else that is none of ours, or not whole.
pub fn read(bytes: &[u8]) -> Result<(Model, &[u8]), Error> {
    if bytes.starts_with(&HUAWEI_MAGIC) {
        return Err(Error::Real);
    }
    let Some((header, rest)) =
        bytes.split_at_checked(HEADER).filter(|(header, _)| header.starts_with(&MAGIC))
    else {
        return invalid("its first bytes are others");
    };
    let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
    let (json, constants) = (number(8), number(16));
    if json.checked_add(constants) != Some(rest.len() as u64) {
        let said = u128::from(json) + u128::from(constants);
        return invalid(format!(
            "it says that {said} bytes follow its header, and {} do; was it cut short?",
            rest.len()
        ));
    }
    let (json, constants) = rest.split_at(json as usize);
    let model: Model = serde_json::from_slice(json).map_err(|error| Error::Invalid(error.to_string()))?;
    check(&model, constants.len() as u64)?;
    Ok((model, constants))
}

fn check(model: &Model, constants: u64) -> Result<(), Error> {
    for constant in &model.constants {
        let end = constant.offset.checked_add(constant.bytes);
        if constant.offset % ALIGNMENT != 0 || end.is_none_or(|end| end > constants) {
            return invalid(format!(
                "constant `{}` does not lie among the {constants} bytes of all",
                constant.name
            ));
        }
    }
    if model.gears.is_empty() {
        return invalid("it has no gear");
    }
    for gear in &model.gears {
        check_ports(model, gear)?;
        for value in &gear.values {
            check_value(model, gear, value)?;
        }
        for step in &gear.steps {
            if !is_finite(step.operator) {
                // JSON has no such number, and would be read as another model, or not at all.
                return invalid(format!("step `{}`: a number of its operator is not finite", step.name));
            }
            for operand in step.inputs.iter().chain([&step.output]) {
                if !fits(gear, operand) {
                    return invalid(format!("step `{}`: a view leaves its value", step.name));
                }
            }
            if !is_disjoint(&step.output) {
                return invalid(format!("step `{}` writes to an element more than once", step.name));
            }
            let place = gear.values[step.output.value].place;
            if !matches!(place, Place::Output(_) | Place::Arena(_)) {
                return invalid(format!("step `{}` writes to an input or a constant", step.name));
            }
        }
    }
    Ok(())
}

fn check_ports(model: &Model, gear: &Gear) -> Result<(), Error> {
    let fits = |ports: &[crate::Port], dims: &[Vec<i64>]| {
        ports.len() == dims.len()
            && ports.iter().zip(dims).all(|(port, dims)| {
                let chosen = |(port, dim): (&i64, &i64)| *dim >= 0 && (*port == -1 || port == dim);
                room(dims).is_some()
                    && port.dims.len() == dims.len()
                    && port.dims.iter().zip(dims).all(chosen)
            })
    };
    match fits(&model.inputs, &gear.inputs) && fits(&model.outputs, &gear.outputs) {
        true => Ok(()),
        false => invalid(format!("gear {:?} has other extents than its inputs and outputs", gear.key)),
    }
}

fn check_value(model: &Model, gear: &Gear, value: &Value) -> Result<(), Error> {
    let whole = |dims: &Vec<i64>| Some(if dims.contains(&0) { 0 } else { room(dims)? });
    let of_port = |ports: &[crate::Port], dims: &[Vec<i64>], at: usize| {
        let (port, dims) = (ports.get(at)?, dims.get(at)?);
        whole(dims)?.checked_mul(port.dtype.size()).filter(|_| port.dtype == value.dtype)
    };
    let room = match value.place {
        Place::Input(at) => of_port(&model.inputs, &gear.inputs, at),
        Place::Output(at) => of_port(&model.outputs, &gear.outputs, at),
        Place::Constant(at) => model.constants.get(at).map(|constant| constant.bytes),
        Place::Arena(offset) if offset % ALIGNMENT == 0 => gear.arena.checked_sub(offset),
        Place::Arena(_) => None,
    };
    match (value.bytes(), room) {
        (Some(bytes), Some(room)) if bytes <= room && value.elements <= MOST_ELEMENTS => Ok(()),
        _ => invalid(format!("value `{}` does not lie in its place", value.name)),
    }
}

/// How many elements there would be if no extent were 0; `None` for a negative extent, and for more than [`MOST_ELEMENTS`].
fn room(dims: &[i64]) -> Option<u64> {
    let product = dims.iter().try_fold(1u64, |product, dim| {
        let extent = u64::try_from(*dim).ok()?;
        product.checked_mul(extent.max(1))
    });
    product.filter(|&room| room <= MOST_ELEMENTS)
}

/// Whether no two indices of a view are of one element, in views as they are made by slices and orders of axes: what one step
/// along an axis passes over holds all of the axes with shorter steps.
fn is_disjoint(operand: &Operand) -> bool {
    let axes = operand.dims.iter().zip(&operand.strides);
    let mut axes: Vec<(i64, i64)> =
        axes.filter(|(dim, _)| **dim > 1).map(|(dim, stride)| (*stride, *dim)).collect();
    axes.sort_unstable();
    let mut reach = 0;
    operand.dims.contains(&0)
        || axes.iter().all(|(stride, dim)| {
            let is_beyond = *stride > reach;
            reach += (dim - 1) * stride;
            is_beyond
        })
}

/// Whether the numbers of an operator are finite.
fn is_finite(operator: Operator) -> bool {
    match operator {
        Operator::LayerNorm { epsilon, .. } => epsilon.is_finite(),
        _ => true,
    }
}

/// Whether every element of the view is one of its value.
fn fits(gear: &Gear, operand: &Operand) -> bool {
    let Some(value) = gear.values.get(operand.value) else { return false };
    if operand.dims.len() != operand.strides.len() || operand.offset < 0 {
        return false;
    }
    if room(&operand.dims).is_none() || operand.strides.iter().any(|stride| *stride < 0) {
        return false;
    }
    let axes = || operand.dims.iter().zip(&operand.strides);
    // What walks a view counts one step beyond the end of an axis, and looks at no element there.
    let beyond =
        axes().try_fold(operand.offset, |end, (dim, stride)| end.checked_add(dim.checked_mul(*stride)?));
    if beyond.is_none() || operand.dims.contains(&0) {
        return beyond.is_some();
    }
    let last = operand.offset + axes().map(|(dim, stride)| (dim - 1) * stride).sum::<i64>();
    (last as u64) < value.elements
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Constant, DType, Port, Step, Unary};

    fn view(value: usize, dims: &[i64], strides: &[i64]) -> Operand {
        Operand { value, dims: dims.to_vec(), strides: strides.to_vec(), offset: 0 }
    }

    /// `y = -x`, and a constant that nobody reads.
    fn model() -> Model {
        let port = |name: &str| Port { name: name.to_owned(), dtype: DType::F32, dims: vec![2, 3] };
        let value =
            |name: &str, place| Value { name: name.to_owned(), dtype: DType::F32, elements: 6, place };
        Model {
            name: "negation".to_owned(),
            inputs: vec![port("x")],
            outputs: vec![port("y")],
            constants: vec![Constant { name: "one".to_owned(), offset: 0, bytes: 4 }],
            gears: vec![Gear {
                inputs: vec![vec![2, 3]],
                outputs: vec![vec![2, 3]],
                values: vec![value("x", Place::Input(0)), value("y", Place::Output(0))],
                steps: vec![Step {
                    name: "negate".to_owned(),
                    operator: Operator::Unary(Unary::Neg),
                    inputs: vec![view(0, &[2, 3], &[3, 1])],
                    output: view(1, &[2, 3], &[3, 1]),
                }],
                ..Gear::default()
            }],
            ..Model::default()
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = write(&model(), &1f32.to_le_bytes()).unwrap();
        assert_eq!(read(&bytes), Ok((model(), 1f32.to_le_bytes().as_slice())));
    }

    #[test]
    fn a_real_om_is_refused_by_name() {
        let said = read(b"IMOD\0\x01\0\0").unwrap_err();
        assert_eq!(said, Error::Real);
        assert!(said.to_string().contains("atc-sim"));
    }

    #[test]
    fn every_prefix_of_a_file_is_refused() {
        let bytes = write(&model(), &1f32.to_le_bytes()).unwrap();
        for length in 0..bytes.len() {
            assert!(matches!(read(&bytes[..length]), Err(Error::Invalid(_))), "{length} bytes");
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let mut bytes = write(&model(), &1f32.to_le_bytes()).unwrap();
        bytes[8..16].fill(0xFF);
        assert!(matches!(read(&bytes), Err(Error::Invalid(_))));
    }

    /// `y = -x`, with these views of both.
    fn viewed(input: Operand, output: Operand) -> Result<Vec<u8>, Error> {
        let mut model = model();
        (model.gears[0].steps[0].inputs, model.gears[0].steps[0].output) = (vec![input], output);
        write(&model, &[0; 4])
    }

    #[test]
    fn views_have_an_end_also_where_they_repeat() {
        let all = || view(1, &[2, 3], &[3, 1]);
        let most = MOST_ELEMENTS as i64;
        assert!(viewed(view(0, &[2, 3], &[0, 0]), all()).is_ok());
        assert!(viewed(view(0, &[most], &[0]), all()).is_ok());
        for (dims, strides) in [
            (&[most + 1][..], &[0][..]),
            (&[i64::MAX], &[0]),
            (&[1 << 32, 1 << 32], &[0, 0]),
            // An extent of 0 hides neither a product nor a step that has no number.
            (&[0, 1 << 32, 1 << 32], &[0, 0, 0]),
            (&[2, 0], &[i64::MAX, 1]),
            (&[1, 1], &[i64::MAX, i64::MAX]),
            (&[1, -1], &[1, 1]),
        ] {
            let said = viewed(view(0, dims, strides), all()).unwrap_err().to_string();
            assert!(said.contains("leaves its value"), "{dims:?} {strides:?}: {said}");
        }
    }

    #[test]
    fn no_step_writes_to_an_element_twice() {
        let of = |dims: &[i64], strides: &[i64]| {
            viewed(view(0, dims, &vec![0; dims.len()]), view(1, dims, strides))
        };
        for (dims, strides) in [
            (&[2, 3][..], &[3, 1][..]),
            // Other orders, parts, and axes of one element.
            (&[3, 2], &[1, 3]),
            (&[2, 2], &[3, 2]),
            (&[1, 3], &[0, 1]),
            (&[0, 3], &[0, 0]),
        ] {
            assert!(of(dims, strides).is_ok(), "{dims:?} {strides:?}");
        }
        for (dims, strides) in
            [(&[6][..], &[0][..]), (&[2, 3], &[0, 1]), (&[2, 2], &[1, 1]), (&[2, 3], &[2, 1])]
        {
            let said = of(dims, strides).unwrap_err().to_string();
            assert!(said.contains("more than once"), "{dims:?} {strides:?}: {said}");
        }
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused() {
        for epsilon in [f64::INFINITY, f64::NAN] {
            let mut model = model();
            model.gears[0].steps[0].operator = Operator::LayerNorm { epsilon, is_precise: false };
            assert!(write(&model, &[0; 4]).unwrap_err().to_string().contains("not finite"));
        }
        let mut finite = model();
        finite.gears[0].steps[0].operator = Operator::LayerNorm { epsilon: 0.25, is_precise: false };
        let bytes = write(&finite, &[0; 4]).unwrap();
        // As long, so that the header is true.
        for other in ["null", "9e99"] {
            let bytes = replaced(&bytes, "0.25", other);
            assert_eq!(read(&bytes).is_ok(), other == "9e99", "{other}");
        }
    }

    fn replaced(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
        let at = bytes.windows(old.len()).position(|part| part == old.as_bytes()).unwrap();
        [&bytes[..at], new.as_bytes(), &bytes[at + old.len()..]].concat()
    }

    #[test]
    fn what_leaves_its_place_is_refused() {
        let refused = |change: fn(&mut Model)| {
            let mut model = model();
            change(&mut model);
            write(&model, &[0; 4]).unwrap_err().to_string()
        };
        assert!(refused(|model| model.constants[0].bytes = 5).contains("`one`"));
        assert!(refused(|model| model.gears.clear()).contains("no gear"));
        assert!(refused(|model| model.gears[0].inputs[0][1] = 4).contains("extents"));
        assert!(refused(|model| model.gears[0].values[1].elements = 7).contains("`y`"));
        assert!(refused(|model| model.gears[0].values[1].place = Place::Arena(0)).contains("`y`"));
        assert!(refused(|model| model.gears[0].steps[0].inputs[0].offset = 1).contains("`negate`"));
        assert!(
            refused(|model| model.gears[0].steps[0].inputs[0].strides[0] = i64::MAX).contains("`negate`")
        );
        assert!(refused(|model| model.gears[0].steps[0].output.value = 0).contains("writes"));
        assert!(
            refused(|model| model.gears[0].inputs[0] = vec![0, i64::MAX, i64::MAX]).contains("other extents")
        );
        assert!(refused(|model| model.gears[0].steps[0].output.value = 9).contains("leaves"));
    }
}
