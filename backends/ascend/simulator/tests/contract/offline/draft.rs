//! Small models, written as `atc-sim` writes them.

use half::f16;
use lockstep_ascend_container::{
    Binary, Constant, DType, Dynamic, Gear, Model, Operand, Operator, Place, Port, Step, Unary, Value, write,
};

/// A model in the making.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) model: Model,
    constants: Vec<u8>,
}

/// A dense value of the gear in the making.
#[derive(Clone)]
pub(crate) struct Dense {
    value: usize,
    dims: Vec<i64>,
}

impl Dense {
    /// The whole of it.
    pub(crate) fn view(&self) -> Operand {
        let mut strides = vec![1; self.dims.len()];
        for axis in (1..self.dims.len()).rev() {
            strides[axis - 1] = strides[axis] * self.dims[axis];
        }
        Operand { value: self.value, dims: self.dims.clone(), strides, offset: 0 }
    }
}

impl Draft {
    /// With inputs and outputs by name, type and extents.
    pub(crate) fn new(inputs: &[(&str, DType, &[i64])], outputs: &[(&str, DType, &[i64])]) -> Self {
        let port = |&(name, dtype, dims): &(&str, DType, &[i64])| Port {
            name: name.to_owned(),
            dtype,
            dims: dims.to_vec(),
        };
        let model = Model {
            name: "drafted".to_owned(),
            producer: "a test".to_owned(),
            inputs: inputs.iter().map(port).collect(),
            outputs: outputs.iter().map(port).collect(),
            ..Model::default()
        };
        Self { model, constants: Vec::new() }
    }

    /// A constant; gives its number.
    pub(crate) fn constant(&mut self, bytes: &[u8]) -> usize {
        self.constants.resize(self.constants.len().next_multiple_of(64), 0);
        let name = format!("constant {}", self.model.constants.len());
        let (offset, length) = (self.constants.len() as u64, bytes.len() as u64);
        self.model.constants.push(Constant { name, offset, bytes: length });
        self.constants.extend(bytes);
        self.model.constants.len() - 1
    }

    /// Begins a gear, to which values and steps are added from now on.
    pub(crate) fn gear(&mut self, key: &[i64], inputs: &[&[i64]], outputs: &[&[i64]]) -> &mut Self {
        let dims = |all: &[&[i64]]| all.iter().map(|dims| dims.to_vec()).collect();
        let gear =
            Gear { key: key.to_vec(), inputs: dims(inputs), outputs: dims(outputs), ..Gear::default() };
        self.model.gears.push(gear);
        self
    }

    fn current(&mut self) -> &mut Gear {
        self.model.gears.last_mut().expect("a gear was begun")
    }

    fn value(&mut self, dtype: DType, dims: &[i64], place: Place) -> Dense {
        let gear = self.current();
        let name = format!("value {}", gear.values.len());
        gear.values.push(Value { name, dtype, elements: dims.iter().product::<i64>() as u64, place });
        Dense { value: gear.values.len() - 1, dims: dims.to_vec() }
    }

    /// What is fed.
    pub(crate) fn input(&mut self, at: usize) -> Dense {
        let dims = self.current().inputs[at].clone();
        self.value(self.model.inputs[at].dtype, &dims, Place::Input(at))
    }

    /// What is given.
    pub(crate) fn output(&mut self, at: usize) -> Dense {
        let dims = self.current().outputs[at].clone();
        self.value(self.model.outputs[at].dtype, &dims, Place::Output(at))
    }

    /// A constant by its number.
    pub(crate) fn weight(&mut self, at: usize, dtype: DType, dims: &[i64]) -> Dense {
        self.value(dtype, dims, Place::Constant(at))
    }

    /// Work memory of its own.
    pub(crate) fn between(&mut self, dtype: DType, dims: &[i64]) -> Dense {
        let offset = self.current().arena;
        let bytes = dims.iter().product::<i64>() as u64 * dtype.size();
        self.current().arena = (offset + bytes).next_multiple_of(64);
        self.value(dtype, dims, Place::Arena(offset))
    }

    /// A step over whole values.
    pub(crate) fn step(
        &mut self,
        name: &str,
        operator: Operator,
        inputs: &[&Dense],
        output: &Dense,
    ) -> &mut Self {
        let inputs = inputs.iter().map(|input| input.view()).collect();
        self.step_over(name, operator, inputs, output.view())
    }

