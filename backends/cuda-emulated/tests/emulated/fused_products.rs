//! Linear on tensor cores with everything behind the sums in one kernel: within the bound where its tiles begin and end, and rows
//! whose bits are their own.

use crate::edited;
use lockstep_conformance::judgement::Judgement;
use lockstep_conformance::one_op::{self, Argument};
use lockstep_conformance::oracle::{Oracle, Terms};
use lockstep_conformance::random::Random;
use lockstep_conformance::verdict::Verdict;
use lockstep_cuda::launch::Command;
use lockstep_cuda::launch_list;
use lockstep_cuda_emulated::{EmulatedCuda, LaneOrder};
use lockstep_runtime::graph::{Activation, DType, GeluForm, Linear, Op};
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Device, Fallback, RunOptions, Session};
use std::sync::Arc;

const HALVES: [DType; 2] = [DType::F16, DType::Bf16];
const GELU: Linear = Linear { bias: true, activation: Some(Activation::Gelu(GeluForm::Erf)), residual: true };
/// Rows and columns for which each tile but the smallest is used, and its name. None fills its last tiles.
const TILES: [([usize; 2], &str); 3] = [
    ([18 * 128 - 5, 12 * 128 - 7], "128x128"),
    ([12 * 128 - 5, 18 * 64 - 8], "128x64"),
    ([12 * 64 - 5, 9 * 64 - 7], "64x64"),
];

fn device(order: LaneOrder) -> Arc<dyn Device> {
    EmulatedCuda::new().lane_order(order).open(0).unwrap()
}

fn random(shape: &[usize], dtype: DType, seed: u64) -> HostTensor {
    let mut random = Random(seed);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| 2.0 * random.value()).collect();
    HostTensor::from_f64(dtype, shape, &values).unwrap()
}

/// x, w, and a bias and residual where there are.
fn inputs(parts: Linear, [m, n, k]: [usize; 3], dtype: DType) -> Vec<HostTensor> {
    let mut inputs = vec![random(&[m, k], dtype, 1), random(&[n, k], dtype, 2)];
    inputs.extend(parts.bias.then(|| random(&[n], DType::F32, 3)));
    inputs.extend(parts.residual.then(|| random(&[m, n], dtype, 4)));
    inputs
}

fn run(device: &Arc<dyn Device>, parts: Linear, inputs: &[HostTensor]) -> HostTensor {
    let arguments: Vec<Argument> = inputs.iter().cloned().map(Argument::Given).collect();
    one_op::run(device, Fallback::Deny, "linear", &Op::Linear(parts), &arguments).unwrap().swap_remove(0)
}

fn judged(device: &Arc<dyn Device>, parts: Linear, inputs: &[HostTensor]) -> Judgement {
    let found = run(device, parts, inputs);
    let arguments: Vec<Argument> = inputs.iter().cloned().map(Argument::Given).collect();
    let (oracle, op) = (Oracle::new().unwrap(), Op::Linear(parts));
    let truth = oracle.truth("linear", &op, &arguments).unwrap().swap_remove(0);
    let terms = Terms { accumulate: DType::F32, profile: &device.info().numerics };
    oracle.judge(&op, &arguments, &truth, &found, terms).unwrap()
}

/// The kernels that a Linear of that size is planned to run.
fn kernels([m, n, k]: [usize; 3], dtype: DType) -> Vec<String> {
    let inputs = inputs(GELU, [m, n, k], dtype);
    let arguments: Vec<Argument> = inputs.iter().cloned().map(Argument::Given).collect();
    let graph = one_op::graph_of("linear", &Op::Linear(GELU), &arguments).unwrap();
    let session = Session::builder(graph).device(device(LaneOrder::Ascending)).build().unwrap();
    let names: Vec<String> = (0..inputs.len()).map(|at| at.to_string()).collect();
    let given: Vec<(&str, &HostTensor)> = names.iter().map(String::as_str).zip(&inputs).collect();
    let (bound, _) = session.bind(&given, &RunOptions::new()).unwrap();
    let list = launch_list(&bound.program).unwrap();
    let kernel = |command: &Command| match command {
        Command::Launch(launch) => Some(launch.kernel.clone()),
        _ => None,
    };
    list.commands.iter().filter_map(kernel).collect()
}

