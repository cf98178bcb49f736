//! `lockstep export`.

mod atc;
mod folder;
mod gears;
mod manifest;
mod print;

use crate::arguments;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::run::warn;
use clap::{Args, ValueEnum};
use folder::{Contents, Destination};
use gears::Gears;
use lockstep_bert::{BertModel, LoadOptions};
use lockstep_onnx::{Export, WEIGHTS_FILE, check_ascend};
use lockstep_runtime::tensor::DType;
use manifest::{Ascend, Manifest};
use std::path::PathBuf;

/// The chip of ATC's `--soc_version` that is asked for by default.
const SOC: &str = "Ascend910B3";
const BATCHES: [usize; 4] = [1, 8, 16, 32];
const SEQ: usize = 128;
/// Names of checkpoints that are offered for one that is not there.
const NEAR_NAMES: usize = 3;

/// Who reads the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// Huawei's ATC, for an Ascend 910B
    Ascend,
    /// Any reader of ONNX
    Onnx,
}

/// A model, and the folder to write.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lockstep export models/bert-small/document-classifier --for ascend -o exported
  lockstep export MODEL --for ascend -o exported --batches 1,16 --seq 64,128 --cut all
  lockstep export MODEL --for onnx --dtype f16 -o exported

The folder holds model.onnx, in ONNX's own operators (opset 13) with batch and seq as symbols, and manifest.json with names, \
extents and digests; for ascend also atc.sh, which compiles the model with ATC once as it is (origin) and once in mixed \
precision (mixed_float16), and op_precision.ini, which it reads; `ATC=target/release/atc-sim bash atc.sh` compiles for the simulator instead. The exported model does not check its inputs: a mask row \
without a token gives values instead of an error.")]
pub(crate) struct ExportArguments {
    /// A Hugging Face or sentence-transformers folder
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Who reads the model
    #[arg(long = "for", value_name = "READER")]
    target: Target,
    /// The folder to write, new or empty
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// The dtype to compute in: f32 or f16
    #[arg(long, value_name = "DTYPE", default_value = "f32", value_parser = dtype)]
    dtype: DType,
    /// Give these checkpoints as outputs, too, to be compared layer by layer: names, or `all`
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    cut: Vec<String>,
    /// The batch sizes to compile for (ascend) [default: 1,8,16,32]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = arguments::texts)]
    batches: Vec<usize>,
    /// The lengths to compile for, in tokens (ascend) [default: 128, or as many as the model takes]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = arguments::texts)]
    seq: Vec<usize>,
    /// The chip: Ascend and the name that `npu-smi info` shows (ascend) [default: Ascend910B3]
    #[arg(long, value_name = "NAME", value_parser = soc)]
    soc: Option<String>,
    /// Replace an earlier export
    #[arg(long)]
    force: bool,
}

fn dtype(text: &str) -> Result<DType, String> {
    match text {
        "f32" => Ok(DType::F32),
        "f16" => Ok(DType::F16),
        _ => Err("expected f32 or f16".to_owned()),
    }
}

fn soc(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("Ascend").filter(|name| !name.is_empty());
    match name.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')) {
        Some(_) => Ok(text.to_owned()),
        None => Err("expected Ascend and the name that `npu-smi info` shows, such as Ascend910B3".to_owned()),
    }
}

/// Writes the folder, and says what is in it.
pub(crate) fn export(arguments: &ExportArguments, output: &mut Output) -> Outcome {
    let destination = Destination::new(&arguments.output, arguments.force)?;
    refuse_flags_of_atc(arguments)?;
    let options = LoadOptions { dtype: arguments.dtype, ..LoadOptions::default() };
    let model = BertModel::load(&arguments.model, options)?;
    warn(&arguments.model, model.warnings());
    let gears = match arguments.target {
        Target::Ascend => Some(gears(arguments, model.config().max_position_embeddings)?),
        Target::Onnx => None,
    };
    let cut = cut(&arguments.cut, &model)?;
    let exported = lockstep_onnx::export(model.graph(), &cut).map_err(|error| Failure::of(&error))?;
    let bytes = exported.model_bytes();
    let ascend = match gears {
        None => None,
        Some(gears) => {
            check_ascend(&bytes).map_err(|error| Failure::of(&error))?;
            let soc = arguments.soc.clone().unwrap_or_else(|| SOC.to_owned());
            Some(Ascend::new(soc, gears, exported.inputs())?)
        }
    };
    let mut manifest = Manifest::new(&arguments.model, &model, arguments.dtype, &exported, ascend);
    destination.write(|files| {
        write_files(files, &bytes, &exported, &mut manifest)?;
        files.json("manifest.json", &manifest)
    })?;
    if output.is_json() {
        output.json_line(&manifest)
    } else {
        print::print(&arguments.output, &manifest, output)
    }
}

