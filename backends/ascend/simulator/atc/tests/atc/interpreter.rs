//! The truth about a compiled model: its steps in f64, one element after the other, on memory as the file lays it out.
//!
//! Written from the container's documents alone. Work memory is one piece that begins as NaN, so that values which share it
//! when they should not, or are read before they are written, show.

use half::f16;
use lockstep_ascend_container::{
    Binary, Comparison, DType, Gear, Model, Operand, Operator, Place, Reduction, Step, Unary,
};
use lockstep_graph::{self as graph, HostTensor};

/// An array of f64: every number of a small model, ids too, is one exactly.
#[derive(Clone, Debug)]
struct Array {
    dims: Vec<usize>,
    data: Vec<f64>,
}

impl Array {
    /// The element of an index into extents that this array broadcasts to.
    fn at(&self, index: &[usize]) -> f64 {
        let missing = index.len() - self.dims.len();
        let position = self
            .dims
            .iter()
            .zip(&index[missing..])
            .fold(0, |position, (&dim, &at)| position * dim + if dim == 1 { 0 } else { at });
        self.data[position]
    }
}

/// What a model gives for these inputs, in its outputs' order.
pub(crate) fn run(model: &Model, constants: &[u8], inputs: &[HostTensor]) -> Vec<HostTensor> {
    let shapes: Vec<Vec<i64>> =
        inputs.iter().map(|input| input.shape().iter().map(|&extent| extent as i64).collect()).collect();
    let gear = model.gears.iter().find(|gear| gear.inputs == shapes).expect("a gear of these extents");
    let mut memory = Memory {
        model,
        gear,
        inputs,
        constants,
        outputs: Vec::new(),
        arena: vec![0xFF; gear.arena as usize],
    };
    for (port, dims) in model.outputs.iter().zip(&gear.outputs) {
        let elements: i64 = dims.iter().product();
        memory.outputs.push(vec![0xFF; elements as usize * port.dtype.size() as usize]);
    }
    for step in &gear.steps {
        check_dtypes(step, gear);
        let inputs: Vec<Array> = step.inputs.iter().map(|input| memory.read(input)).collect();
        let is_half = |operand: &Operand| gear.values[operand.value].dtype == DType::F16;
        let result = computed(step, &inputs, step.inputs.first().is_some_and(is_half));
        assert_eq!(result.dims, extents(&step.output.dims), "{step:?}");
        memory.write(&step.output, &result);
    }
    let given = model.outputs.iter().zip(&gear.outputs).zip(&memory.outputs);
    given.map(|((port, dims), bytes)| tensor(port.dtype, dims, bytes)).collect()
}

/// Holds a step's dtypes to what the container says of its operator: inputs have one, which the output shares, but where something
/// else is said.
fn check_dtypes(step: &Step, gear: &Gear) {
    let dtype = |operand: &Operand| gear.values[operand.value].dtype;
    let (inputs, output) = (step.inputs.iter().map(dtype).collect::<Vec<_>>(), dtype(&step.output));
    let is_float = |dtype: DType| matches!(dtype, DType::F32 | DType::F16);
    let all = |wanted: DType| inputs.iter().all(|&input| input == wanted);
    let are_fit = match step.operator {
        Operator::Cast => inputs.len() == 1,
        Operator::Compare(_) => output == DType::Bool && all(inputs[0]),
        Operator::Select => inputs == [DType::Bool, output, output],
        Operator::MatMul => {
            is_float(inputs[0]) && all(inputs[0]) && (output == inputs[0] || output == DType::F32)
        }
        Operator::Gather => inputs[0] == output && matches!(inputs[1], DType::I64 | DType::I32),
        Operator::Unary(Unary::Not) | Operator::Binary(Binary::And | Binary::Or) => {
            output == DType::Bool && all(output)
        }
        Operator::Softmax | Operator::LayerNorm { .. } | Operator::Gelu { .. } => {
            is_float(output) && all(output)
        }
        Operator::Unary(_) | Operator::Binary(_) | Operator::Reduce(_) => {
            output != DType::Bool && all(output)
        }
        Operator::Copy => all(output),
    };
    assert!(are_fit, "{step:?} reads {inputs:?} and writes {output:?}");
}

fn tensor(dtype: DType, dims: &[i64], bytes: &[u8]) -> HostTensor {
    let values: Vec<f64> = bytes.chunks(dtype.size() as usize).map(|bytes| number(dtype, bytes)).collect();
    let dtype = match dtype {
        DType::F32 => graph::DType::F32,
        DType::F16 => graph::DType::F16,
        DType::I64 => graph::DType::I64,
        DType::I32 => graph::DType::I32,
        DType::Bool => graph::DType::Bool,
    };
    HostTensor::from_f64(dtype, &extents(dims), &values).unwrap()
}

