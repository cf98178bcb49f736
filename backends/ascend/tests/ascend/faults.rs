//! What goes wrong in the libraries or on the device: each is an error that names call and node, nothing is left behind, and no
//! process hangs or crashes.

use crate::child;
use crate::counts;
use lockstep_ascend::AscendBackend;
use lockstep_hal::{Cancel, Usage};
use lockstep_runtime::graph::{BinaryOp, DType, GraphBuilder, Linear, Op, TensorType};
use lockstep_runtime::tensor::HostTensor;
use lockstep_runtime::{Backend, Error, RunOptions, Session};
use std::error::Error as _;

const FAIL: &str = "LOCKSTEP_ASCEND_SIM_FAIL";

/// `LayerNorm(x + x)` over rows of 8, the addition named `sum`, the other `norm`.
fn session() -> Result<Session, Error> {
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", TensorType::fixed(DType::F32, &[4, 8])).unwrap();
    let sum = builder.binary("sum", BinaryOp::Add, x, x).unwrap();
    let gamma = builder.constant("gamma", HostTensor::from_slice(&[8], &[1.0_f32; 8]).unwrap());
    let beta = builder.constant("beta", HostTensor::from_slice(&[8], &[0.0_f32; 8]).unwrap());
    let out = builder.single("norm", Op::LayerNorm { epsilon: 1e-5 }, &[sum, gamma, beta]).unwrap();
    builder.output("out", out).unwrap();
    let device = AscendBackend::simulator().open(0).map_err(Error::from)?;
    Session::builder(builder.finish().unwrap()).device(device).build()
}

fn run(session: &Session) -> Result<Vec<f64>, Error> {
    let x: Vec<f32> = (0..32).map(|at| (at % 5) as f32).collect();
    let x = HostTensor::from_slice(&[4, 8], &x).unwrap();
    Ok(session.run(&[("x", &x)])?.output("out")?.to_f64())
}

/// Opens, runs four times (node by node, captured, twice replayed), closes.
fn whole_life() -> Result<(), Error> {
    let session = session()?;
    let first = run(&session)?;
    for _ in 0..3 {
        assert_eq!(run(&session)?, first);
    }
    Ok(())
}

/// An error with its causes, as the command prints it.
pub(crate) fn said(error: &Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        said += &format!(": {next}");
        cause = next.source();
    }
    said
}

/// Says how a life ended in which that call was refused, with nothing left behind; an error names the call.
pub(crate) fn tell(symbol: &str, ended: Result<(), Error>) {
    counts::assert_nothing_is_left();
    match ended {
        Ok(()) => eprintln!("survived"),
        Err(error) => {
            let error = said(&error);
            eprintln!("said: {error}");
            // Of memory that is not there it is said how much, not by whom.
            assert!(error.contains(symbol) || error.contains("out of memory"), "{symbol} is not named");
        }
    }
}

/// Each call that a whole life makes, refused the first and the second time it is made.
#[test]
fn every_call_that_fails_is_an_error_and_leaves_nothing_behind() {
    if let Some(symbol) = child::case() {
        return tell(&symbol, whole_life());
    }
    // What gives things back may fail without anyone to tell, and what is only tried has another way.
    let quiet = ["aclGetRecentErrMsg", "aclrtGetLastError", "aclrtGetVersion", "aclrtGetSocName"];
    let tried = [
        "aclmdlRICaptureBegin",
        "aclSetAclOpExecutorRepeatable",
        "aclrtCtxSetSysParamOpt",
        "aclrtGetMemInfo",
    ];
    let told = [
        ("aclInit", 500_000),
        ("aclrtGetDeviceCount", 507_899),
        ("aclrtSetDevice", 507_033),
        ("aclrtCreateContext", 107_001),
        ("aclrtCreateStream", 207_008),
        ("aclrtSetStreamFailureMode", 107_003),
        ("aclrtMalloc", 207_001),
        ("aclrtMallocHost", 207_001),
        ("aclrtMemcpy", 507_013),
        ("aclrtMemcpyAsync", 107_000),
        ("aclrtCreateEventWithFlag", 207_007),
        ("aclrtRecordEvent", 107_003),
        ("aclrtEventElapsedTime", 107_006),
        ("aclrtSynchronizeStream", 507_899),
        ("aclmdlRICaptureEnd", 507_903),
        ("aclmdlRIExecuteAsync", 507_011),
        ("aclnnAddGetWorkspaceSize", 161_002),
        ("aclnnAdd", 561_002),
        ("aclnnLayerNormGetWorkspaceSize", 561_003),
        ("aclnnLayerNorm", 361_001),
    ];
    for (symbol, code) in told {
        for time in ["1", "2"] {
            let ran = child::run(
                module_path!(),
                "every_call_that_fails_is_an_error_and_leaves_nothing_behind",
                symbol,
                &[(FAIL, &format!("{symbol}:{time}:{code}"))],
            );
            assert!(ran.ended_well, "{symbol} {time}: {}", ran.said);
            let refused = ran.said.contains("said: ");
            // The second time may never come.
            assert!(refused || time == "2", "{symbol} {time}: {}", ran.said);
            if refused && symbol != "aclrtMalloc" && symbol != "aclInit" {
                assert!(ran.said.contains(&code.to_string()), "{symbol} {time}: {}", ran.said);
            }
        }
    }
    for symbol in quiet.into_iter().chain(tried) {
        let ran = child::run(
            module_path!(),
            "every_call_that_fails_is_an_error_and_leaves_nothing_behind",
            symbol,
            &[(FAIL, &format!("{symbol}:1:500000"))],
        );
        assert!(ran.ended_well && ran.said.contains("survived"), "{symbol}: {}", ran.said);
    }
}

