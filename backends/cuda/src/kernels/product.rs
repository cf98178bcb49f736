//! Products: a half-precision Linear runs on tensor cores where its rows allow it, any other product without them. What follows the
//! sums is in the same kernel and rounds once.

use super::{StepPlan, aligned, count, number, pointer};
use crate::error::unclaimed;
use crate::launch::{Argument, Place};
use lockstep_hal::graph::{Activation, DType, GeluForm, Linear, Op};
use lockstep_hal::{OpQuery, Result};
use lockstep_kernels::movement::{Dimension, Strided};

/// Processors of an A100: with fewer blocks some are idle.
const PROCESSORS: usize = 108;

/// Rows and columns of a kernel's block.
#[derive(Clone, Copy)]
struct Tile {
    rows: usize,
    columns: usize,
}

impl Tile {
    /// Tiles that cover an output.
    fn blocks(self, m: usize, n: usize) -> [usize; 2] {
        [m.div_ceil(self.rows), n.div_ceil(self.columns)]
    }

    fn count(self, m: usize, n: usize) -> usize {
        self.blocks(m, n).iter().product()
    }

    /// Whether at least half of a tile's rows and of its columns are the output's: what is beyond is computed in vain.
    fn is_filled(self, m: usize, n: usize) -> bool {
        2 * m >= self.rows && 2 * n >= self.columns
    }
}

/// Bytes of scratch of a Linear: its bias, where that has another dtype.
pub(crate) fn linear_scratch(query: &OpQuery<'_>) -> Option<usize> {
    let Op::Linear(Linear { bias: true, .. }) = query.op else { return Some(0) };
    let bias = query.inputs.get(2)?;
    let elements: usize = bias.fixed_shape()?.iter().product();
    Some(if bias.dtype == DType::F32 { 0 } else { aligned(elements * size_of::<f32>()) })
}

pub(super) fn linear(plan: &mut StepPlan<'_, '_>, parts: Linear) -> Result<()> {
    let (x, weight, out) = (plan.input(0), plan.input(1), plan.output()?);
    let &[n, k] = weight.shape.as_slice() else { return Err(unclaimed(plan.step)) };
    if count(out) == 0 {
        return Ok(());
    }
    let m = count(out) / n;
    let (bias, residual) = (bias(plan, parts)?, residual(plan, parts));
    let activation = activation(parts);
    // `linear_mma.cu` copies rows by 16 bytes, and reckons with the bytes of a tile's rows in 32 bits.
    let is_half = x.dtype == weight.dtype && x.dtype != DType::F32;
    if is_half && k.is_multiple_of(16 / x.dtype.size()) && k < 1 << 24 {
        return on_tensor_cores(plan, bias, residual, [m, n, k], activation);
    }
    let product = Product {
        size: [m, n, k],
        transposed: true,
        batch: 1,
        strides: [0; 3],
        places: [plan.input_place(0), plan.input_place(1), plan.output_place()?],
        dtypes: [x.dtype, weight.dtype, out.dtype],
        bias,
        residual,
        activation,
    };
    product.launch(plan)
}

fn on_tensor_cores(
    plan: &mut StepPlan<'_, '_>,
    bias: Place,
    residual: Place,
    [m, n, k]: [usize; 3],
    activation: u32,
) -> Result<()> {
    let dtype = plan.input(0).dtype;
    let shape = MmaShape::of(m, n);
    let tile = shape.tile;
    let arguments = vec![
        pointer(plan.input_place(0)),
        pointer(plan.input_place(1)),
        pointer(bias),
        pointer(residual),
        pointer(plan.output_place()?),
        number(m),
        number(n),
        number(k),
        Argument::U32(activation),
    ];
    let kernel = format!("linear_mma_{}x{}_{dtype}", tile.rows, tile.columns);
    plan.launch(kernel, [tile.count(m, n), 1], 128, shape.shared_bytes(), arguments)
}

/// A kernel of `linear_mma.cu`, of four warps.
#[derive(Clone, Copy)]
struct MmaShape {
    tile: Tile,
    /// Columns of k in a stage, and stages.
    depth: usize,
    stages: usize,
    /// Rows and columns of a warp.
    warp: [usize; 2],
    /// The blocks from which on it is used.
    from: usize,
}

impl MmaShape {
    /// The large ones read each factor less often; the small ones are for products that would leave processors idle with those. A
    /// row has the same bits in each. The source has the same table.
    const ALL: [Self; 4] = [
        Self::new([128, 128], 32, 3, 2 * PROCESSORS),
        Self::new([128, 64], 64, 3, 2 * PROCESSORS),
        Self::new([64, 64], 64, 3, PROCESSORS),
        Self::SMALLEST,
    ];
    const SMALLEST: Self = Self::new([32, 32], 64, 6, 0);

    const fn new([rows, columns]: [usize; 2], depth: usize, stages: usize, from: usize) -> Self {
        Self { tile: Tile { rows, columns }, depth, stages, warp: [rows / 2, columns / 2], from }
    }

    fn of(m: usize, n: usize) -> Self {
        let fits = |shape: &Self| shape.tile.count(m, n) >= shape.from && shape.tile.is_filled(m, n);
        Self::ALL.into_iter().find(fits).unwrap_or(Self::SMALLEST)
    }

    /// For the tiles of all stages, of two bytes an element, and then for the sums of four warps.
    fn shared_bytes(self) -> usize {
        let tiles = self.stages * self.depth * (self.tile.rows + self.tile.columns) * 2;
        let sums = 4 * self.warp[0] * (self.warp[1] + 8) * size_of::<f32>();
        tiles.max(sums)
    }
}

