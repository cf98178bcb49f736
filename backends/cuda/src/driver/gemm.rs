//! Matrix products by cuBLASLt's lower interface: descriptors and one algorithm fixed when a program is recorded.
//!
//! The algorithm is chosen for a row count of [`PINNED_ROWS`], once per weight's shape, and used for every row count: what a
//! row's sums look like must not depend on how many rows there are ([`Tuning::PerShape`] is the exception). Split sums are refused, since their order depends on the
//! grid. The library may still schedule one algorithm differently for other sizes; only a run on hardware shows that it does
//! not, and the conformance suite's batch invariance is where it would show.

use super::Tuning;
use super::calls::Calls;
use crate::launch::{Element, Product};
use cudarc::cublaslt::result::CublasError;
use cudarc::cublaslt::{result, sys};
use cudarc::driver;
use lockstep_hal::Result;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

/// Rows that algorithms are chosen for.
const PINNED_ROWS: usize = 128;
/// Algorithms that are looked through for one that does not split its sums.
const CANDIDATES: usize = 32;
/// Scratch of the library: what it needs on Hopper, and before it.
const WORKSPACE: usize = 32 << 20;
const SMALL_WORKSPACE: usize = 4 << 20;

/// `CUBLAS_OP_T`, which the bindings of cuBLASLt do not name.
const TRANSPOSE: i32 = 1;

/// What an algorithm is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    element: Element,
    /// The rows that the algorithm is chosen for.
    rows: usize,
    n: usize,
    k: usize,
    transposed: bool,
    batched: bool,
    alignment: u32,
}

/// The library's handle, its scratch, and the algorithms chosen so far.
#[derive(Debug)]
pub(super) struct CublasLt {
    calls: Arc<Calls>,
    handle: sys::cublasLtHandle_t,
    workspace: driver::sys::CUdeviceptr,
    workspace_bytes: usize,
    tuning: Tuning,
    chosen: HashMap<Key, sys::cublasLtMatmulAlgo_t>,
}

// SAFETY: the handle may be used from any thread, one at a time; the device's lock sees to that.
unsafe impl Send for CublasLt {}

/// A product, ready to be put on the stream.
#[derive(Debug)]
pub(super) struct PreparedProduct {
    shape: Shape,
    algorithm: sys::cublasLtMatmulAlgo_t,
    addresses: [u64; 3],
}

/// Descriptors of one product; destroyed when dropped.
#[derive(Debug)]
struct Shape {
    descriptor: sys::cublasLtMatmulDesc_t,
    /// Of the factors in the library's order (columns first: b, then a), and of the result.
    layouts: [sys::cublasLtMatrixLayout_t; 3],
}

// SAFETY: descriptors are plain memory of the library, used by one thread at a time.
unsafe impl Send for Shape {}

impl Drop for Shape {
    fn drop(&mut self) {
        // SAFETY: created by `Shape::new` and destroyed once; null where creation stopped before.
        unsafe {
            for layout in self.layouts.into_iter().filter(|layout| !layout.is_null()) {
                let _ = result::destroy_matrix_layout(layout);
            }
            if !self.descriptor.is_null() {
                let _ = result::destroy_matmul_desc(self.descriptor);
            }
        }
    }
}

fn answer<T>(calls: &Calls, node: &str, call: &str, got: std::result::Result<T, CublasError>) -> Result<T> {
    got.map_err(|error| calls.error(node, call, error.0 as i64, format!("{:?}", error.0)))
}

/// The bytes of an attribute.
fn attribute<T>(value: &T) -> (*const c_void, usize) {
    (std::ptr::from_ref(value).cast(), size_of::<T>())
}

