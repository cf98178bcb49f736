//! What a device's speed is a share of: a processor's multiply-adds, or the roofline of rates that the device itself reached in
//! the same run. A simulated device has neither, since its times are those of the simulator.

use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::table::with_prefix;
use clap::ValueEnum;
use lockstep_benches::fma_peak::FmaPeak;
use lockstep_benches::rates::{self, Effort, Rates};
use lockstep_runtime::hal::CompiledModel;
use lockstep_runtime::tensor::DType;
use lockstep_runtime::{Device, DeviceInfo};
use serde::Serialize;
use std::sync::Arc;

/// Whether a device's rates are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Roofline {
    /// Where the device is not this machine's processor
    Auto,
    /// On every device
    Always,
    /// On none: what is measured takes up to 1 GiB of the device's memory
    Never,
}

/// What one device can reach, as the report says it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Limits {
    /// Its specification.
    pub(super) device: String,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) driver: Option<String>,
    /// Whether it is a simulator, whose times are not those of what it simulates.
    pub(super) simulated: bool,
    pub(super) dtype: DType,
    /// Whether the processor's multiply-adds limit it.
    #[serde(skip)]
    pub(super) has_fma_peak: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rates: Option<MeasuredRates>,
}

/// Rates that the device reached in this run.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct MeasuredRates {
    /// Of a large copy, bytes read and bytes written.
    pub(super) copy_gb_per_second: f64,
    /// Of a large matrix product in the dtype.
    pub(super) product_gflops: f64,
    /// Whether the device timed them itself.
    pub(super) timed_by_device: bool,
    #[serde(skip)]
    rates: Rates,
}

/// What a run is measured against.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Shares {
    /// Of the processor's multiply-adds, by products and attention alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) share_of_peak: Option<f64>,
    /// The bytes that the program moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    /// What the run would take at the measured rates, products and traffic one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) roofline_ms: Option<f64>,
    /// That over the run's median: on the device where it measures that, otherwise end to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) share_of_roofline: Option<f64>,
}

/// Whether the rates of a device are measured.
fn is_measured(info: &DeviceInfo, compiled: Option<&CompiledModel>, roofline: Roofline) -> Outcome<bool> {
    let why_not = match (info.simulated, compiled) {
        (true, _) => Some("is simulated and has no roofline"),
        (_, Some(_)) => Some("runs a compiled model, and no copy or product to be measured"),
        _ => None,
    };
    match (roofline, why_not) {
        (Roofline::Always, Some(why)) => {
            Err(Failure::Usage(format!("{} {why}; leave --roofline always out", info.id)))
        }
        (Roofline::Always, None) => Ok(true),
        (Roofline::Auto, why) => Ok(why.is_none() && !info.on_processor),
        (Roofline::Never, _) => Ok(false),
    }
}

impl Limits {
    /// Measures the rates of a device if that is wanted.
    ///
    /// # Errors
    /// A roofline of a simulated device, or of one that runs a compiled model; a device that fails.
    pub(super) fn measure(device: &Arc<dyn Device>, dtype: DType, roofline: Roofline) -> Outcome<Self> {
        let info = device.info();
        let wanted = is_measured(info, device.compiled_model(), roofline)?;
        let rates = wanted.then(|| rates::measure(device, dtype, Effort::default())).transpose()?;
        Ok(Self::new(info, dtype, rates))
    }

    fn new(info: &DeviceInfo, dtype: DType, rates: Option<Rates>) -> Self {
        Self {
            device: info.id.clone(),
            name: info.name.clone(),
            driver: info.driver.clone(),
            simulated: info.simulated,
            dtype,
            has_fma_peak: info.on_processor && !info.simulated,
            rates: rates.map(|rates| MeasuredRates {
                copy_gb_per_second: rates.copy_bytes / 1e9,
                product_gflops: rates.product_flops / 1e9,
                timed_by_device: rates.by_device,
                rates,
            }),
        }
    }

    /// The device's name where a table has it.
    pub(super) fn label(&self) -> String {
        if self.simulated { format!("{} (simulated)", self.device) } else { self.device.clone() }
    }

