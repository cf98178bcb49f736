//! Random typed graphs. What is drawn depends on the seed and the dtype alone, so that every device is given the same graphs.

use super::sketch::{Leaf, Sketch, SketchNode, Source, type_of};
use super::values::{Values, tensor};
use crate::random::Random;
use lockstep_runtime::graph::{Op, TensorType, infer};
use lockstep_runtime::tensor::DType;

/// No graph has more nodes.
const MOST_NODES: usize = 12;
/// Beyond it a value takes long to judge and shows nothing new.
const MOST_ELEMENTS: usize = 4096;
/// Around vectors and tiles; 1 twice, since broadcasting and empty loops hang on it.
const EXTENTS: [usize; 17] = [1, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65];

/// The graph of a seed.
pub(super) fn sketch(seed: u64, dtype: DType) -> Sketch {
    let mut r = Random(seed);
    let values = Values::any(&mut r);
    let nodes = 1 + r.below(MOST_NODES);
    let mut generator =
        Generator { r, dtype, values, sketch: Sketch::default(), types: Vec::new(), is_recent: true };
    while generator.sketch.nodes.len() < nodes {
        generator.grow();
    }
    generator.sketch.nodes.truncate(nodes);
    generator.sketch.swept()
}

pub(super) struct Generator {
    pub(super) r: Random,
    /// The dtype under test.
    pub(super) dtype: DType,
    values: Values,
    sketch: Sketch,
    /// Of the nodes' values.
    types: Vec<TensorType>,
    /// Whether the next value to be picked is rather a new one.
    is_recent: bool,
}

impl Generator {
    /// An axis' extent.
    pub(super) fn extent(&mut self) -> usize {
        if self.r.below(40) == 0 { 0 } else { self.r.pick(&EXTENTS) }
    }

    /// So many extents, not too many elements.
    pub(super) fn shape(&mut self, rank: usize) -> Vec<usize> {
        loop {
            let shape: Vec<usize> = (0..rank).map(|_| self.extent()).collect();
            if shape.iter().product::<usize>() <= MOST_ELEMENTS / 2 {
                return shape;
            }
        }
    }

    /// A shape that broadcasts to `shape`.
    pub(super) fn narrower(&mut self, shape: &[usize]) -> Vec<usize> {
        let axes = match self.r.below(3) {
            0 => 0,
            _ => self.r.below(shape.len() + 1),
        };
        let narrowed = shape[axes..].iter().map(|&extent| if self.r.below(4) == 0 { 1 } else { extent });
        narrowed.collect()
    }

    /// The type of a value.
    pub(super) fn ty(&self, source: Source) -> TensorType {
        match source {
            Source::Leaf(at) => type_of(&self.sketch.leaves[at].tensor),
            Source::Node(at) => self.types[at].clone(),
        }
    }

    /// Its extents, which are known throughout.
    pub(super) fn extents(&self, source: Source) -> Vec<usize> {
        self.ty(source).fixed_shape().unwrap_or_default()
    }

    /// A value that fits, rather a new one, so that chains grow.
    pub(super) fn existing(&mut self, fits: impl Fn(&TensorType) -> bool) -> Option<Source> {
        let leaves = (0..self.sketch.leaves.len()).map(Source::Leaf);
        let all: Vec<Source> = leaves.chain((0..self.types.len()).map(Source::Node)).collect();
        let fitting: Vec<Source> = all.into_iter().filter(|&source| fits(&self.ty(source))).collect();
        self.is_recent = !self.is_recent;
        match fitting.last() {
            Some(&newest) if self.is_recent => Some(newest),
            Some(_) => Some(self.r.pick(&fitting)),
            None => None,
        }
    }

    /// A float of the dtype under test with at least so many axes, now and then of another dtype.
    pub(super) fn float(&mut self, rank: usize) -> Source {
        let other = self.r.below(16) == 0;
        let (dtype, from_outside) = (self.dtype, self.r.below(5) == 0);
        let fits = |ty: &TensorType| {
            ty.shape.len() >= rank && if other { ty.dtype.is_float() } else { ty.dtype == dtype }
        };
        match self.existing(fits) {
            Some(source) if !from_outside => source,
            _ => {
                let rank = rank.max(1) + self.r.below(3);
                let shape = self.shape(rank.min(4));
                self.leaf(dtype, &shape)
            }
        }
    }