impl Shape {
    fn new(calls: &Calls, node: &str, product: &Product<u64>) -> Result<Self> {
        use sys::cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_TRANSA;
        use sys::cublasLtMatrixLayoutAttribute_t::{
            CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
        };
        let Product { m, n, k, transposed, batch, batch_strides: strides, .. } = *product;
        let storage = match product.element {
            Element::F32 => sys::cudaDataType::CUDA_R_32F,
            Element::F16 => sys::cudaDataType::CUDA_R_16F,
            Element::Bf16 => sys::cudaDataType::CUDA_R_16BF,
        };
        let f32 = sys::cudaDataType::CUDA_R_32F;
        let mut shape = Self { descriptor: std::ptr::null_mut(), layouts: [std::ptr::null_mut(); 3] };
        // Sums in f32, and never TF32: that would be another compute type.
        let created = result::create_matmul_desc(sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, f32);
        shape.descriptor = answer(calls, node, "cublasLtMatmulDescCreate", created)?;
        if transposed {
            let (value, bytes) = attribute(&TRANSPOSE);
            // SAFETY: the value lives through the call, which copies it.
            let set = unsafe {
                result::set_matmul_desc_attribute(shape.descriptor, CUBLASLT_MATMUL_DESC_TRANSA, value, bytes)
            };
            answer(calls, node, "cublasLtMatmulDescSetAttribute", set)?;
        }
        // The library counts columns first: a row-major matrix is its transpose there, and out^T = b^T a^T.
        let first = if transposed { (storage, k, n, k) } else { (storage, n, k, n) };
        let kinds = [first, (storage, k, m, k), (f32, n, m, n)];
        for (layout, (kind, rows, columns, leading)) in shape.layouts.iter_mut().zip(kinds) {
            let created = result::create_matrix_layout(kind, rows as u64, columns as u64, leading as i64);
            *layout = answer(calls, node, "cublasLtMatrixLayoutCreate", created)?;
        }
        if batch > 1 {
            for (layout, stride) in shape.layouts.into_iter().zip([strides[1], strides[0], strides[2]]) {
                let (count, stride) = (batch as i32, stride as i64);
                let values = [
                    (CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, attribute(&count)),
                    (CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, attribute(&stride)),
                ];
                for (name, (value, bytes)) in values {
                    // SAFETY: as above.
                    let set = unsafe { result::set_matrix_layout_attribute(layout, name, value, bytes) };
                    answer(calls, node, "cublasLtMatrixLayoutSetAttribute", set)?;
                }
            }
        }
        Ok(shape)
    }
}

impl CublasLt {
    /// A handle and its scratch; the device's context is current.
    pub(super) fn new(calls: &Arc<Calls>, capability: (i32, i32), tuning: Tuning) -> Result<Self> {
        let node = "the opening of the device";
        let handle = answer(calls, node, "cublasLtCreate", result::create_handle())?;
        let workspace_bytes = if capability.0 >= 9 { WORKSPACE } else { SMALL_WORKSPACE };
        // SAFETY: scratch; nothing reads it before the library writes it.
        let workspace = unsafe { driver::result::malloc_sync(workspace_bytes) };
        let workspace = calls.check(node, "cuMemAlloc", workspace)?;
        Ok(Self { calls: calls.clone(), handle, workspace, workspace_bytes, tuning, chosen: HashMap::new() })
    }

    /// Frees what [`CublasLt::new`] made.
    ///
    /// # Safety
    /// The device's context is current, nothing runs, and the handle is not used again.
    pub(super) unsafe fn destroy(&mut self) {
        // SAFETY: the caller's promise.
        unsafe {
            let _ = driver::result::free_sync(self.workspace);
            let _ = result::destroy_handle(self.handle);
        }
    }

    /// Makes a product ready.
    pub(super) fn prepare(&mut self, node: &str, product: &Product<u64>) -> Result<PreparedProduct> {
        let &Product { element, n, k, transposed, batch, .. } = product;
        let addresses = [product.a, product.b, product.out];
        let size: u32 = if element == Element::F32 { 4 } else { 2 };
        let alignment = if addresses.iter().all(|address| address.is_multiple_of(16)) { 16 } else { size };
        let rows = if self.tuning == Tuning::PerShape { product.m } else { PINNED_ROWS };
        let key = Key { element, rows, n, k, transposed, batched: batch > 1, alignment };
        let calls = self.calls.clone();
        let algorithm = match self.chosen.get(&key) {
            Some(algorithm) => *algorithm,
            None => {
                let pinned = Shape::new(&calls, node, &Product { m: rows, ..*product })?;
                let chosen = self.choose(node, &pinned, alignment)?;
                self.chosen.insert(key, chosen);
                chosen
            }
        };
        let shape = Shape::new(&calls, node, product)?;
        let mut fits = empty_result();
        let [b, a, out] = shape.layouts;
        // SAFETY: descriptors and algorithm live through the call.
        let checked = unsafe {
            sys::cublasLtMatmulAlgoCheck(self.handle, shape.descriptor, b, a, out, out, &algorithm, &mut fits)
        };
        answer(&calls, node, "cublasLtMatmulAlgoCheck", checked.result())?;
        if fits.workspaceSize > self.workspace_bytes {
            let text = format!("wants {} bytes of scratch, more than it was given", fits.workspaceSize);
            return Err(calls.error(node, "cublasLtMatmulAlgoCheck", 0, text));
        }
        Ok(PreparedProduct { shape, algorithm, addresses })
    }

