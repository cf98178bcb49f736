//! The kernel of all matrix products: operands are copied densely and widened, multiplied, scaled, rounded once.

use super::Multiplicands;
use crate::meta::executor::{Described, Fault, Launch, Planned, Tensors};
use crate::numerics::{Number, Numerics, Rounding, round, storage::Element};
use crate::ops::access::{Access, copy_elements};
use crate::ops::axes::permuted;
use crate::ops::pointwise::mismatch;
use crate::view::{View, contiguous_strides, element_size};
use lockstep_kernels::matmul::{MatmulShape, matmul, matmul_scratch};
use lockstep_kernels::{Isa, Parallel, Serial};

/// `out = alpha * (a @ b) + beta * addend`, or only the product.
pub(super) struct Product {
    /// Operand numbers.
    pub(super) a: usize,
    pub(super) b: usize,
    pub(super) out: usize,
    /// Whether the last two axes of `a` and `b` are exchanged first.
    pub(super) transposed: [bool; 2],
    pub(super) multiplicands: Multiplicands,
    pub(super) sum: Option<Sum>,
}

/// What is added, and the factors of product and addend.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    pub(super) addend: usize,
    pub(super) alpha: f64,
    pub(super) beta: f64,
}

impl Product {
    pub(super) fn planned(self, tensors: &Tensors) -> Planned {
        let [a, b] = [(self.a, 0), (self.b, 1)]
            .map(|(index, side)| copied_bytes(&tensors[index], self.transposed[side]));
        Planned {
            workspace: a.saturating_add(b),
            kernel: Box::new(move |launch| match launch.settings.numerics {
                Numerics::Published => self.run::<f32>(launch),
                Numerics::Exact => self.run::<f64>(launch),
            }),
        }
    }

    fn run<C: Multiply>(&self, launch: &Launch<'_>) -> Result<(), Fault> {
        let rounding = Rounding::of(launch.settings);
        let mut a = matrices(launch.view(self.a), self.transposed[0], Side::Left);
        let mut b = matrices(launch.view(self.b), self.transposed[1], Side::Right);
        let axes = a.dims.len().max(b.dims.len());
        // Missing batch axes count as 1.
        for operand in [&mut a, &mut b] {
            let missing = axes - operand.dims.len();
            operand.dims.splice(0..0, vec![1; missing]);
            operand.strides.splice(0..0, vec![0; missing]);
        }
        let extent = |dim: i64| dim as usize;
        let sizes = Sizes {
            batch: a.dims[..axes - 2]
                .iter()
                .zip(&b.dims)
                .map(|(a, b)| extent(if *a == 1 { *b } else { *a }))
                .collect(),
            m: extent(a.dims[axes - 2]),
            k: extent(a.dims[axes - 1]),
            n: extent(b.dims[axes - 1]),
        };
        let mut workspace = Workspace { free: launch.workspace };
        let mut dense_a = Access::of(&workspace.densely(&a)?, rounding)?.all::<C>();
        let mut dense_b = Access::of(&workspace.densely(&b)?, rounding)?.all::<C>();
        let is_published = launch.settings.numerics == Numerics::Published;
        for values in [&mut dense_a, &mut dense_b] {
            match self.multiplicands {
                Multiplicands::Hf32 if is_published => values.iter_mut().for_each(|x| *x = x.to_hf32()),
                Multiplicands::F16 if is_published => Element::F16.narrow(values, rounding),
                _ => {}
            }
        }
        let strides = [&a, &b].map(|view| batch_strides(&view.dims));
        let mut product = vec![C::ZERO; sizes.batch.iter().product::<usize>() * sizes.m * sizes.n];
        C::multiply_matrices(&sizes, &dense_a, &strides[0], &dense_b, &strides[1], &mut product);
        if let Some(sum) = self.sum {
            self.add(sum, launch, &mut product, rounding)?;
        }
        let out = Access::of(launch.view(self.out), rounding)?;
        if out.count() != product.len() {
            return Err(mismatch(&launch.view(self.out).dims, &a.dims));
        }
        out.store(0, &product);
        Ok(())
    }

    fn add<C: Number>(
        &self,
        sum: Sum,
        launch: &Launch<'_>,
        product: &mut [C],
        rounding: Rounding,
    ) -> Result<(), Fault> {
        let (alpha, beta) = (C::of_f64(sum.alpha), C::of_f64(sum.beta));
        let dims = &launch.view(self.out).dims;
        let addend = launch.view(sum.addend);
        let addend = addend.broadcast_to(dims).ok_or_else(|| mismatch(&addend.dims, dims))?;
        let addend = Access::of(&addend, rounding)?;
        let mut block = [C::ZERO; 1024];
        for (index, product) in product.chunks_mut(1024).enumerate() {
            // Where beta is 0 the addend is not read: a NaN in it does not reach the result, as in BLAS.
            let block = &mut block[..product.len()];
            if sum.beta != 0.0 {
                addend.load(index * 1024, block);
            }
            for (product, addend) in product.iter_mut().zip(block.iter()) {
                *product = alpha.multiply(*product).add(beta.multiply(*addend));
            }
        }
        Ok(())
    }
}

/// Where copies of operands start in the workspace: multiples of so many bytes.
const COPY_ALIGNMENT: u64 = 512;

/// Bytes of workspace for an operand: strided ones are copied into it, as on the device.
fn copied_bytes(tensor: &Described, is_transposed: bool) -> u64 {
    let view = View {
        dtype: tensor.dtype,
        dims: tensor.dims.clone(),
        strides: tensor.strides.clone(),
        data: core::ptr::null_mut(),
    };
    if view.is_contiguous() && !is_transposed {
        return 0;
    }
    let bytes = view.count() as u64 * element_size(tensor.dtype).unwrap_or(0) as u64;
    bytes.next_multiple_of(COPY_ALIGNMENT)
}

