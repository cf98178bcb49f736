//! The flags of ATC that a script for it passes, checked as ATC documents them.
//!
//! What is not simulated is refused, flag or value: a model that was compiled otherwise than it was asked would make a
//! comparison a lie.

use crate::gears::Shapes;
use crate::modes::Modes;
use crate::precision::Precision;
use crate::{Error, Result};
use clap::Parser;
use std::path::{Path, PathBuf};

/// The command line of `atc-sim`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "atc-sim",
    version,
    about = "Compiles an ONNX model for the SIMULATOR of Huawei's ACL: a simulated stand-in for ATC, with ATC's own flags",
    after_help = "\
Example:
  atc-sim --mode=0 --framework=5 --model=model.onnx --output=model_origin --soc_version=Ascend910B3 --input_format=ND \\
    --input_shape=\"input_ids:-1,128;attention_mask:-1,128\" --dynamic_batch_size=1,8 --precision_mode_v2=origin

What is written is simulated: it holds no code of an NPU, CANN refuses it, and the simulator alone runs it. It follows ATC \
where ATC's documents say what it does, and says where they do not. Flags and operators that are missing here are refused, which does not \
mean that the real ATC lacks them."
)]
pub struct Flags {
    /// 0: compile a model
    #[arg(long, value_name = "0", default_value_t = 0)]
    mode: u32,
    /// 5: the model is of ONNX
    #[arg(long, value_name = "5")]
    framework: u32,
    /// The ONNX file, opset 11 to 18
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The file to write, to which .om is added
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// The chip, an Ascend910B: Ascend and the name that `npu-smi info` shows
    #[arg(long = "soc_version", value_name = "NAME")]
    soc_version: String,
    /// ND; other layouts are of images
    #[arg(long = "input_format", value_name = "ND")]
    input_format: Option<String>,
    /// The inputs' extents, -1 where gears choose
    #[arg(long = "input_shape", value_name = "NAME:D,D;..")]
    input_shape: Option<String>,
    /// The batches to compile for, 2 to 100; each first extent that is -1
    #[arg(long = "dynamic_batch_size", value_name = "N,..")]
    dynamic_batch_size: Option<String>,
    /// Sets of extents to compile for, 2 to 100; a number for each -1, in the order of --input_shape
    #[arg(long = "dynamic_dims", value_name = "N,..;..")]
    dynamic_dims: Option<String>,
    /// origin, mixed_float16, cube_fp16in_fp32out, or fp16, which is what ATC does if nothing is said
    #[arg(long = "precision_mode_v2", value_name = "MODE")]
    precision_mode_v2: Option<String>,
    /// The same in ATC's older names
    #[arg(long = "precision_mode", value_name = "MODE")]
    precision_mode: Option<String>,
    /// A file with high_precision or high_performance for operators, under [ByOpType] and [ByNodeName]
    #[arg(long = "op_precision_mode", value_name = "FILE")]
    op_precision_mode: Option<PathBuf>,
    /// 1: sums in one order. The simulator's always are
    #[arg(long, value_name = "0|1", default_value_t = 0)]
    deterministic: u32,
    /// debug, info, warning, error or null; passed over
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

/// What to compile, and how; from [`Flags::checked`].
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) model: PathBuf,
    pub(crate) output: PathBuf,
    pub(crate) soc_version: String,
    pub(crate) shapes: Shapes,
    pub(crate) precision: Precision,
    pub(crate) modes: Modes,
    pub(crate) warnings: Vec<String>,
}

impl Options {
    /// The file to write.
    pub fn output(&self) -> &Path {
        &self.output
    }
}

const LOG_LEVELS: [&str; 5] = ["debug", "info", "warning", "error", "null"];