    /// The shares of a run of `product_flops` and `bytes` that took `ms`, of which `device_ms` on the device.
    pub(super) fn shares(
        &self,
        peak: Option<FmaPeak>,
        product_flops: u64,
        bytes: u64,
        ms: f64,
        device_ms: Option<f64>,
    ) -> Shares {
        let peak = peak.filter(|_| self.has_fma_peak).map(|peak| peak.gflops(self.dtype.size()));
        let roofline_ms = self.rates.map(|measured| measured.rates.seconds(product_flops, bytes) * 1e3);
        Shares {
            share_of_peak: peak.map(|peak| product_flops as f64 / (ms * 1e6) / peak),
            bytes: roofline_ms.map(|_| bytes),
            roofline_ms,
            share_of_roofline: roofline_ms.map(|roofline| roofline / device_ms.unwrap_or(ms)),
        }
    }

    /// What a person should know before the numbers.
    pub(super) fn print(&self, output: &mut Output) -> Outcome {
        if self.simulated {
            let what = "is simulated: its times are the simulator's, and say nothing of a real device";
            return output.line(format_args!("{} {what}", self.device));
        }
        let Some(MeasuredRates { copy_gb_per_second, product_gflops, timed_by_device, .. }) = self.rates
        else {
            return Ok(());
        };
        output.line(format_args!(
            "{} ({}): copies {}, products {} in {}, measured {}; the roofline is products, then traffic, at these rates",
            self.device,
            self.name,
            with_prefix(copy_gb_per_second * 1e9, "B/s"),
            with_prefix(product_gflops * 1e9, "FLOP/s"),
            self.dtype,
            if timed_by_device { "by its own clock" } else { "from submission to end" },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_reference::ReferenceBackend;
    use lockstep_runtime::Backend;

    fn limits(change: impl FnOnce(&mut DeviceInfo)) -> Limits {
        let mut info = ReferenceBackend::new().devices().unwrap().remove(0);
        change(&mut info);
        let rates = Rates { copy_bytes: 1e12, product_flops: 1e14, dtype: DType::F16, by_device: true };
        Limits::new(&info, DType::F16, (!info.simulated).then_some(rates))
    }

    const PEAK: FmaPeak = FmaPeak { f32_gflops: 100.0, instructions: "fma", threads: 1 };

    /// 1e11 operations at 1e14 a second are 1 ms, 1e9 bytes at 1e12 a second are 1 ms.
    #[test]
    fn a_roofline_is_a_share_of_the_device_s_own_time_where_there_is_one() {
        let device = limits(|info| info.on_processor = false);
        let shares = device.shares(Some(PEAK), 100_000_000_000, 1_000_000_000, 5.0, Some(4.0));
        assert_eq!((shares.roofline_ms, shares.share_of_roofline), (Some(2.0), Some(0.5)));
        assert_eq!(shares.share_of_peak, None);
        let shares = device.shares(Some(PEAK), 100_000_000_000, 1_000_000_000, 5.0, None);
        assert_eq!(shares.share_of_roofline, Some(0.4));
    }

    #[test]
    fn a_processor_has_its_peak() {
        let shares = limits(|_| ()).shares(Some(PEAK), 50_000_000_000, 1, 1000.0, None);
        assert_eq!(shares.share_of_peak, Some(0.5));
    }

    #[test]
    fn rates_are_measured_where_they_can_be() {
        let mut info = ReferenceBackend::new().devices().unwrap().remove(0);
        info.on_processor = false;
        assert!(is_measured(&info, None, Roofline::Auto).unwrap());
        assert!(!is_measured(&info, None, Roofline::Never).unwrap());
        let compiled = CompiledModel {
            file: "model.om".to_owned(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            gears: Vec::new(),
        };
        assert!(!is_measured(&info, Some(&compiled), Roofline::Auto).unwrap());
        assert!(is_measured(&info, Some(&compiled), Roofline::Always).is_err());
    }

    #[test]
    fn a_simulated_device_has_no_share_of_anything() {
        let device = limits(|info| info.simulated = true);
        let shares = device.shares(Some(PEAK), 1, 1, 1.0, None);
        assert_eq!((shares.share_of_peak, shares.roofline_ms, shares.share_of_roofline), (None, None, None));
        assert!(device.label().ends_with(" (simulated)"));
    }
}
