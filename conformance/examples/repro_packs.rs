//! Writes every case of the suite as a repro pack, to hold the packs against another implementation of ONNX:
//! `conformance/repro_with_onnxruntime.py` runs them there.
//!
//! ```text
//! cargo run --release -p lockstep-conformance --example repro_packs -- packs f32
//! ```

use lockstep_conformance::cases;
use lockstep_conformance::oracle::{Oracle, Terms};
use lockstep_conformance::repro::{Finder, Offender, write};
use lockstep_conformance::verdict::Verdict;
use lockstep_runtime::graph::{TensorType, infer};
use lockstep_runtime::tensor::DType;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, dtype] = arguments.as_slice() else {
        return Err("usage: repro_packs FOLDER DTYPE".into());
    };
    let dtype: DType = dtype.parse()?;
    let oracle = Oracle::new()?;
    let device = oracle.device().info().clone();
    let finder =
        Finder { model: "every case", device: &device, trusted: "reference", command: "example repro_packs" };
    for (number, case) in cases::all().iter().enumerate() {
        let case = case.in_dtype(dtype);
        let arguments = case.arguments();
        // What every device must refuse has no truth.
        let Ok(mut truth) = oracle.truth("node", &case.op, &arguments) else { continue };
        let truth = truth.swap_remove(0);
        let types: Vec<TensorType> =
            case.inputs.iter().map(|x| TensorType::fixed(x.dtype(), x.shape())).collect();
        let storage = infer("node", &case.op, &types.iter().collect::<Vec<_>>())?[0].dtype;
        // As a device that sums in f32 would be judged.
        let accumulate = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
        let terms = Terms { accumulate, profile: &device.numerics };
        let limits = oracle.limits(&case.op, &arguments, &truth, storage, terms)?;
        let offender = Offender {
            node: case.op.name().to_owned(),
            op: case.op.clone(),
            arguments,
            truth,
            worst_case: limits.worst_case,
            found: None,
            storage,
            accumulate,
            verdict: Verdict::NotRun("written for another implementation".to_owned()),
            of_worst_case: None,
            fits: None,
        };
        write(&offender, finder, &Path::new(folder).join(format!("{number:04}-{}", case.op.name())))?;
    }
    Ok(())
}