fn extents(dims: &[i64]) -> Vec<usize> {
    dims.iter().map(|&dim| dim as usize).collect()
}

fn number(dtype: DType, bytes: &[u8]) -> f64 {
    match dtype {
        DType::F32 => f32::from_le_bytes(bytes.try_into().unwrap()).into(),
        DType::F16 => f16::from_le_bytes(bytes.try_into().unwrap()).into(),
        DType::I64 => i64::from_le_bytes(bytes.try_into().unwrap()) as f64,
        DType::I32 => i32::from_le_bytes(bytes.try_into().unwrap()).into(),
        DType::Bool => bytes[0].into(),
    }
}

struct Memory<'a> {
    model: &'a Model,
    gear: &'a Gear,
    inputs: &'a [HostTensor],
    constants: &'a [u8],
    outputs: Vec<Vec<u8>>,
    arena: Vec<u8>,
}

impl Memory<'_> {
    fn bytes(&self, place: Place) -> &[u8] {
        match place {
            Place::Input(at) => self.inputs[at].bytes(),
            Place::Output(at) => &self.outputs[at],
            Place::Constant(at) => &self.constants[self.model.constants[at].offset as usize..],
            Place::Arena(offset) => &self.arena[offset as usize..],
        }
    }

    fn read(&self, operand: &Operand) -> Array {
        let value = &self.gear.values[operand.value];
        let (bytes, size) = (self.bytes(value.place), value.dtype.size() as usize);
        let data = positions(operand).map(|at| number(value.dtype, &bytes[at * size..(at + 1) * size]));
        Array { dims: extents(&operand.dims), data: data.collect() }
    }

    fn write(&mut self, operand: &Operand, result: &Array) {
        let value = &self.gear.values[operand.value];
        let (dtype, size) = (value.dtype, value.dtype.size() as usize);
        let memory = match value.place {
            Place::Output(at) => &mut self.outputs[at][..],
            Place::Arena(offset) => &mut self.arena[offset as usize..],
            other => panic!("a step writes to {other:?}"),
        };
        for (at, x) in positions(operand).zip(&result.data) {
            let to = &mut memory[at * size..(at + 1) * size];
            match dtype {
                DType::F32 => to.copy_from_slice(&(*x as f32).to_le_bytes()),
                DType::F16 => to.copy_from_slice(&f16::from_f64(*x).to_le_bytes()),
                DType::I64 => to.copy_from_slice(&(*x as i64).to_le_bytes()),
                DType::I32 => to.copy_from_slice(&(*x as i32).to_le_bytes()),
                DType::Bool => to[0] = u8::from(*x != 0.0),
            }
        }
    }
}

fn positions(operand: &Operand) -> impl Iterator<Item = usize> {
    let mut all = vec![operand.offset];
    for (&dim, &stride) in operand.dims.iter().zip(&operand.strides) {
        all = all.iter().flat_map(|at| (0..dim).map(move |index| at + index * stride)).collect();
    }
    all.into_iter().map(|at| at as usize)
}