impl Flags {
    /// Holds the flags to ATC's rules. Reads the file of `--op_precision_mode`, and no other.
    ///
    /// # Errors
    /// [`Error::Flag`] names the flag and what to try; [`Error::File`] for a file of modes that is none.
    pub fn checked(&self) -> Result<Options> {
        one_of("--mode", self.mode, &[0], "atc-sim only compiles models")?;
        one_of("--framework", self.framework, &[5], "atc-sim reads ONNX models alone")?;
        one_of("--deterministic", self.deterministic, &[0, 1], "it is off or on")?;
        if let Some(level) = self.log.as_deref().filter(|level| !LOG_LEVELS.contains(level)) {
            return Err(Error::flag("--log", format!("`{level}` is none of {}", LOG_LEVELS.join(", "))));
        }
        let is_nd = self.input_format.is_some();
        if let Some(format) = self.input_format.as_deref().filter(|format| *format != "ND") {
            let reason = format!("`{format}` is a layout of images; inputs of the simulator are ND");
            return Err(Error::flag("--input_format", reason));
        }
        let mut warnings = Vec::new();
        let v2 = self.precision_mode_v2.as_deref();
        let precision = Precision::chosen(v2, self.precision_mode.as_deref(), &mut warnings)?;
        let shapes = Shapes::new(
            self.input_shape.as_deref(),
            self.dynamic_batch_size.as_deref(),
            self.dynamic_dims.as_deref(),
            is_nd,
        )?;
        let modes = match &self.op_precision_mode {
            Some(path) => Modes::read(path, &mut warnings)?,
            None => Modes::default(),
        };
        Ok(Options {
            model: self.model.clone(),
            output: with_ending(&self.output)?,
            soc_version: soc(&self.soc_version)?,
            shapes,
            precision,
            modes,
            warnings,
        })
    }
}

fn one_of(flag: &str, given: u32, known: &[u32], reason: &str) -> Result<()> {
    if known.contains(&given) {
        return Ok(());
    }
    let known: Vec<String> = known.iter().map(u32::to_string).collect();
    Err(Error::flag(flag, format!("{given} is not {}: {reason}", known.join(" or "))))
}

fn with_ending(output: &Path) -> Result<PathBuf> {
    let Some(name) = output.file_name() else {
        let reason = format!("`{}` is no name for a file", output.display());
        return Err(Error::flag("--output", reason));
    };
    let mut name = name.to_os_string();
    name.push(".om");
    Ok(output.with_file_name(name))
}

fn soc(name: &str) -> Result<String> {
    let rest = name.strip_prefix("Ascend910B");
    if rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')) {
        return Ok(name.to_owned());
    }
    let reason = match name.ends_with("-SIM") {
        true => "the simulator adds -SIM itself; leave it out".to_owned(),
        false => format!("`{name}` is not simulated; the simulator is of an Ascend910B, such as Ascend910B3"),
    };
    Err(Error::flag("--soc_version", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(more: &[&str]) -> Result<Options> {
        let base = ["atc-sim", "--framework=5", "--model", "m.onnx", "--output=out/m"];
        let flags = Flags::try_parse_from(base.iter().chain(more)).map_err(|error| {
            // What clap refuses is refused as well.
            Error::flag("clap", error.to_string())
        });
        flags?.checked()
    }

    fn refused(more: &[&str]) -> String {
        options(more).unwrap_err().to_string()
    }

    const SOC: &str = "--soc_version=Ascend910B3";

    #[test]
    fn flags_are_taken_with_and_without_an_equals_sign() {
        let options = options(&[
            SOC,
            "--mode",
            "0",
            "--precision_mode_v2",
            "origin",
            "--deterministic=1",
            "--log=error",
        ]);
        let options = options.unwrap();
        assert_eq!(options.output(), Path::new("out/m.om"));
        assert_eq!(options.precision, Precision::Origin);
        assert!(options.warnings.is_empty());
    }

    #[test]
    fn what_is_not_simulated_is_refused_with_the_flag() {
        assert!(refused(&[SOC, "--mode=1"]).starts_with("--mode: 1 is not 0"));
        assert!(refused(&["--soc_version=Ascend310P3"]).contains("`Ascend310P3` is not simulated"));
        assert!(refused(&["--soc_version=Ascend910B3-SIM"]).contains("leave it out"));
        assert!(refused(&[SOC, "--input_format=NCHW"]).starts_with("--input_format: `NCHW`"));
        assert!(refused(&[SOC, "--deterministic=2"]).starts_with("--deterministic: 2"));
        assert!(refused(&[SOC, "--log=loud"]).starts_with("--log: `loud`"));
        assert!(refused(&[SOC, "--fusion_switch_file=x"]).contains("--fusion_switch_file"));
        assert!(refused(&[]).contains("--soc_version"));
    }

    #[test]
    fn help_says_that_it_is_simulated() {
        let help = Flags::try_parse_from(["atc-sim", "--help"]).unwrap_err().to_string();
        assert!(help.contains("SIMULATOR") && help.contains("What is written is simulated"), "{help}");
    }
}
