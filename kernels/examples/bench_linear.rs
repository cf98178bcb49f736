//! Speed of `linear` and `attention` at BERT-Small's shapes, as a share of this machine's measured FMA peak.
//!
//! ```text
//! cargo run --release -p lockstep-kernels --example bench_linear [-- THREADS [FILTER]]
//! ```
//! Prints, for each product, GFLOP/s at the fastest and the median of many short calls, both as a share of the peak, and
//! the same of the `gemm` crate (which packs its operands anew at each call and has no epilogue). Calls walk over enough
//! different weights that they come from where a model's would: 50 MB, more than the second-level cache. The peak is the
//! best of many runs of a loop of independent multiply-adds on every thread at once, measured before and after.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lockstep_kernels::attention::{AttentionInputs, Rows, Sequences, attention, attention_scratch};
use lockstep_kernels::linear::{Activation, PackedWeights, PanelStorage, linear, linear_scratch};
use lockstep_kernels::{Isa, Parallel};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().map_or(2, |text| text.parse().expect("THREADS is a number"));
    let filter = arguments.next().unwrap_or_default();
    let pool = Pool::new(threads);
    let peak = measured_peak(&pool);
    println!("{} on {threads} threads, FMA peak {peak:.1} GFLOP/s", Isa::detect().name());
    println!("{:32} {:>22} {:>22} {:>22}", "", "best", "median", "gemm crate, best");
    for m in [32, 128, 1024, 4096] {
        for (k, n, activation, residual) in [
            (512, 1536, Activation::None, false),
            (512, 512, Activation::None, true),
            (512, 2048, Activation::GeluErf, false),
            (2048, 512, Activation::None, true),
        ] {
            for storage in [PanelStorage::F32, PanelStorage::F16] {
                let name = format!("{m} x {k} x {n} {activation:?} {storage:?}");
                if !name.contains(&filter) {
                    continue;
                }
                bench_linear(&pool, peak, &name, m, k, n, activation, residual, storage);
            }
        }
    }
    for (batch, length) in [(1, 32), (1, 128), (8, 128), (1, 512)] {
        let name = format!("attention {batch} x {length}");
        if name.contains(&filter) {
            bench_attention(&pool, peak, &name, batch, length);
        }
    }
    println!("FMA peak after: {:.1} GFLOP/s", measured_peak(&pool));
}

#[allow(clippy::too_many_arguments)]
fn bench_linear(
    pool: &Pool,
    peak: f64,
    name: &str,
    m: usize,
    k: usize,
    n: usize,
    activation: Activation,
    residual: bool,
    storage: PanelStorage,
) {
    let mut random = Random(1);
    let x = random.values(m * k);
    // Scaled as a trained model's are, so that the activation meets arguments of about 1.
    let weight: Vec<f32> = random.values(n * k).iter().map(|value| value * 3.0 / (k as f32).sqrt()).collect();
    let bias = random.values(n);
    let copies = (50_000_000 / (4 * n * k)).clamp(1, 16);
    let weights: Vec<_> = (0..copies)
        .map(|_| PackedWeights::pack(Isa::detect(), storage, n, k, &weight, Some(&bias[..])))
        .collect();
    let residual = residual.then(|| random.values(m * n));
    let mut out = vec![0f32; m * n];
    let mut scratch = vec![0f32; linear_scratch(m, &weights[0], pool.threads())];
    let mut turn = 0;
    let ours = timed(|| {
        turn += 1;
        linear(pool, &x, &weights[turn % copies], activation, residual.as_deref(), &mut out, &mut scratch);
    });
    let parallelism =
        if pool.threads() == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(pool.threads()) };
    let theirs = timed(|| {
        // SAFETY: the pointers cover m x k, k x n and m x n values with the strides given.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out.as_mut_ptr(),
                1,
                n as isize,
                false,
                x.as_ptr(),
                1,
                k as isize,
                weight.as_ptr(),
                k as isize,
                1,
                0f32,
                1f32,
                false,
                false,
                false,
                parallelism,
            );
        }
    });
    let flops = 2.0 * (m * n * k) as f64;
    report(name, flops, peak, &[ours.0, ours.1, theirs.0]);
}

fn bench_attention(pool: &Pool, peak: f64, name: &str, batch: usize, length: usize) {
    let (heads, head_size) = (8, 64);
    let hidden = heads * head_size;
    let rows = batch * length;
    let qkv = Random(2).values(rows * 3 * hidden);
    let part = |index: usize| Rows { data: &qkv[..], stride: 3 * hidden, offset: index * hidden };
    let offsets: Vec<i64> = (0..=batch).map(|sequence| (sequence * length) as i64).collect();
    let inputs = AttentionInputs {
        heads,
        head_size,
        scale: 0.125,
        q: part(0),
        k: part(1),
        v: part(2),
        sequences: Sequences::Offsets(&offsets),
    };
    let isa = Isa::detect();
    let mut out = vec![0f32; rows * hidden];
    let mut scratch = vec![0f32; attention_scratch(isa, head_size, length, pool.threads())];
    let (best, median) = timed(|| attention(isa, pool, &inputs, &mut out, &mut scratch));
    report(name, (4 * batch * heads * length * length * head_size) as f64, peak, &[best, median]);
}

fn report(name: &str, flops: f64, peak: f64, seconds: &[f64]) {
    print!("{name:32}");
    for seconds in seconds {
        let rate = flops / seconds / 1e9;
        print!(" {rate:10.1} {:9.1} %", 100.0 * rate / peak);
    }
    println!();
}