    /// A value of any dtype with at least so many axes.
    pub(super) fn anything(&mut self, rank: usize) -> Source {
        let whole = self.r.below(6) == 0;
        if whole {
            let dtype = self.r.pick(&[DType::I64, DType::I32, DType::Bool]);
            let shape = self.shape(rank.max(1));
            return self.leaf(dtype, &shape);
        }
        let found = self.existing(|ty| ty.shape.len() >= rank);
        found.unwrap_or_else(|| self.float(rank))
    }

    /// A value of that very type.
    pub(super) fn alike(&mut self, dtype: DType, shape: &[usize]) -> Source {
        let wanted = TensorType::fixed(dtype, shape);
        let from_outside = self.r.below(3) == 0;
        match self.existing(|ty| *ty == wanted) {
            Some(source) if !from_outside => source,
            _ => self.leaf(dtype, shape),
        }
    }

    /// A new leaf, handed to the run or a constant.
    pub(super) fn leaf(&mut self, dtype: DType, shape: &[usize]) -> Source {
        let count: usize = shape.iter().product();
        let tensor = match dtype {
            dtype if dtype.is_float() => self.values.floats(&mut self.r, dtype, shape),
            DType::Bool => {
                let values: Vec<f64> = (0..count).map(|_| self.r.below(2) as f64).collect();
                tensor(dtype, shape, &values)
            }
            dtype => {
                let values: Vec<f64> = (0..count).map(|_| (50.0 * self.r.value()).trunc()).collect();
                tensor(dtype, shape, &values)
            }
        };
        let is_constant = self.r.below(3) == 0;
        self.sketch.leaves.push(Leaf { tensor, is_constant });
        Source::Leaf(self.sketch.leaves.len() - 1)
    }

    /// A weight: a constant, now and then stored in another dtype than the device computes in. Never hostile itself, lest
    /// everything that follows is NaN.
    pub(super) fn weight(&mut self, shape: &[usize]) -> Source {
        let stored = self.r.pick(&[self.dtype, self.dtype, self.dtype, DType::F32, DType::F16, DType::Bf16]);
        let tensor = Values::Plain.floats(&mut self.r, stored, shape);
        let is_constant = self.r.below(4) != 0;
        self.sketch.leaves.push(Leaf { tensor, is_constant });
        Source::Leaf(self.sketch.leaves.len() - 1)
    }

    /// Integers to be read as places, each of `0..below`.
    pub(super) fn places(&mut self, dtype: DType, shape: &[usize], below: usize) -> Source {
        let count: usize = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|_| self.r.below(below) as f64).collect();
        self.given(dtype, shape, &values)
    }

    /// A leaf of these very values.
    pub(super) fn given(&mut self, dtype: DType, shape: &[usize], values: &[f64]) -> Source {
        let is_constant = self.r.below(3) == 0;
        self.sketch.leaves.push(Leaf { tensor: tensor(dtype, shape, values), is_constant });
        Source::Leaf(self.sketch.leaves.len() - 1)
    }

    /// Adds a node, unless its value would be too large or its inputs do not fit after all.
    pub(super) fn node(&mut self, op: Op, inputs: &[Source]) -> Option<Source> {
        let types: Vec<TensorType> = inputs.iter().map(|&source| self.ty(source)).collect();
        let types: Vec<&TensorType> = types.iter().collect();
        let ty = infer("node", &op, &types).ok()?.swap_remove(0);
        if ty.fixed_shape()?.iter().product::<usize>() > MOST_ELEMENTS {
            return None;
        }
        self.sketch.nodes.push(SketchNode { op, inputs: inputs.to_vec() });
        self.types.push(ty);
        Some(Source::Node(self.types.len() - 1))
    }
}