fn computed(step: &Step, inputs: &[Array], is_half: bool) -> Array {
    let round = |x: f64| if is_half { f16::from_f64(x).to_f64() } else { x };
    match step.operator {
        Operator::Copy | Operator::Cast => inputs[0].clone(),
        Operator::Unary(op) => each(inputs, |x| unary(op, x[0])),
        Operator::Binary(op) => each(inputs, |x| binary(op, x[0], x[1])),
        Operator::Compare(op) => each(inputs, |x| f64::from(compare(op, x[0], x[1]))),
        Operator::Select => each(inputs, |x| if x[0] != 0.0 { x[1] } else { x[2] }),
        Operator::Reduce(op) => reduce(op, &inputs[0], &extents(&step.output.dims)),
        Operator::Softmax => rows(&inputs[0], |row| {
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = row.iter().map(|x| round(x - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| weight / sum).collect()
        }),
        Operator::MatMul => matmul(&inputs[0], &inputs[1]),
        Operator::Gather => {
            let [table, indices] = inputs else { panic!("{step:?}") };
            let width = table.dims[1];
            let row = |&index: &f64| {
                assert!((0.0..table.dims[0] as f64).contains(&index), "{step:?}");
                table.data[index as usize * width..][..width].to_vec()
            };
            let data = indices.data.iter().flat_map(row).collect();
            Array { dims: [&indices.dims[..], &[width]].concat(), data }
        }
        Operator::LayerNorm { epsilon, .. } => {
            let [x, gamma, beta] = inputs else { panic!("{step:?}") };
            rows(x, |row| {
                let count = row.len() as f64;
                let mean = round(row.iter().sum::<f64>() / count);
                let variance = round(row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count);
                let scale = 1.0 / (variance + epsilon).sqrt();
                let weights = gamma.data.iter().zip(&beta.data);
                row.iter().zip(weights).map(|(x, (gamma, beta))| (x - mean) * scale * gamma + beta).collect()
            })
        }
        Operator::Gelu { is_tanh } => each(inputs, |x| {
            let x = x[0];
            let cubic = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            let inner = if is_tanh { cubic.tanh() } else { libm::erf(x / 2.0f64.sqrt()) };
            0.5 * x * (1.0 + inner)
        }),
    }
}

/// A function of one element of each input, broadcast.
fn each(inputs: &[Array], function: impl Fn(&[f64]) -> f64) -> Array {
    let dims = broadcast(&inputs.iter().map(|input| &input.dims[..]).collect::<Vec<_>>());
    let data = indices(&dims)
        .map(|index| function(&inputs.iter().map(|input| input.at(&index)).collect::<Vec<_>>()))
        .collect();
    Array { dims, data }
}

fn broadcast(all: &[&[usize]]) -> Vec<usize> {
    let rank = all.iter().map(|dims| dims.len()).max().unwrap();
    (0..rank)
        .map(|axis| {
            let extent = |dims: &&[usize]| (axis + dims.len()).checked_sub(rank).map_or(1, |own| dims[own]);
            let known: Vec<usize> = all.iter().map(extent).filter(|&extent| extent != 1).collect();
            assert!(known.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
            known.first().copied().unwrap_or(1)
        })
        .collect()
}

/// Every index into these extents, in order.
fn indices(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let dims = dims.to_vec();
    (0..dims.iter().product()).map(move |mut position: usize| {
        let mut index = vec![0; dims.len()];
        for axis in (0..dims.len()).rev() {
            (index[axis], position) = (position % dims[axis], position / dims[axis]);
        }
        index
    })
}

fn rows(x: &Array, function: impl Fn(&[f64]) -> Vec<f64>) -> Array {
    let length = *x.dims.last().unwrap();
    Array { dims: x.dims.clone(), data: x.data.chunks(length).flat_map(function).collect() }
}

fn reduce(op: Reduction, x: &Array, dims: &[usize]) -> Array {
    let count: usize = dims.iter().product();
    let mut parts: Vec<Vec<f64>> = vec![vec![]; count];
    for (index, &value) in indices(&x.dims).zip(&x.data) {
        let kept = dims.iter().zip(&index).map(|(&dim, &at)| if dim == 1 { 0 } else { at });
        parts[dims.iter().zip(kept).fold(0, |position, (&dim, at)| position * dim + at)].push(value);
    }
    let one = |part: &Vec<f64>| match op {
        Reduction::Sum => part.iter().sum(),
        Reduction::Mean => part.iter().sum::<f64>() / part.len() as f64,
        Reduction::Max => part.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Reduction::Min => part.iter().copied().fold(f64::INFINITY, f64::min),
    };
    Array { dims: dims.to_vec(), data: parts.iter().map(one).collect() }
}

fn matmul(a: &Array, b: &Array) -> Array {
    let (rows, shared) = (a.dims[a.dims.len() - 2], a.dims[a.dims.len() - 1]);
    let columns = b.dims[b.dims.len() - 1];
    assert_eq!(b.dims[b.dims.len() - 2], shared);
    let batch = broadcast(&[&a.dims[..a.dims.len() - 2], &b.dims[..b.dims.len() - 2]]);
    let mut data = Vec::new();
    for index in indices(&batch) {
        let start = |x: &Array| {
            let own = &x.dims[..x.dims.len() - 2];
            let index = &index[index.len() - own.len()..];
            let place =
                own.iter().zip(index).fold(0, |p, (&dim, &at)| p * dim + if dim == 1 { 0 } else { at });
            place * x.dims[x.dims.len() - 2..].iter().product::<usize>()
        };
        let (a, b) = (&a.data[start(a)..], &b.data[start(b)..]);
        for row in 0..rows {
            let mut sums = vec![0.0; columns];
            for at in 0..shared {
                let factor = a[row * shared + at];
                sums.iter_mut().zip(&b[at * columns..]).for_each(|(sum, x)| *sum += factor * x);
            }
            data.extend(sums);
        }
    }
    Array { dims: [&batch[..], &[rows, columns]].concat(), data }
}

fn unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Abs => x.abs(),
        Unary::Neg => -x,
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Reciprocal => 1.0 / x,
        Unary::Erf => libm::erf(x),
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Relu => x.max(0.0),
        Unary::Not => f64::from(x == 0.0),
    }
}

fn binary(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Pow => a.powf(b),
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::And => f64::from(a != 0.0 && b != 0.0),
        Binary::Or => f64::from(a != 0.0 || b != 0.0),
    }
}

fn compare(op: Comparison, a: f64, b: f64) -> bool {
    match op {
        Comparison::Equal => a == b,
        Comparison::Less => a < b,
        Comparison::LessOrEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterOrEqual => a >= b,
    }
}