/// The fastest and the median call, in seconds.
fn timed(mut call: impl FnMut()) -> (f64, f64) {
    for _ in 0..3 {
        call();
    }
    let mut seconds = Vec::new();
    let start = Instant::now();
    while seconds.len() < 15 || (start.elapsed() < Duration::from_millis(400) && seconds.len() < 5000) {
        let start = Instant::now();
        call();
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    (seconds[0], seconds[seconds.len() / 2])
}

/// GFLOP/s of all threads together at nothing but fused multiply-adds.
fn measured_peak(pool: &Pool) -> f64 {
    const ROUNDS: usize = 40_000;
    let best = (0..60)
        .map(|_| {
            let start = Instant::now();
            let flops = AtomicUsize::new(0);
            pool.run(pool.threads(), &|_| {
                flops.fetch_add(fma_rounds(ROUNDS), Ordering::Relaxed);
            });
            flops.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
        })
        .fold(0.0, f64::max);
    best / 1e9
}

#[cfg(target_arch = "x86_64")]
fn fma_rounds(rounds: usize) -> usize {
    use std::arch::x86_64::*;
    #[target_feature(enable = "avx512f")]
    fn avx512(rounds: usize) -> usize {
        let (a, b) = (black_box(_mm512_set1_ps(1.0)), black_box(_mm512_set1_ps(1e-9)));
        let mut sums = [_mm512_setzero_ps(); 24];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(a, b, *sum);
            }
        }
        black_box(sums);
        rounds * 24 * 32
    }
    #[target_feature(enable = "avx2,fma")]
    fn avx2(rounds: usize) -> usize {
        let (a, b) = (black_box(_mm256_set1_ps(1.0)), black_box(_mm256_set1_ps(1e-9)));
        let mut sums = [_mm256_setzero_ps(); 12];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(a, b, *sum);
            }
        }
        black_box(sums);
        rounds * 12 * 16
    }
    match Isa::detect() {
        // SAFETY: detected.
        Isa::Avx512 => unsafe { avx512(rounds) },
        // SAFETY: detected.
        Isa::Avx2 => unsafe { avx2(rounds) },
        Isa::Portable => portable_rounds(rounds),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn fma_rounds(rounds: usize) -> usize {
    portable_rounds(rounds)
}

fn portable_rounds(rounds: usize) -> usize {
    let (a, b) = (black_box(1f32), black_box(1e-9f32));
    let mut sums = [0f32; 64];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum += a * b;
        }
    }
    black_box(sums);
    rounds * 128
}

/// Threads that wait for work by spinning, as a runtime's threads do while a model runs. A call ends when its pieces are
/// done: a thread that the system has suspended meanwhile holds nobody up.
struct Pool {
    threads: usize,
    work: Arc<Work>,
}

#[derive(Default)]
struct Work {
    /// The number of the call (32 bits), the next piece (16), how many there are (16): taking a piece is one exchange, and
    /// fails if the call is over.
    ticket: AtomicU64,
    piece: Mutex<Option<&'static (dyn Fn(usize) + Sync)>>,
    done: AtomicUsize,
    stop: AtomicBool,
}

impl Pool {
    fn new(threads: usize) -> Self {
        let work = Arc::new(Work::default());
        for _ in 1..threads {
            let work = work.clone();
            std::thread::spawn(move || {
                let mut idle = 0;
                while !work.stop.load(Ordering::Relaxed) {
                    if work.take_piece() {
                        idle = 0;
                    } else if idle < 100_000 {
                        idle += 1;
                        std::hint::spin_loop();
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
        }
        Self { threads, work }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.work.stop.store(true, Ordering::Relaxed);
    }
}

impl Work {
    /// Runs one piece, if there is one.
    fn take_piece(&self) -> bool {
        let taken = self.ticket.fetch_update(Ordering::AcqRel, Ordering::Acquire, |ticket| {
            ((ticket >> 16) & 0xffff < ticket & 0xffff).then_some(ticket + (1 << 16))
        });
        let Ok(ticket) = taken else { return false };
        let piece = self.piece.lock().expect("no piece panics").expect("set before the call");
        piece((ticket >> 16 & 0xffff) as usize);
        self.done.fetch_add(1, Ordering::Release);
        true
    }
}

impl Parallel for Pool {
    fn threads(&self) -> usize {
        self.threads
    }

    fn run(&self, pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
        if pieces <= 1 || self.threads == 1 {
            (0..pieces).for_each(piece);
            return;
        }
        assert!(pieces < 1 << 16, "a ticket counts to 65535");
        // SAFETY: only the lifetime changes; a piece taken is a piece waited for below, and none is taken afterwards.
        let piece =
            unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(piece) };
        *self.work.piece.lock().expect("no piece panics") = Some(piece);
        self.work.done.store(0, Ordering::Relaxed);
        let call = self.work.ticket.load(Ordering::Relaxed) >> 32;
        self.work.ticket.store((call + 1) << 32 | pieces as u64, Ordering::Release);
        while self.work.take_piece() {}
        while self.work.done.load(Ordering::Acquire) < pieces {
            std::hint::spin_loop();
        }
    }
}

/// Uniform in -1..1 (SplitMix64).
struct Random(u64);

impl Random {
    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count)
            .map(|_| {
                self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = self.0;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^= z >> 31;
                (z >> 40) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }
}
