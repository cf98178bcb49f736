//! What a run would take on devices that are not here, at the rates that their makers state: a projection, and said to be one.

use super::contender::Contender;
use super::shapes::Measured;
use crate::arguments::Shape;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::table::table;
use lockstep_runtime::tensor::DType;
use serde::Serialize;

/// A device's stated rates.
#[derive(Clone, Copy, Debug, Serialize)]
struct Stated {
    device: &'static str,
    /// Of f16 products with f32 sums.
    tflops: f64,
    tb_per_second: f64,
}

/// NVIDIA's data sheet of the A100 80 GB SXM; for the 910B3 the rate of products that is advertised (20 cores at 8192 operations a cycle
/// and 1.8 GHz are 295), and what is said of its memory.
const STATED: [Stated; 2] = [
    Stated { device: "A100 80 GB SXM", tflops: 312.0, tb_per_second: 2.0 },
    Stated { device: "Ascend 910B3", tflops: 313.0, tb_per_second: 1.6 },
];

/// One shape by the plan of one device.
#[derive(Debug, Serialize)]
pub(super) struct Projection {
    batch: usize,
    seq: usize,
    /// Whose plan it is: another fuses more, or less, and moves other bytes.
    plan_of: String,
    product_flops: u64,
    bytes: u64,
    at: Vec<Projected>,
}

#[derive(Debug, Serialize)]
struct Projected {
    #[serde(flatten)]
    stated: Stated,
    products_ms: f64,
    traffic_ms: f64,
    /// Products, then traffic: neither launches nor what does not reach a stated rate is in it.
    projected_ms: f64,
}

/// Whether there are stated rates of what the contenders compute in, and a plan of theirs to count bytes by.
///
/// # Errors
/// [`Failure::Usage`] for another dtype than f16, and for a compiled model.
pub(super) fn check(contenders: &[Contender]) -> Outcome {
    for contender in contenders {
        let (device, dtype) = (contender.device(), contender.dtype());
        if device.compiled_model().is_some() {
            let what = "runs a compiled model, and what that moves is not known; leave --project out";
            return Err(Failure::Usage(format!("{} {what}", device.info().id)));
        }
        if dtype != DType::F16 {
            let what = format!("--project is by stated rates of f16, not of {dtype}; add --dtype f16");
            return Err(Failure::Usage(what));
        }
    }
    Ok(())
}

/// Every shape by every contender's plan.
pub(super) fn project(measured: &[Measured], devices: &[String]) -> Vec<Projection> {
    let of = |measured: &Measured| {
        let Measured { shape: Shape { batch, seq }, product_flops, .. } = *measured;
        let plans = measured.traffic.iter().zip(devices);
        let projections = plans.map(move |(&bytes, plan_of)| Projection {
            batch,
            seq,
            plan_of: plan_of.clone(),
            product_flops,
            bytes,
            at: STATED.iter().map(|&stated| Projected::new(stated, product_flops, bytes)).collect(),
        });
        projections.collect::<Vec<_>>()
    };
    measured.iter().flat_map(of).collect()
}

impl Projected {
    fn new(stated: Stated, product_flops: u64, bytes: u64) -> Self {
        let products_ms = product_flops as f64 / (stated.tflops * 1e9);
        let traffic_ms = bytes as f64 / (stated.tb_per_second * 1e9);
        Self { stated, products_ms, traffic_ms, projected_ms: products_ms + traffic_ms }
    }
}

/// For a person.
pub(super) fn print(projections: &[Projection], output: &mut Output) -> Outcome {
    let Some(first) = projections.first() else { return Ok(()) };
    output.line(format_args!(
        "\nProjection, not a measurement: products, then traffic, at stated peak rates, in ms. No device ran this; launches come on top."
    ))?;
    let device = |at: &Projected| {
        let Stated { device, tflops, tb_per_second } = at.stated;
        format!(">{device} ({tflops} TFLOP/s, {tb_per_second} TB/s)")
    };
    let named: Vec<String> = first.at.iter().map(device).collect();
    let mut titles = vec!["shape", "plan of", ">GFLOP of products", ">MB moved"];
    titles.extend(named.iter().map(String::as_str));
    let mut list = table(&titles);
    for projection in projections {
        let shape = Shape { batch: projection.batch, seq: projection.seq };
        let mut row = vec![shape.to_string(), projection.plan_of.clone()];
        row.push(format!("{:.2}", projection.product_flops as f64 / 1e9));
        row.push(format!("{:.1}", projection.bytes as f64 / 1e6));
        let times = projection.at.iter();
        row.extend(
            times.map(|at| format!("{:.3} = {:.3} + {:.3}", at.projected_ms, at.products_ms, at.traffic_ms)),
        );
        list.add_row(row);
    }
    output.line(format_args!("{}", list.trim_fmt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_traffic_add_up() {
        let stated = Stated { device: "a", tflops: 2.0, tb_per_second: 0.5 };
        let at = Projected::new(stated, 4_000_000_000, 1_000_000_000);
        assert_eq!((at.products_ms, at.traffic_ms, at.projected_ms), (2.0, 2.0, 4.0));
    }
}