#[test]
fn a_fault_on_the_device_names_its_node_and_loses_its_device_alone() {
    if child::case().is_some() {
        let other = AscendBackend::simulator().open(1).unwrap();
        let session = session().unwrap();
        let first = said(&run(&session).unwrap_err());
        eprintln!("first: {first}");
        let second = said(&run(&session).unwrap_err());
        eprintln!("second: {second}");
        assert!(other.alloc(64, lockstep_hal::Usage::Input).is_ok());
        drop((other, session));
        counts::assert_nothing_is_left();
        // Opened again, it works.
        whole_life().unwrap();
        return;
    }
    for (late, node) in [("aclnnAdd:1:507015", "sum"), ("aclnnLayerNorm:1:507035", "norm")] {
        let ran = child::run(
            module_path!(),
            "a_fault_on_the_device_names_its_node_and_loses_its_device_alone",
            "late",
            &[("LOCKSTEP_ASCEND_SIM_LATE", late)],
        );
        assert!(ran.ended_well, "{}", ran.said);
        let line = |start: &str| {
            ran.said.lines().find_map(|line| line.split_once(start)).map(|(_, rest)| rest.to_owned())
        };
        let first = line("first: ").unwrap();
        let code = late.rsplit(':').next().unwrap();
        assert!(first.contains(&format!("failed at {node} with code {code}")), "{first}");
        let second = line("second: ").unwrap();
        assert!(second.contains("lost by an earlier fault") && second.contains(node), "{second}");
    }
}

/// From the second run on nothing is waited for in between; the fault is told at the end, and told to be of the run.
#[test]
fn a_fault_in_a_captured_run_is_told_when_it_is_waited_for_and_by_node_when_stepwise() {
    if child::case().is_some() {
        let session = session().unwrap();
        let error = (0..4).find_map(|_| run(&session).err()).expect("the fault");
        eprintln!("told: {}", said(&error));
        return;
    }
    let test = "a_fault_in_a_captured_run_is_told_when_it_is_waited_for_and_by_node_when_stepwise";
    let late = ("LOCKSTEP_ASCEND_SIM_LATE", "aclnnLayerNorm:3:507035");
    let captured = child::run(module_path!(), test, "captured", &[late]);
    assert!(
        captured.ended_well && captured.said.contains("failed at the run with code 507035"),
        "{}",
        captured.said
    );
    let stepwise = child::run(module_path!(), test, "stepwise", &[late, ("LOCKSTEP_ASCEND_STEPWISE", "1")]);
    assert!(
        stepwise.ended_well && stepwise.said.contains("failed at norm with code 507035"),
        "{}",
        stepwise.said
    );
}

/// Runs a product three times, drops it in its fourth run, and asks the device for something after it.
fn drop_in_flight() -> lockstep_hal::Result<()> {
    let mut builder = GraphBuilder::new();
    let x = builder.input("x", TensorType::fixed(DType::F32, &[512, 1024])).unwrap();
    let weight = HostTensor::from_slice(&[1024, 1024], &vec![0.5_f32; 1 << 20]).unwrap();
    let weight = builder.constant("weight", weight);
    let linear = Op::Linear(Linear { bias: false, activation: None, residual: false });
    let y = builder.single("product", linear, &[x, weight]).unwrap();
    builder.output("y", y).unwrap();
    let device = AscendBackend::simulator().open(0).unwrap();
    let graph = builder.finish().unwrap();
    let session = Session::builder(graph).device(device.clone()).build().unwrap();
    let x = HostTensor::zeros(DType::F32, &[512, 1024]).unwrap();
    let (bound, _) = session.bind(&[("x", &x)], &RunOptions::new()).unwrap();
    let bytes = |id: &lockstep_hal::OperandId| bound.program.operand(*id).bytes();
    let io: Vec<_> =
        bound.program.io().iter().map(|id| device.alloc(bytes(id), Usage::Input).unwrap()).collect();
    let mut executable = device.clone().compile(bound.program.clone()).unwrap();
    // The first run waits after each step, and the second captures.
    for _ in 0..3 {
        executable.submit(&io, &Cancel::new()).unwrap();
        executable.wait().unwrap();
    }
    executable.submit(&io, &Cancel::new()).unwrap();
    drop(executable);
    device.read(&io[0], 0, &mut [0; 4])
}

