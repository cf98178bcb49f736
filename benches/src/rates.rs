//! A device's rates of copies and of matrix products, measured: what a roofline is made of.
//!
//! Both are small programs that run through the same seam as models, so that they hold for any device and name none. They
//! grow until a run is long beside its launch, or is as large as they get. The best of many runs is the rate, as in
//! [`fma_peak`](crate::fma_peak): one taken too low would flatter every share of it.

use crate::traffic::traffic;
use lockstep_runtime::graph::{DType, Graph, GraphBuilder, HostTensor, Linear, Op, SymbolValues, TensorType};
use lockstep_runtime::hal::{Buffer, Cancel, Error as DeviceError, Executable, Usage};
use lockstep_runtime::plan::{Error as PlanError, Prepared};
use lockstep_runtime::tensor::{AlignedBytes, Bytes};
use lockstep_runtime::{Device, Error, Extents, Packing, PlanOptions, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A copy's bytes double from the first to the second: beyond what a GPU's caches hold.
const COPIED_BYTES: [usize; 2] = [8 << 20, 512 << 20];
/// A product's rows and columns, likewise; it sums over [`DEPTH`] times as many, so that its output is a small part of it.
const EXTENTS: [usize; 2] = [256, 4096];
const DEPTH: usize = 4;
/// Runs before the first that counts: a device may prove a program in its first run and record it in the second.
const WARM_UPS: usize = 3;
/// Values before they repeat; a prime, so that no two rows are alike.
const PERIOD: usize = 65_521;

/// What a device was measured to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Bytes a second of a large copy on the device, read and written ones counted each.
    pub copy_bytes: f64,
    /// Operations a second of a large `Linear`, a multiply-add counted as two.
    pub product_flops: f64,
    /// What the product's operands are stored in.
    pub dtype: DType,
    /// Whether the device timed its own runs; otherwise they were timed from submission to end.
    pub by_device: bool,
}

impl Rates {
    /// The seconds that a run takes at these rates if nothing overlaps: all its products, then all its traffic.
    pub fn seconds(&self, product_flops: u64, bytes: u64) -> f64 {
        product_flops as f64 / self.product_flops + bytes as f64 / self.copy_bytes
    }
}

/// How much is spent on a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// On the repeated runs of each of the two.
    pub time: Duration,
    /// A copy that takes so long is large enough.
    pub copy: Duration,
    /// A product, likewise.
    pub product: Duration,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            time: Duration::from_millis(200),
            copy: Duration::from_millis(20),
            product: Duration::from_millis(1),
        }
    }
}

/// Measures both rates on a device, the product's with operands in `dtype`.
///
/// # Errors
/// A device that refuses a copy or a `Linear`, or fails; one without memory for the smallest of them.
pub fn measure(device: &Arc<dyn Device>, dtype: DType, effort: Effort) -> Result<Rates> {
    let copies = doubling(COPIED_BYTES);
    let copy = best(device, copies.map(copy), effort.copy, effort.time)?;
    let products = doubling(EXTENTS);
    let product = best(device, products.map(|extent| product(extent, dtype)), effort.product, effort.time)?;
    Ok(Rates {
        copy_bytes: copy.bytes as f64 / copy.seconds,
        product_flops: product.flops as f64 / product.seconds,
        dtype,
        by_device: copy.by_device && product.by_device,
    })
}

fn doubling([first, last]: [usize; 2]) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(first), move |&size| (size < last).then_some(size * 2))
}

/// A program of one op, and what its input holds.
struct Small {
    graph: Graph,
    input: HostTensor,
}

/// A tensor handed on as it is: the device copies it, since an output has a place of its own.
fn copy(bytes: usize) -> Result<Small> {
    let input = noise(DType::F32, &[bytes / 4])?;
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(DType::F32, input.shape())).map_err(PlanError::from)?;
    b.output("y", x).map_err(PlanError::from)?;
    Ok(Small { graph: b.finish().map_err(PlanError::from)?, input })
}

fn product(extent: usize, dtype: DType) -> Result<Small> {
    let input = noise(dtype, &[extent, DEPTH * extent])?;
    let mut b = GraphBuilder::new();
    let x = b.input("x", TensorType::fixed(dtype, input.shape())).map_err(PlanError::from)?;
    // Of the same shape, as a `Linear` holds its weight: outputs by inputs.
    let weight = b.constant("weight", input.clone());
    let linear = Op::Linear(Linear { bias: false, activation: None, residual: false });
    let y = b.single("linear", linear, &[x, weight]).map_err(PlanError::from)?;
    b.output("y", y).map_err(PlanError::from)?;
    Ok(Small { graph: b.finish().map_err(PlanError::from)?, input })
}

/// Values of -1 to 1 that repeat after [`PERIOD`]. Zeros would not do: a GPU multiplies them at less power, and faster.
fn noise(dtype: DType, shape: &[usize]) -> Result<HostTensor> {
    let mut state = 1u32;
    let values = (0..PERIOD).map(|_| {
        // Numerical Recipes' quick generator; its high bits are good enough for this.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1u32 << 23) - 1.0
    });
    let period = HostTensor::from_f64(dtype, &[PERIOD], &values.collect::<Vec<_>>())?;
    let mut bytes = AlignedBytes::zeroed(shape.iter().product::<usize>() * dtype.size());
    for chunk in bytes.as_mut_slice().chunks_mut(period.bytes().len()) {
        chunk.copy_from_slice(&period.bytes()[..chunk.len()]);
    }
    Ok(HostTensor::from_bytes(dtype, shape, Bytes::owned(bytes))?)
}