/// Every file but the manifest, which holds their digests.
fn write_files(
    files: &mut Contents<'_>,
    model: &[u8],
    exported: &Export,
    manifest: &mut Manifest,
) -> Outcome {
    files.bytes("model.onnx", model)?;
    if exported.has_weights_file() {
        files.stream(WEIGHTS_FILE, |stream| exported.write_weights(stream))?;
    }
    if let Some(ascend) = &manifest.ascend {
        files.script("atc.sh", &atc::script(ascend))?;
        files.bytes(atc::OP_PRECISION, atc::op_precision().as_bytes())?;
    }
    manifest.files = files.written().clone();
    Ok(())
}

fn refuse_flags_of_atc(arguments: &ExportArguments) -> Outcome {
    let given = [
        ("--batches", !arguments.batches.is_empty()),
        ("--seq", !arguments.seq.is_empty()),
        ("--soc", arguments.soc.is_some()),
    ];
    match given.into_iter().find(|(_, given)| *given && arguments.target == Target::Onnx) {
        Some((flag, _)) => Err(Failure::Usage(format!(
            "{flag} is of --for ascend; an ONNX model takes any batch and length, on any device"
        ))),
        None => Ok(()),
    }
}

fn gears(arguments: &ExportArguments, longest: usize) -> Outcome<Gears> {
    let or = |given: &[usize], default: &[usize]| if given.is_empty() { default } else { given }.to_vec();
    Gears::new(or(&arguments.batches, &BATCHES), or(&arguments.seq, &[SEQ.min(longest)]), longest)
}

/// The checkpoints that are asked for, in the model's order.
fn cut<'a>(wanted: &[String], model: &'a BertModel) -> Outcome<Vec<&'a str>> {
    let known: Vec<&str> = model.graph().checkpoints().iter().map(|(name, _)| name.as_str()).collect();
    if wanted == ["all"] {
        return Ok(known);
    }
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(&name.as_str())) {
        let near = near(unknown, &known).join(", ");
        let what = format!(
            "--cut {unknown}: there is no such checkpoint; near it are {near}; `all` takes every one"
        );
        return Err(Failure::Usage(what));
    }
    Ok(known.into_iter().filter(|name| wanted.iter().any(|wanted| wanted == name)).collect())
}

/// The names most like one that is not there.
fn near<'a>(unknown: &str, known: &[&'a str]) -> Vec<&'a str> {
    let mut ranked = known.to_vec();
    ranked.sort_by_key(|name| strsim::damerau_levenshtein(unknown, name));
    ranked.truncate(NEAR_NAMES);
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_nearest_first() {
        let known = [
            "embeddings",
            "encoder.2.attention.self",
            "encoder.2.attention.output",
            "encoder.2.output",
            "logits",
        ];
        assert_eq!(near("encoder.2.atention.output", &known)[0], "encoder.2.attention.output");
        assert_eq!(near("logit", &known)[0], "logits");
    }

    #[test]
    fn a_chip_is_named_as_atc_names_it() {
        assert_eq!(soc("Ascend910B3").as_deref(), Ok("Ascend910B3"));
        assert_eq!(soc("Ascend310P3").as_deref(), Ok("Ascend310P3"));
        for wrong in ["910B3", "Ascend", "Ascend 910", "Ascend910;rm", ""] {
            assert!(soc(wrong).is_err(), "{wrong}");
        }
    }
}