/// Its weights are an allocation of their own, which the runtime gives back at once, whatever reads it.
#[test]
fn a_program_that_is_dropped_while_it_runs_is_waited_for() {
    if child::case().is_some() {
        // A kernel that met memory that is gone would have lost the device.
        drop_in_flight().unwrap();
        counts::assert_nothing_is_left();
        return;
    }
    let ran =
        child::run(module_path!(), "a_program_that_is_dropped_while_it_runs_is_waited_for", "here", &[]);
    assert!(ran.ended_well, "{}", ran.said);
}

/// Nobody waits for such a run, and whatever comes after its fault on the same stream would be skipped without a word.
#[test]
fn a_fault_in_a_run_that_nobody_waits_for_loses_the_device() {
    if child::case().is_some() {
        let error = said(&drop_in_flight().unwrap_err().into());
        assert!(error.contains("lost by an earlier fault") && error.contains("code 507015"), "{error}");
        counts::assert_nothing_is_left();
        return;
    }
    let late = ("LOCKSTEP_ASCEND_SIM_LATE", "aclnnMatmul:4:507015");
    let ran = child::run(
        module_path!(),
        "a_fault_in_a_run_that_nobody_waits_for_loses_the_device",
        "late",
        &[late],
    );
    assert!(ran.ended_well, "{}", ran.said);
}

/// The simulator's operators ask for scratch and overwrite it: it is nobody else's memory.
#[test]
fn what_operators_ask_for_beside_their_operands_is_theirs_alone() {
    if child::case().is_some() {
        let session = session().unwrap();
        for _ in 0..4 {
            eprintln!("gave: {:?}", run(&session).unwrap());
        }
        return;
    }
    let test = "what_operators_ask_for_beside_their_operands_is_theirs_alone";
    let [none, much] = ["0", "65536"]
        .map(|bytes| child::run(module_path!(), test, bytes, &[("LOCKSTEP_ASCEND_SIM_WORKSPACE", bytes)]));
    let gave = |ran: &child::Ran| -> Vec<String> {
        ran.said.lines().filter(|line| line.contains("gave: ")).map(str::to_owned).collect()
    };
    assert!(none.ended_well && much.ended_well, "{}{}", none.said, much.said);
    assert_eq!((gave(&none).len(), gave(&none)), (4, gave(&much)));
}

#[test]
fn an_index_outside_its_table_names_node_position_and_value() {
    let mut builder = GraphBuilder::new();
    let table = builder.constant("table", HostTensor::from_slice(&[3, 2], &[0.0_f32; 6]).unwrap());
    let ids = builder.input("ids", TensorType::fixed(DType::I64, &[4])).unwrap();
    let out = builder.single("embed", Op::Gather { axis: 0 }, &[table, ids]).unwrap();
    builder.output("out", out).unwrap();
    let device = AscendBackend::simulator().open(0).unwrap();
    let session = Session::builder(builder.finish().unwrap()).device(device).build().unwrap();
    let run = |ids: [i64; 4]| session.run(&[("ids", &HostTensor::from_slice(&[4], &ids).unwrap())]);
    for (ids, wrong) in [([0, 1, 3, -1], "index 3 at position 2"), ([0, -7, 2, 9], "index -7 at position 1")]
    {
        let error = said(&run(ids).unwrap_err());
        assert!(error.contains("embed") && error.contains(wrong), "{error}");
    }
    // A refused run leaves the device as good as before.
    assert!(run([0, 1, 2, 2]).is_ok());
}

/// The index is what a reduction gives, so that the host sees it only between two steps.
#[test]
fn a_computed_index_is_checked_before_it_is_used() {
    let mut builder = GraphBuilder::new();
    let table = builder
        .constant("table", HostTensor::from_slice(&[3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0_f32]).unwrap());
    let terms = builder.input("terms", TensorType::fixed(DType::I64, &[2, 2])).unwrap();
    let ids = builder.reduce("ids", lockstep_runtime::graph::ReduceOp::Sum, terms, &[1], false).unwrap();
    let out = builder.single("embed", Op::Gather { axis: 0 }, &[table, ids]).unwrap();
    builder.output("out", out).unwrap();
    let device = AscendBackend::simulator().open(0).unwrap();
    let session = Session::builder(builder.finish().unwrap()).device(device).build().unwrap();
    let run = |terms: [i64; 4]| session.run(&[("terms", &HostTensor::from_slice(&[2, 2], &terms).unwrap())]);
    for _ in 0..3 {
        let result = run([1, 1, 0, 0]).unwrap();
        assert_eq!(result.output("out").unwrap().to_f64(), [4.0, 5.0, 0.0, 1.0]);
        let error = said(&run([1, 1, 2, 1]).unwrap_err());
        assert!(error.contains("embed") && error.contains("index 3 at position 1"), "{error}");
    }
}