fn bias(plan: &mut StepPlan<'_, '_>, parts: Linear) -> Result<Place> {
    if parts.bias { plan.input_as(2, DType::F32) } else { Ok(Place::Null) }
}

fn residual(plan: &mut StepPlan<'_, '_>, parts: Linear) -> Place {
    let last = plan.step.inputs.len() - 1;
    if parts.residual { plan.input_place(last) } else { Place::Null }
}

/// `Activation` of `activation.cuh`.
fn activation(parts: Linear) -> u32 {
    match parts.activation {
        None => 0,
        Some(Activation::Gelu(GeluForm::Erf)) => 1,
        Some(Activation::Gelu(GeluForm::Tanh)) => 2,
        Some(Activation::Tanh) => 3,
    }
}

/// `a b`, or `a b^T`, for each of a batch, by `product.cu`.
struct Product {
    /// m, n and k.
    size: [usize; 3],
    /// Whether b is `[n, k]`, as weights are stored, or `[k, n]`.
    transposed: bool,
    batch: usize,
    /// Elements from one product's a, b and out to the next's; 0 where one serves all.
    strides: [usize; 3],
    /// a, b and out.
    places: [Place; 3],
    dtypes: [DType; 3],
    bias: Place,
    residual: Place,
    activation: u32,
}

/// `Type` of `product.cu`.
fn code(dtype: DType) -> u32 {
    match dtype {
        DType::F16 => 1,
        DType::Bf16 => 2,
        _ => 0,
    }
}

impl Product {
    /// The largest tile that gives two blocks or more to each processor, its threads and its shared memory. An element has the same
    /// bits in each.
    fn tile(&self) -> (Tile, usize, usize) {
        let [m, n, k] = self.size;
        let stages = |tile: Tile, depth: usize| 2 * depth * (tile.rows + tile.columns + 8) * size_of::<f32>();
        for (side, threads) in [(128, 256), (64, 64)] {
            let tile = Tile { rows: side, columns: side };
            if self.batch * tile.count(m, n) >= 2 * PROCESSORS && tile.is_filled(m, n) {
                return (tile, threads, stages(tile, 8));
            }
        }
        let tile = Tile { rows: 16, columns: 32 };
        // A group of threads for each chain of k, up to four.
        let groups = k.div_ceil(256).clamp(1, 4);
        (tile, groups * 128, groups * stages(tile, 32))
    }

    fn launch(&self, plan: &mut StepPlan<'_, '_>) -> Result<()> {
        let (tile, threads, shared_bytes) = self.tile();
        let [m, n, k] = self.size;
        let form = if self.transposed { "abt" } else { "ab" };
        let kernel = format!("product_{}x{}_{form}", tile.rows, tile.columns);
        let [rows, columns] = tile.blocks(m, n);
        let mut arguments: Vec<Argument> =
            [self.places[0], self.places[1], self.bias, self.residual, self.places[2]].map(pointer).into();
        arguments.extend([m, n, k].into_iter().chain(self.strides).map(number));
        arguments.extend(self.dtypes.map(|dtype| Argument::U32(code(dtype))));
        arguments.push(Argument::U32(self.activation));
        plan.launch(kernel, [rows * self.batch, columns], threads, shared_bytes, arguments)
    }
}

pub(super) fn matmul(plan: &mut StepPlan<'_, '_>) -> Result<()> {
    let (a, b, out) = (plan.input(0), plan.input(1), plan.output()?);
    if count(out) == 0 {
        return Ok(());
    }
    let (rank, size) = (out.shape.len(), out.dtype.size());
    let (m, n, k) = (out.shape[rank - 2], out.shape[rank - 1], a.shape[a.shape.len() - 1]);
    let places = [plan.input_place(0), plan.input_place(1), plan.output_place()?];
    // Over the batch dimensions, in matrices.
    let batch = &out.shape[..rank - 2];
    let (a_batch, b_batch) = (&a.shape[..a.shape.len() - 2], &b.shape[..b.shape.len() - 2]);
    let walk = plan.strided(Strided::broadcast(batch, [a_batch, b_batch, batch]))?;
    let one = Dimension { length: 1, strides: [0; 3] };
    let (inner, outer) = walk.dimensions().split_last().unwrap_or((&one, &[]));
    let matrices = [m * k, k * n, m * n];
    // What one strided product cannot walk is several.
    for number in 0..outer.iter().map(|dimension| dimension.length).product::<usize>() {
        let mut at = [0; 3];
        let mut rest = number;
        for dimension in outer.iter().rev() {
            for (at, stride) in at.iter_mut().zip(dimension.strides) {
                *at += rest % dimension.length * stride;
            }
            rest /= dimension.length;
        }
        let product = Product {
            size: [m, n, k],
            transposed: false,
            batch: inner.length,
            strides: std::array::from_fn(|which| inner.strides[which] * matrices[which]),
            places: std::array::from_fn(|which| places[which].plus(at[which] * matrices[which] * size)),
            dtypes: [a.dtype, b.dtype, out.dtype],
            bias: Place::Null,
            residual: Place::Null,
            activation: 0,
        };
        product.launch(plan)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::MmaShape;

    #[test]
    fn the_source_has_the_shapes_that_are_launched() {
        let source = include_str!("../../../../kernels/src/linear/linear_mma.cu");
        for MmaShape { tile, depth, stages, warp: [rows, columns], .. } in MmaShape::ALL {
            let kernel = format!(
                "LINEAR_KERNEL({}, {}, {rows}, {columns}, {depth}, {stages},",
                tile.rows, tile.columns
            );
            assert!(source.contains(&kernel), "no {kernel}");
        }
    }
}
