//! Classify a text: a model folder, a device, a session.
//!
//! `cargo run --release -p lockstep-examples --example classify_text -- "姓名王伟 性别男 民族汉"`

use lockstep_bert::{BertModel, ClassScores, Head, LoadOptions};
use lockstep_cpu::CpuBackend;
use lockstep_runtime::{Backend, Session, tensor::HostTensor};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let text =
        std::env::args().nth(1).unwrap_or_else(|| "兹证明王伟系我单位员工，月均收入12,000.00元".into());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/bert-small/document-classifier");
    let model = BertModel::load(&folder, LoadOptions::default())?;
    let encoding = model.tokenizer()?.encode(&text, None)?;

    let device = CpuBackend::default().open(0)?;
    let session = Session::builder(model.graph().clone()).device(device).build()?;

    let row = |values: Vec<i64>| HostTensor::from_slice(&[1, values.len()], &values);
    let ids = row(encoding.ids.iter().map(|&id| i64::from(id)).collect())?;
    let types = row(encoding.type_ids.iter().map(|&id| i64::from(id)).collect())?;
    let mask = row(vec![1; encoding.ids.len()])?;
    let result =
        session.run(&[("input_ids", &ids), ("token_type_ids", &types), ("attention_mask", &mask)])?;

    let Head::SequenceClassification { activation } = model.head() else {
        return Err("not a classifier".into());
    };
    let logits = result.output("logits")?.as_slice::<f32>()?;
    let scores = ClassScores::from_logits(logits, &model.config().labels, *activation)?;
    #[allow(clippy::print_stdout)]
    {
        println!("{} {:.4}", scores.best().label, scores.best().score);
    }
    Ok(())
}
