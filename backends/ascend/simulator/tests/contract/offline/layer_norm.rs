//! LayerNorm of f16: a compiled graph's rounds other statistics than aclnn's.

use super::draft::{decoded, encoded, numbers, one_step};
use super::session::{bytes_of, device_bytes, outcome};
use crate::harness::{acl, contract, device_memory, recent, start};
use half::f16;
use lockstep_ascend_abi::{aclDataType, aclFormat, aclTensor};
use lockstep_ascend_container::{DType::F16, Operator};
use std::ffi::c_void;
use std::ptr::{null, null_mut};

const ROWS: usize = 32;
const N: usize = 64;
const EPSILON: f64 = 1e-5;

struct Case {
    x: Vec<f64>,
    gamma: Vec<f64>,
    beta: Vec<f64>,
}

fn case() -> Case {
    let held = |values: Vec<f64>| decoded(F16, &encoded(F16, &values));
    Case {
        x: held(numbers(ROWS * N, 71).iter().map(|x| 3.0 * x + 4.0).collect()),
        gamma: held(numbers(N, 72)),
        beta: held(numbers(N, 73)),
    }
}

fn half(value: f64) -> f64 {
    f16::from_f64(value).to_f64()
}

impl Case {
    /// In float64, with mean, variance and reciprocal deviation rounded as said.
    fn exact(
        &self,
        of_mean: fn(f64) -> f64,
        of_variance: fn(f64) -> f64,
        of_rstd: fn(f64) -> f64,
    ) -> Vec<f64> {
        let row = |x: &[f64]| {
            let mean = of_mean(x.iter().sum::<f64>() / N as f64);
            let variance = of_variance(x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / N as f64);
            let rstd = of_rstd(1.0 / (variance + EPSILON).sqrt());
            let normal = x.iter().map(|x| (x - mean) * rstd);
            normal
                .zip(&self.gamma)
                .zip(&self.beta)
                .map(|((x, gamma), beta)| x * gamma + beta)
                .collect::<Vec<_>>()
        };
        self.x.chunks(N).flat_map(row).collect()
    }

    /// The model of one step.
    fn compiled(&self, is_precise: bool) -> Vec<f64> {
        let (rows, n) = (ROWS as i64, N as i64);
        let operator = Operator::LayerNorm { epsilon: EPSILON, is_precise };
        let file = one_step(operator, &[(F16, &[rows, n]), (F16, &[n]), (F16, &[n])], (F16, &[rows, n]));
        let [x, gamma, beta] = [&self.x, &self.gamma, &self.beta].map(|values| encoded(F16, values));
        decoded(F16, &outcome(&file, &[&x, &gamma, &beta], ROWS * N * 2).expect("runs"))
    }

    /// `aclnnLayerNorm`.
    fn single(&self) -> Vec<f64> {
        let [x, gamma, beta] =
            [&self.x, &self.gamma, &self.beta].map(|values| device_bytes(&encoded(F16, values)));
        let out = device_memory(ROWS * N * 2);
        let (rows, n) = (ROWS as i64, N as i64);
        let shape = acl!(meta.aclCreateIntArray([n].as_ptr(), 1));
        let (whole, row): (&[i64], &[i64]) = (&[rows, n], &[n]);
        let [x, gamma, beta, y] = [(x, whole), (gamma, row), (beta, row), (out, whole)].map(tensor);
        let op = crate::harness::library().ops.normalization.aclnnLayerNorm.expect("exported");
        let (mut workspace, mut executor) = (0, null_mut());
        // SAFETY: live handles; the results' places are this function's.
        let status = unsafe {
            let (prepare, results) = (op.prepare, (&mut workspace, &mut executor));
            prepare(x, shape, gamma, beta, EPSILON, y, null_mut(), null_mut(), results.0, results.1)
        };
        assert_eq!((status, workspace), (0, 0), "{}", recent());
        // SAFETY: phase 1 made the executor.
        assert_eq!(unsafe { (op.execute)(null_mut(), 0, executor, null_mut()) }, 0, "{}", recent());
        assert_eq!(acl!(runtime.aclrtSynchronizeStream(null_mut())), 0, "{}", recent());
        decoded(F16, &bytes_of(out, ROWS * N * 2))
    }
}

fn tensor((address, dims): (*mut c_void, &[i64])) -> *mut aclTensor {
    let (extents, count) = (dims.as_ptr(), dims.len() as u64);
    let (dtype, format) = (aclDataType::FLOAT16, aclFormat::ND);
    let made = acl!(meta.aclCreateTensor(extents, count, dtype, null(), 0, format, extents, count, address));
    assert!(!made.is_null(), "{}", recent());
    made
}

/// How many results are not those of a recipe: off by more than half a unit of f16, and what f32 adds.
fn different(got: &[f64], exact: &[f64]) -> usize {
    let is_off =
        |(got, exact): (&f64, &f64)| (got - exact).abs() > exact.abs() * 2f64.powi(-11) + 2f64.powi(-19);
    got.iter().zip(exact).filter(|pair| is_off(*pair)).count()
}

contract! {
    fn a_compiled_one_rounds_the_variance_and_aclnns_the_deviation() {
        start();
        let case = case();
        let (compiled, single) = (case.compiled(true), case.single());
        let of_variance = case.exact(half, half, |rstd| rstd);
        let of_deviation = case.exact(half, |variance| variance, half);
        let neither = case.exact(|mean| mean, |variance| variance, |rstd| rstd);
        assert_eq!(different(&compiled, &of_variance), 0);
        assert_eq!(different(&single, &of_deviation), 0);
        for (got, other) in
            [(&compiled, &of_deviation), (&single, &of_variance), (&compiled, &neither), (&single, &neither)]
        {
            assert!(different(got, other) > ROWS * N / 100, "{}", different(got, other));
        }
        assert_ne!(compiled, single);
    }
}

contract! {
    fn the_fast_root_rounds_the_same_statistics() {
        start();
        let case = case();
        assert_eq!(different(&case.compiled(false), &case.exact(half, half, |rstd| rstd)), 0);
    }
}

contract! {
    fn with_exact_numerics_nothing_is_rounded_between() with ["LOCKSTEP_ASCEND_SIM_NUMERICS" = "exact"] {
        start();
        let case = case();
        let neither = case.exact(|mean| mean, |variance| variance, |rstd| rstd);
        assert_eq!(different(&case.compiled(false), &neither), 0);
    }
}