/// The fastest run of a program.
struct Best {
    seconds: f64,
    bytes: u64,
    flops: u64,
    by_device: bool,
}

/// The fastest run of the first program that takes `enough`, or of the largest that the device has memory for.
fn best(
    device: &Arc<dyn Device>,
    programs: impl Iterator<Item = Result<Small>>,
    enough: Duration,
    time: Duration,
) -> Result<Best> {
    let mut largest: Option<Ready> = None;
    for small in programs {
        let mut ready = match (Ready::new(device, &small?), &largest) {
            (Err(error), Some(_)) if is_out_of_memory(&error) => break,
            (ready, _) => ready?,
        };
        for _ in 0..WARM_UPS {
            ready.run()?;
        }
        let took = ready.run()?.0;
        largest = Some(ready);
        if took >= enough {
            break;
        }
    }
    let mut ready = largest.ok_or(Error::NoDevice)?;
    let (mut fastest, mut by_device) = ready.run()?;
    let start = Instant::now();
    while start.elapsed() < time {
        let (took, timed) = ready.run()?;
        fastest = fastest.min(took);
        by_device &= timed;
    }
    // A clock that shows nothing for a run would make a rate infinite.
    let seconds = fastest.max(Duration::from_nanos(1)).as_secs_f64();
    Ok(Best { seconds, bytes: ready.bytes, flops: ready.flops, by_device })
}

fn is_out_of_memory(error: &Error) -> bool {
    matches!(
        error,
        Error::Device(DeviceError::OutOfMemory { .. })
            | Error::Plan(PlanError::Device(DeviceError::OutOfMemory { .. }))
    )
}

/// A program compiled, with its buffers.
struct Ready {
    executable: Box<dyn Executable>,
    io: Vec<Buffer>,
    bytes: u64,
    flops: u64,
}

impl Ready {
    fn new(device: &Arc<dyn Device>, small: &Small) -> Result<Self> {
        let options =
            PlanOptions { packing: Packing::Off, extents: Extents::Exact, ..PlanOptions::default() };
        let symbols = SymbolValues::new();
        let flops = small.graph.cost(&symbols).map_err(PlanError::from)?.product_flops;
        let program =
            Prepared::new(&small.graph, device.clone(), options)?.bind(&symbols, &["y"], &[])?.program;
        let executable = device.clone().compile(program.clone())?;
        let mut io = Vec::new();
        for (slot, &id) in program.io().iter().enumerate() {
            let usage = if slot < program.input_count() { Usage::Input } else { Usage::Output };
            io.push(device.alloc(program.operand(id).bytes(), usage)?);
        }
        device.write(&io[0], 0, small.input.bytes())?;
        Ok(Self { executable, io, bytes: traffic(&program), flops })
    }

    /// How long a run took, and whether the device says so.
    fn run(&mut self) -> Result<(Duration, bool)> {
        let start = Instant::now();
        self.executable.submit(&self.io, &Cancel::new())?;
        self.executable.wait()?;
        let elapsed = start.elapsed();
        let timed = self.executable.device_time();
        Ok((timed.unwrap_or(elapsed), timed.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fma_peak;
    use lockstep_cpu::CpuBackend;
    use lockstep_runtime::Backend;

    const SHORT: Effort = Effort {
        time: Duration::from_millis(20),
        copy: Duration::from_micros(100),
        product: Duration::from_micros(100),
    };

    fn cpu() -> Arc<dyn Device> {
        CpuBackend::builder().threads(1).build().unwrap().open(0).unwrap()
    }

    /// Another measurement of the same processor, without memory or matrices: a product cannot beat its multiply-adds, but for
    /// a clock that rose between the two.
    #[test]
    fn a_product_is_below_the_multiply_adds_of_the_processor() {
        // In slices as short as a run of the product, so that neighbours on a shared machine befall both alike.
        let short = (0..30).map(|_| fma_peak::measure(1, Duration::from_millis(6)));
        let peak = short.map(|peak| peak.f32_gflops).fold(0.0, f64::max);
        let rates = measure(&cpu(), DType::F32, SHORT).unwrap();
        let gflops = rates.product_flops / 1e9;
        assert!(0.05 * peak < gflops && gflops < 1.3 * peak, "{gflops} of {peak}");
        assert!(!rates.by_device && rates.dtype == DType::F32);
    }

    #[test]
    fn a_copy_moves_what_it_reads_and_what_it_writes() {
        let mut ready = Ready::new(&cpu(), &copy(1 << 16).unwrap()).unwrap();
        ready.run().unwrap();
        assert_eq!((ready.bytes, ready.flops), (2 << 16, 0));
        let mut copied = vec![0; 1 << 16];
        cpu().read(&ready.io[1], 0, &mut copied).unwrap();
        assert_eq!(copied, noise(DType::F32, &[1 << 14]).unwrap().bytes());
    }

    #[test]
    fn a_product_is_counted_by_its_extents() {
        let ready = Ready::new(&cpu(), &product(32, DType::Bf16).unwrap()).unwrap();
        assert_eq!(ready.flops, 2 * 32 * 32 * 128);
        assert_eq!(ready.bytes, 2 * (32 * 128 + 32 * 128 + 32 * 32));
    }

    #[test]
    fn without_overlap_times_add_up() {
        let rates = Rates { copy_bytes: 2e12, product_flops: 500e12, dtype: DType::F16, by_device: true };
        assert_eq!(rates.seconds(1_000_000_000_000, 4_000_000_000), 0.002 + 0.002);
    }

    #[test]
    fn sizes_double_up_to_the_last() {
        assert_eq!(doubling([8, 64]).collect::<Vec<_>>(), [8, 16, 32, 64]);
    }
}