/// What is left of a launch's workspace.
struct Workspace {
    free: (*mut u8, u64),
}

impl Workspace {
    /// The same matrices lying densely: those of `view`, or a copy of them.
    fn densely(&mut self, view: &View) -> Result<View, Fault> {
        if view.is_contiguous() {
            return Ok(view.clone());
        }
        let bytes = view.count() as u64 * element_size(view.dtype).unwrap_or(0) as u64;
        let (data, left) = self.free;
        if bytes > left {
            return Err(Fault::new(
                507_015,
                format!("a copy of {bytes} bytes does not fit a workspace of {left}"),
            ));
        }
        let used = bytes.next_multiple_of(COPY_ALIGNMENT).min(left);
        self.free = (data.wrapping_add(used as usize), left - used);
        let dense = View { strides: contiguous_strides(&view.dims), data, ..view.clone() };
        copy_elements(view, &dense)?;
        Ok(dense)
    }
}

/// On which side of the product an operand stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// The operand as matrices: a vector is a row on the left and a column on the right.
fn matrices(view: &View, is_transposed: bool, side: Side) -> View {
    let mut view = view.clone();
    if view.dims.len() == 1 {
        let at = if side == Side::Left { 0 } else { 1 };
        view.dims.insert(at, 1);
        view.strides.insert(at, 0);
    }
    if !is_transposed {
        return view;
    }
    let mut order: Vec<usize> = (0..view.dims.len()).collect();
    let last = order.len() - 1;
    order.swap(last, last - 1);
    permuted(&view, &order)
}

/// The elements between one matrix and the next along each batch axis of a dense operand; 0 where it repeats.
fn batch_strides(dims: &[i64]) -> Vec<usize> {
    let (batch, matrix) = dims.split_at(dims.len() - 2);
    let mut step = matrix.iter().map(|dim| *dim as usize).product::<usize>();
    let mut strides = vec![0; batch.len()];
    for (stride, dim) in strides.iter_mut().zip(batch).rev() {
        *stride = if *dim == 1 { 0 } else { step };
        step *= *dim as usize;
    }
    strides
}

/// Sizes of a dense product.
struct Sizes {
    batch: Vec<usize>,
    m: usize,
    k: usize,
    n: usize,
}

/// A type in which matrices are multiplied.
trait Multiply: Number {
    fn to_hf32(self) -> Self;
    /// `out` is dense; the strides are those of [`batch_strides`].
    fn multiply_matrices(
        sizes: &Sizes,
        a: &[Self],
        a_strides: &[usize],
        b: &[Self],
        b_strides: &[usize],
        out: &mut [Self],
    );
}

impl Multiply for f32 {
    fn to_hf32(self) -> Self {
        round::to_hf32(self)
    }

    fn multiply_matrices(
        sizes: &Sizes,
        a: &[Self],
        a_strides: &[usize],
        b: &[Self],
        b_strides: &[usize],
        out: &mut [Self],
    ) {
        let shape =
            MatmulShape { batch: &sizes.batch, a_strides, b_strides, m: sizes.m, k: sizes.k, n: sizes.n };
        let isa = Isa::detect();
        let pool: &dyn Parallel =
            if out.len().saturating_mul(sizes.k) < WORTH_SHARING { &Serial } else { &Threads };
        let mut scratch = vec![0.0; matmul_scratch(isa, &shape, pool.threads())];
        matmul(isa, pool, &shape, a, b, out, &mut scratch);
    }
}

/// Multiply-adds that are worth starting threads for.
const WORTH_SHARING: usize = 1 << 24;

/// Threads that live for one product; which of them computes what changes no bit.
struct Threads;

impl Parallel for Threads {
    fn threads(&self) -> usize {
        std::thread::available_parallelism().map_or(1, |count| count.get().min(8))
    }

    fn run(&self, pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
        let next = std::sync::atomic::AtomicUsize::new(0);
        let work = || loop {
            let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if index >= pieces {
                return;
            }
            piece(index);
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads().min(pieces) {
                scope.spawn(work);
            }
            work();
        });
    }
}

impl Multiply for f64 {
    /// Exact numerics do not know the format.
    fn to_hf32(self) -> Self {
        self
    }

    /// Row by row, so that the compiler vectorises over columns: truth does not have to be fast.
    fn multiply_matrices(
        sizes: &Sizes,
        a: &[Self],
        a_strides: &[usize],
        b: &[Self],
        b_strides: &[usize],
        out: &mut [Self],
    ) {
        let &Sizes { ref batch, m, k, n } = sizes;
        if m * n == 0 {
            return;
        }
        for (matrix, out) in out.chunks_exact_mut(m * n).enumerate() {
            let a = &a[start(matrix, batch, a_strides)..][..m * k];
            let b = &b[start(matrix, batch, b_strides)..][..k * n];
            for (row, out) in out.chunks_exact_mut(n).enumerate() {
                for (index, &x) in a[row * k..(row + 1) * k].iter().enumerate() {
                    for (out, y) in out.iter_mut().zip(&b[index * n..(index + 1) * n]) {
                        *out += x * y;
                    }
                }
            }
        }
    }
}

/// Where matrix `index` of the batch starts.
fn start(index: usize, batch: &[usize], strides: &[usize]) -> usize {
    let (mut rest, mut start) = (index, 0);
    for (size, stride) in batch.iter().zip(strides).rev() {
        start += rest % size * stride;
        rest /= size;
    }
    start
}
