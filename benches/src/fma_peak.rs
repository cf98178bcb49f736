//! This machine's peak of fused multiply-adds, measured: what "share of peak" is a share of.
//!
//! Chains of independent FMAs on registers alone, on as many threads as the work that is compared, with the widest vectors
//! the processor has. The best of many short slices is the peak: whatever else runs on the machine can only make a slice
//! slower, and a peak taken too low would flatter every share of it.

use std::hint::black_box;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Slices that a measurement is cut into.
const SLICES: u32 = 12;
/// Passes over the accumulators per call: long beside the call, short beside a slice.
const PASSES: usize = 4096;

/// A measured peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FmaPeak {
    /// 10^9 operations a second in f32, a multiply-add counted as two.
    pub f32_gflops: f64,
    /// The instructions that reached it: `avx512f`, `fma` or `portable`.
    pub instructions: &'static str,
    /// On how many threads.
    pub threads: usize,
}

impl FmaPeak {
    /// The peak in elements of so many bytes, if their sums are carried in f32 (2 and 4 bytes) or f64 (8 bytes).
    pub fn gflops(&self, element_bytes: usize) -> f64 {
        // A register holds half as many f64.
        if element_bytes > 4 { self.f32_gflops / 2.0 } else { self.f32_gflops }
    }

    /// The higher of two measurements of one machine.
    pub fn max(self, other: Self) -> Self {
        if other.f32_gflops > self.f32_gflops { other } else { self }
    }
}

/// Measures for about `duration` on `threads` threads (at least one).
pub fn measure(threads: usize, duration: Duration) -> FmaPeak {
    let threads = threads.max(1);
    let kernel = Kernel::detect();
    let slice = duration / SLICES;
    let barrier = Barrier::new(threads);
    let totals = Mutex::new(vec![0.0; SLICES as usize]);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for at in 0..SLICES as usize {
                    barrier.wait();
                    let rate = rate(kernel, slice);
                    totals.lock().unwrap_or_else(PoisonError::into_inner)[at] += rate;
                }
            });
        }
    });
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    FmaPeak { f32_gflops: totals.into_iter().fold(0.0, f64::max) / 1e9, instructions: kernel.name, threads }
}

/// Operations a second of one thread.
fn rate(kernel: Kernel, slice: Duration) -> f64 {
    let start = Instant::now();
    let mut calls = 0u64;
    loop {
        // Neither the operands nor the result can be known to the compiler.
        black_box((kernel.run)(black_box(0.999), black_box(0.001)));
        calls += 1;
        let elapsed = start.elapsed();
        if elapsed >= slice {
            return (calls * kernel.operations) as f64 / elapsed.as_secs_f64();
        }
    }
}

#[derive(Clone, Copy)]
struct Kernel {
    name: &'static str,
    run: fn(f32, f32) -> f32,
    /// Per call.
    operations: u64,
}

impl Kernel {
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(kernel) = x86::detect() {
            return kernel;
        }
        Self { name: "portable", run: portable, operations: (2 * LANES * CHAINS * PASSES) as u64 }
    }
}

const LANES: usize = 4;
const CHAINS: usize = 12;

/// Arrays that a compiler turns into its target's vectors. Without a hardware FMA in that target, `mul_add` would be a
/// function call, so it is a multiply and an add.
fn portable(factor: f32, term: f32) -> f32 {
    let mut chains = [[1.0f32; LANES]; CHAINS];
    for _ in 0..PASSES {
        for value in chains.iter_mut().flatten() {
            *value = if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
                value.mul_add(factor, term)
            } else {
                *value * factor + term
            };
        }
    }
    chains.iter().flatten().sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Kernel, PASSES};
    use std::arch::x86_64::*;

    /// More chains than latency times issue width asks for, fewer than there are registers.
    const AVX512_CHAINS: usize = 24;
    const AVX2_CHAINS: usize = 12;

    pub(super) fn detect() -> Option<Kernel> {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512F, as was just asked.
            let run = |factor, term| unsafe { avx512(factor, term) };
            return Some(Kernel {
                name: "avx512f",
                run,
                operations: (2 * 16 * AVX512_CHAINS * PASSES) as u64,
            });
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has AVX2 and FMA, as was just asked.
            let run = |factor, term| unsafe { avx2(factor, term) };
            return Some(Kernel { name: "fma", run, operations: (2 * 8 * AVX2_CHAINS * PASSES) as u64 });
        }
        None
    }

    #[target_feature(enable = "avx512f")]
    fn avx512(factor: f32, term: f32) -> f32 {
        let (factor, term) = (_mm512_set1_ps(factor), _mm512_set1_ps(term));
        let mut chains = [_mm512_set1_ps(1.0); AVX512_CHAINS];
        for _ in 0..PASSES {
            for chain in &mut chains {
                *chain = _mm512_fmadd_ps(*chain, factor, term);
            }
        }
        let sum = chains.iter().fold(_mm512_setzero_ps(), |sum, &chain| _mm512_add_ps(sum, chain));
        _mm512_reduce_add_ps(sum)
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2(factor: f32, term: f32) -> f32 {
        let (factor, term) = (_mm256_set1_ps(factor), _mm256_set1_ps(term));
        let mut chains = [_mm256_set1_ps(1.0); AVX2_CHAINS];
        for _ in 0..PASSES {
            for chain in &mut chains {
                *chain = _mm256_fmadd_ps(*chain, factor, term);
            }
        }
        let sum = chains.iter().fold(_mm256_setzero_ps(), |sum, &chain| _mm256_add_ps(sum, chain));
        let half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
        let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
        _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain goes to the fixed point of `x = factor x + term`, which is term / (1 - factor).
    #[test]
    fn each_kernel_computes_its_chains() {
        for (kernel, values) in
            [(Kernel::detect(), None), (Kernel { run: portable, ..Kernel::detect() }, Some(LANES * CHAINS))]
        {
            let values = values.unwrap_or((kernel.operations / (2 * PASSES as u64)) as usize);
            let sum = (kernel.run)(0.5, 3.0);
            assert!((sum - 6.0 * values as f32).abs() < 1e-2 * values as f32, "{}: {sum}", kernel.name);
        }
    }

    #[test]
    fn a_peak_is_what_a_processor_can_do() {
        let peak = measure(1, Duration::from_millis(60));
        assert!((0.1..100_000.0).contains(&peak.f32_gflops), "{peak:?}");
        assert_eq!(peak.gflops(8) * 2.0, peak.gflops(2));
    }
}
