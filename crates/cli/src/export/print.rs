//! What was written, for a person, and what to do with it.

use super::manifest::Manifest;
use crate::failure::Outcome;
use crate::output::Output;
use serde_json::Value;
use std::path::Path;

pub(super) fn print(folder: &Path, manifest: &Manifest, output: &mut Output) -> Outcome {
    let shown = folder.display();
    let size = |name: &str| {
        let bytes = folder.join(name).metadata().map_or(0, |file| file.len());
        format!("{name} ({})", crate::table::with_prefix(bytes as f64, "B"))
    };
    let files: Vec<String> = manifest.files.keys().map(|name| size(name)).collect();
    output.line(format_args!(
        "{shown}: {} as ONNX, opset {}, in {}",
        manifest.model, manifest.opset, manifest.dtype
    ))?;
    output.line(format_args!("files        {}, manifest.json", files.join(", ")))?;
    output.line(format_args!("inputs       {}", ports(&manifest.inputs)))?;
    output.line(format_args!(
        "outputs      {}",
        ports(&manifest.outputs[..manifest.own_outputs.min(manifest.outputs.len())])
    ))?;
    if !manifest.checkpoints.is_empty() {
        let names: Vec<&str> = manifest.checkpoints.values().map(String::as_str).collect();
        output.line(format_args!("checkpoints  given, too: {}", names.join(", ")))?;
    }
    let Some(ascend) = &manifest.ascend else { return Ok(()) };
    let list = |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    output.line(format_args!(
        "gears        batches of {}, of {} tokens, for {}",
        list(&ascend.gears.batches),
        list(&ascend.gears.seqs),
        ascend.soc
    ))?;
    let compiled: Vec<&str> = ascend.precisions.iter().map(|made| made.compiled.as_str()).collect();
    output.line(format_args!(
        "next         copy the folder to where CANN is installed; there `bash atc.sh` makes {}",
        compiled.join(" and ")
    ))
}

/// As the library shows them: `logits f32[batch, 12]`.
fn ports(ports: &[Value]) -> String {
    let shown = ports.iter().map(|port| {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let dims: Vec<String> = port["dims"].as_array().into_iter().flatten().map(text).collect();
        format!("{} {}[{}]", text(&port["name"]), text(&port["dtype"]), dims.join(", "))
    });
    shown.collect::<Vec<_>>().join(", ")
}