    /// A step over views.
    pub(crate) fn step_over(
        &mut self,
        name: &str,
        operator: Operator,
        inputs: Vec<Operand>,
        output: Operand,
    ) -> &mut Self {
        self.current().steps.push(Step { name: name.to_owned(), operator, inputs, output });
        self
    }

    /// The file.
    pub(crate) fn file(&self) -> Vec<u8> {
        write(&self.model, &self.constants).expect("well formed")
    }
}

/// A model of one step, with as many inputs.
pub(crate) fn one_step(operator: Operator, inputs: &[(DType, &[i64])], output: (DType, &[i64])) -> Vec<u8> {
    let names: Vec<String> = (0..inputs.len()).map(|at| format!("in{at}")).collect();
    let ports: Vec<_> =
        names.iter().zip(inputs).map(|(name, &(dtype, dims))| (name.as_str(), dtype, dims)).collect();
    let mut draft = Draft::new(&ports, &[("out", output.0, output.1)]);
    let dims: Vec<&[i64]> = inputs.iter().map(|(_, dims)| *dims).collect();
    draft.gear(&[], &dims, &[output.1]);
    let values: Vec<Dense> = (0..inputs.len()).map(|at| draft.input(at)).collect();
    let out = draft.output(0);
    draft.step("the step", operator, &values.iter().collect::<Vec<_>>(), &out);
    draft.file()
}

/// `y = -(x + 1)` for four f32: one constant, one value between two steps.
pub(crate) fn negated_successor() -> Vec<u8> {
    batched(&[])
}

/// [`negated_successor`] of as many rows as a gear says; without gears, of one.
pub(crate) fn batched(gears: &[i64]) -> Vec<u8> {
    let rows = if gears.is_empty() { 1 } else { -1 };
    let mut draft = Draft::new(&[("x", DType::F32, &[rows, 4])], &[("y", DType::F32, &[rows, 4])]);
    draft.model.dynamic = if gears.is_empty() { Dynamic::No } else { Dynamic::Batch };
    let one = draft.constant(&1f32.to_le_bytes());
    for &rows in if gears.is_empty() { &[1] } else { gears } {
        let key: &[i64] = if gears.is_empty() { &[] } else { &[rows] };
        draft.gear(key, &[&[rows, 4]], &[&[rows, 4]]);
        let (x, y) = (draft.input(0), draft.output(0));
        let (one, sum) = (draft.weight(one, DType::F32, &[1]), draft.between(DType::F32, &[rows, 4]));
        draft.step("successor", Operator::Binary(Binary::Add), &[&x, &one], &sum);
        draft.step("negation", Operator::Unary(Unary::Neg), &[&sum], &y);
    }
    draft.file()
}

/// Bytes of f32.
pub(crate) fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// f32 of bytes.
pub(crate) fn f32_values(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Numbers as elements of a type, rounded half to even.
pub(crate) fn encoded(dtype: DType, values: &[f64]) -> Vec<u8> {
    let encode = |value: &f64| match dtype {
        DType::F32 => (*value as f32).to_le_bytes().to_vec(),
        DType::F16 => f16::from_f64(*value).to_le_bytes().to_vec(),
        DType::I64 => (*value as i64).to_le_bytes().to_vec(),
        DType::I32 => (*value as i32).to_le_bytes().to_vec(),
        DType::Bool => vec![u8::from(*value != 0.0)],
    };
    values.iter().flat_map(encode).collect()
}

/// Elements of a type as numbers.
pub(crate) fn decoded(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    let decode = |bytes: &[u8]| match dtype {
        DType::F32 => f32::from_le_bytes(bytes.try_into().expect("4")).into(),
        DType::F16 => f16::from_le_bytes(bytes.try_into().expect("2")).into(),
        DType::I64 => i64::from_le_bytes(bytes.try_into().expect("8")) as f64,
        DType::I32 => i32::from_le_bytes(bytes.try_into().expect("4")).into(),
        DType::Bool => bytes[0].into(),
    };
    bytes.chunks_exact(dtype.size() as usize).map(decode).collect()
}

/// Numbers in -1 to 1, the same for the same seed.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
