//! candle-core's tensors as a backend, on the CPU: an independent second opinion, and the peer to be faster than.
//!
//! Every op runs by candle's own kernels, put together as a candle user would: products by the `gemm` crate, weights in
//! the dtype of the computation, converted once. What candle lacks, or does otherwise than the op's definition, is left
//! out with a reason instead of being made up here; two small repairs (a NaN in a maximum, a softmax of nothing) are the
//! exception. It computes in f32 and f64; f16 and bf16 are stored, moved and cast.
//!
//! candle's products run on rayon's global pool, so their thread count is the process's (`RAYON_NUM_THREADS`), not a
//! session's; its elementwise kernels run on one thread.

mod buffer;
mod device;
mod error;
mod kernels;
mod support;

pub use device::CandleBackend;
