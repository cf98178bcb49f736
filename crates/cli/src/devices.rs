//! `lockstep devices`.

use crate::backends::{Simulators, registry};
use crate::failure::{Outcome, with_causes};
use crate::output::Output;
use crate::table::table;
use clap::Args;
use lockstep_runtime::hal::{Error, NumericsProfile, Overflow};
use lockstep_runtime::tensor::DType;
use lockstep_runtime::{DeviceInfo, Probe};
use serde_json::{Value, json};

/// Which devices to list.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lockstep devices
  lockstep devices --json | jq '.[].devices[].id'
  lockstep devices --simulators

A star marks the dtype that a device computes in when nothing is asked. Errors of exp, erf and tanh are the largest, in \
units in the last place of the dtype that sums are carried in.")]
pub(crate) struct DevicesArguments {
    /// List simulators too: ascend-sim runs where it is named, and is found beside this program
    #[arg(long)]
    simulators: bool,
}

/// Lists every backend's devices, or why it has none.
pub(crate) fn devices(arguments: &DevicesArguments, output: &mut Output) -> Outcome {
    let simulators = if arguments.simulators { Simulators::Listed } else { Simulators::Named };
    let probes = registry(None, simulators)?.probe();
    if output.is_json() {
        return output.json_line(&probes.iter().map(as_json).collect::<Vec<_>>());
    }
    let found: Vec<&DeviceInfo> = probes.iter().flat_map(|probe| probe.devices.iter().flatten()).collect();
    let mut list = table(&["device", "name", "driver", ">memory", "dtypes", "packs sequences"]);
    for info in &found {
        let memory = info.memory_bytes.map_or_else(|| "unknown".to_owned(), gibibytes);
        let name = if info.simulated { format!("{} (simulated)", info.name) } else { info.name.clone() };
        let packs = if info.prefers_packing { "by default" } else { "if asked" };
        let driver = info.driver.clone().unwrap_or_else(|| "-".to_owned());
        list.add_row([info.id.clone(), name, driver, memory, dtypes(info), packs.to_owned()]);
    }
    output.line(format_args!("{}", list.trim_fmt()))?;
    let mut numerics = table(&[
        "numerics",
        ">version",
        "sums",
        ">exp",
        ">erf",
        ">tanh",
        "deterministic",
        "batch invariant",
        "subnormals",
        "f32 products",
        "overflow",
    ]);
    for info in &found {
        let profile = &info.numerics;
        let mut row = vec![info.id.clone(), profile.version.to_string(), sums(profile)];
        row.extend([profile.exp_ulp, profile.erf_ulp, profile.tanh_ulp].map(|ulp| ulp.to_string()));
        row.extend(kinds(profile).map(String::from));
        numerics.add_row(row);
    }
    output.line(format_args!("\n{}", numerics.trim_fmt()))?;
    for probe in &probes {
        match &probe.devices {
            Err(error) => output.line(format_args!("{}: {}", probe.backend, with_causes(error)))?,
            Ok(devices) if devices.is_empty() => {
                output.line(format_args!("{}: no device found", probe.backend))?
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// The dtypes that the device computes in, its default marked.
fn dtypes(info: &DeviceInfo) -> String {
    let name =
        |dtype: &DType| if *dtype == info.default_dtype { format!("{dtype}*") } else { dtype.to_string() };
    info.dtypes.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// What each dtype's sums are carried in, dtypes of one accumulator together.
fn sums(profile: &NumericsProfile) -> String {
    let groups = profile.accumulate.chunk_by(|a, b| a.1 == b.1).map(|group| {
        let stored: Vec<String> = group.iter().map(|(dtype, _)| dtype.to_string()).collect();
        format!("{} in {}", stored.join(" "), group[0].1)
    });
    groups.collect::<Vec<_>>().join(", ")
}

/// What is a matter of kind: determinism, batch invariance, subnormals, f32 products, overflow.
fn kinds(profile: &NumericsProfile) -> [&'static str; 5] {
    [
        if profile.deterministic { "yes" } else { "no" },
        if profile.batch_invariant { "yes" } else { "no" },
        if profile.flushes_subnormals { "flushed" } else { "kept" },
        if profile.reduced_f32_products { "may be rounded" } else { "full" },
        match profile.overflow {
            Overflow::Infinity => "infinity",
            Overflow::Saturate => "saturates",
        },
    ]
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1u32 << 30))
}

fn as_json(probe: &Probe) -> Value {
    match &probe.devices {
        Ok(devices) => {
            json!({ "backend": probe.backend, "devices": devices })
        }
        Err(error) => {
            let (searched, hint) = match error {
                Error::Unavailable { searched, hint, .. } => (json!(searched), json!(hint)),
                _ => (Value::Null, Value::Null),
            };
            let unavailable = json!({ "error": with_causes(error), "searched": searched, "hint": hint });
            json!({ "backend": probe.backend, "devices": [], "unavailable": unavailable })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_runtime::hal;

    #[test]
    fn a_missing_backend_says_what_was_searched_and_what_to_do() {
        let error = hal::Error::Unavailable {
            backend: "ascend".into(),
            library: "libascendcl.so".into(),
            searched: vec!["the loader's path".into()],
            hint: "Source CANN's set_env.sh".into(),
        };
        let json = as_json(&Probe { backend: "ascend", devices: Err(error) });
        assert_eq!(json["unavailable"]["searched"][0], "the loader's path");
        assert_eq!(json["unavailable"]["hint"], "Source CANN's set_env.sh");
        assert_eq!(json["devices"], json!([]));
    }
}
