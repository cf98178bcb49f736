//! Look at a layer's output without changing what is computed.
//!
//! `cargo run --release -p lockstep-examples --example tap_a_layer`

use lockstep_bert::{BertModel, LoadOptions};
use lockstep_cpu::CpuBackend;
use lockstep_runtime::{Backend, RunOptions, Session, tensor::HostTensor};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bert-small/field-extractor");
    let model = BertModel::load(&folder, LoadOptions::default())?;
    let session = Session::builder(model.graph().clone()).device(CpuBackend::default().open(0)?).build()?;

    let ids = HostTensor::from_slice(&[1, 5], &[2i64, 1184, 1251, 1209, 3])?;
    let (types, mask) =
        (HostTensor::from_slice(&[1, 5], &[0i64; 5])?, HostTensor::from_slice(&[1, 5], &[1i64; 5])?);
    let inputs = [("input_ids", &ids), ("token_type_ids", &types), ("attention_mask", &mask)];

    let plain = session.run(&inputs)?;
    let tapped = session.run_with(&inputs, &RunOptions::new().taps(&["encoder.2.output"]))?;
    let layer = tapped.tap("encoder.2.output")?;
    let same = plain.output("logits")?.bytes() == tapped.output("logits")?.bytes();
    #[allow(clippy::print_stdout)]
    {
        println!("encoder.2.output is {}{:?}; same output bits: {same}", layer.dtype(), layer.shape());
    }
    Ok(())
}