    /// The library's first choice that sums in one piece.
    fn choose(&self, node: &str, shape: &Shape, alignment: u32) -> Result<sys::cublasLtMatmulAlgo_t> {
        use sys::cublasLtMatmulAlgoConfigAttributes_t::CUBLASLT_ALGO_CONFIG_SPLITK_NUM;
        use sys::cublasLtMatmulPreferenceAttributes_t::*;
        let preference =
            answer(&self.calls, node, "cublasLtMatmulPreferenceCreate", result::create_matmul_pref())?;
        let unsplit: u32 = 0;
        let values = [
            (CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, attribute(&self.workspace_bytes)),
            (CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, attribute(&unsplit)),
            (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, attribute(&alignment)),
            (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, attribute(&alignment)),
            (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, attribute(&alignment)),
            (CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, attribute(&alignment)),
        ];
        let mut found = [empty_result(); CANDIDATES];
        let mut count = 0;
        let [b, a, out] = shape.layouts;
        // SAFETY: values live through the calls, which copy them; `found` has room for what is asked for; the preference is
        // destroyed once, after its last use.
        let asked = unsafe {
            let set = values.into_iter().try_for_each(|(name, (value, bytes))| {
                result::set_matmul_pref_attribute(preference, name, value, bytes)
            });
            let asked = set.and_then(|()| {
                sys::cublasLtMatmulAlgoGetHeuristic(
                    self.handle,
                    shape.descriptor,
                    b,
                    a,
                    out,
                    out,
                    preference,
                    CANDIDATES as i32,
                    found.as_mut_ptr(),
                    &mut count,
                )
                .result()
            });
            let _ = result::destroy_matmul_pref(preference);
            asked
        };
        answer(&self.calls, node, "cublasLtMatmulAlgoGetHeuristic", asked)?;
        let whole = |candidate: &&sys::cublasLtMatmulHeuristicResult_t| {
            let (mut parts, mut written) = (0_i32, 0);
            // SAFETY: writes one int.
            let got = unsafe {
                sys::cublasLtMatmulAlgoConfigGetAttribute(
                    &candidate.algo,
                    CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
                    std::ptr::from_mut(&mut parts).cast(),
                    size_of::<i32>(),
                    &mut written,
                )
            };
            candidate.state.result().is_ok() && got.result().is_ok() && parts <= 1
        };
        let chosen = found.iter().take(count.max(0) as usize).find(whole);
        chosen.map(|candidate| candidate.algo).ok_or_else(|| {
            let text = format!("none of {count} algorithms sums in one piece");
            self.calls.error(node, "cublasLtMatmulAlgoGetHeuristic", 0, text)
        })
    }

    /// Puts a product on the stream.
    pub(super) fn launch(
        &self,
        node: &str,
        product: &PreparedProduct,
        stream: driver::sys::CUstream,
    ) -> Result<()> {
        let (one, zero) = (1.0_f32, 0.0_f32);
        let [b, a, out] = product.shape.layouts;
        let [a_at, b_at, out_at] = product.addresses;
        // SAFETY: addresses are those of the program's operands, of the sizes that the layouts say; the scratch is the
        // stream's alone.
        let launched = unsafe {
            result::matmul(
                self.handle,
                product.shape.descriptor,
                std::ptr::from_ref(&one).cast(),
                std::ptr::from_ref(&zero).cast(),
                b_at as *const c_void,
                b,
                a_at as *const c_void,
                a,
                out_at as *const c_void,
                out,
                out_at as *mut c_void,
                out,
                &product.algorithm,
                self.workspace as *mut c_void,
                self.workspace_bytes,
                stream.cast(),
            )
        };
        answer(&self.calls, node, "cublasLtMatmul", launched)
    }
}

fn empty_result() -> sys::cublasLtMatmulHeuristicResult_t {
    sys::cublasLtMatmulHeuristicResult_t {
        algo: sys::cublasLtMatmulAlgo_t { data: [0; 8] },
        workspaceSize: 0,
        state: sys::cublasStatus_t::CUBLAS_STATUS_NOT_INITIALIZED,
        wavesCount: 0.0,
        reserved: [0; 4],
    }
}