#[test]
fn rows_of_whole_pieces_run_on_tensor_cores_and_others_do_not() {
    assert_eq!(kernels([5, 12, 40], DType::F16), ["linear_mma_32x32_f16"]);
    for ([m, n], tile) in TILES {
        assert_eq!(kernels([m, n, 8], DType::Bf16), [format!("linear_mma_{tile}_bf16")]);
    }
    assert_eq!(kernels([5, 12, 41], DType::F16), ["product_16x32_abt"]);
    assert_eq!(kernels([5, 12, 40], DType::F32), ["product_16x32_abt"]);
}

#[test]
fn sizes_around_the_tiles_are_within_the_bound() {
    let device = device(LaneOrder::Ascending);
    let sizes = [
        [1, 1, 8],
        [15, 7, 16],
        [16, 8, 24],
        [17, 63, 32],
        [31, 64, 40],
        [32, 65, 64],
        [33, 129, 72],
        [65, 66, 520],
        [3, 9, 1032],
    ];
    for dtype in HALVES {
        for size in sizes {
            let judgement = judged(&device, GELU, &inputs(GELU, size, dtype));
            assert!(!judgement.verdict.accuses(), "{dtype} {size:?}: {judgement:?}");
        }
    }
}

#[test]
fn each_part_may_be_there_or_not() {
    let device = device(LaneOrder::Ascending);
    let forms = [None, Some(Activation::Gelu(GeluForm::Tanh)), Some(Activation::Tanh)];
    for (at, activation) in forms.into_iter().chain(forms).enumerate() {
        let parts = Linear { bias: at % 2 == 0, activation, residual: at < 3 };
        let judgement = judged(&device, parts, &inputs(parts, [9, 20, 40], DType::F16));
        assert!(!judgement.verdict.accuses(), "{parts:?}: {judgement:?}");
    }
}

/// Among many rows a larger tile is used, alone the smallest; in the other order of threads too.
#[test]
fn a_row_has_the_same_bits_in_every_tile_and_among_any_rows() {
    for (([m, n], tile), dtype) in TILES.into_iter().zip([DType::F16, DType::Bf16, DType::F16]) {
        // More tiles of k than are in shared memory at a time.
        let all = inputs(GELU, [m, n, 424], dtype);
        let together = run(&device(LaneOrder::Ascending), GELU, &all);
        let row_bytes = together.bytes().len() / m;
        for from in [0, 129, m - 3] {
            let few: Vec<HostTensor> = (all.iter().enumerate())
                .map(|(at, x)| if at == 0 || at == 3 { rows(x, from, 3) } else { x.clone() })
                .collect();
            let alone = run(&device(LaneOrder::Descending), GELU, &few);
            let among = &together.bytes()[from * row_bytes..(from + 3) * row_bytes];
            assert!(alone.bytes() == among, "{dtype}, {tile}, rows from {from}");
        }
    }
}

fn rows(x: &HostTensor, from: usize, count: usize) -> HostTensor {
    let width = x.shape()[1];
    let values = &x.to_f64()[from * width..(from + count) * width];
    HostTensor::from_f64(x.dtype(), &[count, width], values).unwrap()
}

#[test]
fn what_is_not_finite_stays_in_its_row_and_column() {
    let device = device(LaneOrder::Ascending);
    let parts = Linear { bias: true, activation: None, residual: false };
    for dtype in HALVES {
        for hostile in [f64::NAN, f64::INFINITY] {
            let mut given = inputs(parts, [40, 70, 48], dtype);
            for (input, place) in [(0, 33 * 48 + 5), (1, 66 * 48 + 47)] {
                let mut values = given[input].to_f64();
                values[place] = hostile;
                given[input] = HostTensor::from_f64(dtype, given[input].shape(), &values).unwrap();
            }
            let found = run(&device, parts, &given).to_f64();
            for (at, x) in found.iter().enumerate() {
                let (row, column) = (at / 70, at % 70);
                let reached = row == 33 || column == 66;
                assert!(x.is_finite() != reached, "{dtype} {hostile}: {x} at {row}, {column}");
            }
        }
    }
}

/// A wait too few leaves the last tiles where they came from.
#[test]
fn copies_that_are_not_waited_for_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let edit = ["wait_for_copies<S::STAGES - 2>();", "wait_for_copies<S::STAGES - 1>();"];
    let library = edited::library(folder.path(), "linear/linear_mma.cu", edit);
    // SAFETY: it was compiled just now, of the emulator and one source of ours.
    let faulty = unsafe { EmulatedCuda::new().with_kernels_of(&library) }.unwrap().open(0).unwrap();
    let judgement = judged(&faulty, GELU, &inputs(GELU, [40, 70, 96], DType::F16));
    assert_eq!(judgement.verdict, Verdict::Wrong, "{judgement:?}");
}
