//! A report for a person.

use super::report::{NamedType, Report};
use crate::failure::Outcome;
use crate::output::Output;
use crate::table::{table, with_prefix};

/// Refused nodes that are listed; JSON has all.
const SHOWN_REFUSALS: usize = 20;

pub(super) fn print(report: &Report, output: &mut Output) -> Outcome {
    let Report { model, head, device, dtype, .. } = report;
    output.line(format_args!("{model}: {head}, on {device} in {dtype}\n"))?;
    list("inputs", &report.inputs, output)?;
    list("outputs", &report.outputs, output)?;
    output.line(format_args!("checkpoints  {}", report.checkpoints.join(", ")))?;
    let bytes = with_prefix(report.parameter_bytes as f64, "B");
    output.line(format_args!("parameters   {} ({bytes})", grouped(report.parameters)))?;
    let (cost, shape) = (&report.per_sequence, &report.shape);
    output.line(format_args!("per sequence of {} tokens, in a batch of {}:", shape.seq, shape.batch))?;
    output.line(format_args!(
        "  {}, {} of them in products",
        with_prefix(cost.flops as f64, "FLOP"),
        with_prefix(cost.product_flops as f64, "FLOP"),
    ))?;
    output.line(format_args!(
        "  {} of weights, {} of activations unfused\n",
        with_prefix(cost.constant_bytes as f64, "B"),
        with_prefix(cost.activation_bytes as f64, "B"),
    ))?;

    let count = |count: usize| if count == 0 { String::new() } else { count.to_string() };
    let mut ops = table(&["op", ">built", ">fused", ">planned", device]);
    let mut totals = [0; 3];
    for op in &report.nodes {
        let counts = [op.built, op.fused, op.planned];
        totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        let [built, fused, planned] = counts.map(count);
        ops.add_row([op.op.clone(), built, fused, planned, op.support.join("; ")]);
    }
    let [built, fused, planned] = totals.map(count);
    ops.add_row(["all".to_owned(), built, fused, planned, String::new()]);
    output.line(format_args!("{}\n", ops.trim_fmt()))?;

    match &report.compiled {
        Some(compiled) => output.line(format_args!(
            "{} was compiled whole, and no node runs by itself; it runs {}",
            compiled.file,
            compiled.gears_in_words()
        ))?,
        None => output.line(format_args!(
            "after fusion: {} nodes native, {} by a rewrite, {} refused",
            report.native,
            report.rewritten,
            report.refused.len()
        ))?,
    }
    for refusal in report.refused.iter().take(SHOWN_REFUSALS) {
        let inputs = refusal.inputs.join(", ");
        output.line(format_args!("  {} ({} of {inputs}): {}", refusal.node, refusal.op, refusal.reason))?;
    }
    if let Some(more @ 1..) = report.refused.len().checked_sub(SHOWN_REFUSALS) {
        output.line(format_args!("  and {more} more; --json has all"))?;
    }
    match &report.packing.reason {
        None => output.line(format_args!("sequences are packed: padding costs nothing"))?,
        Some(reason) => output.line(format_args!("sequences stay padded: {reason}"))?,
    }
    match &report.buckets.reason {
        None => output.line(format_args!("batches are filled up: one program serves many"))?,
        Some(reason) => output.line(format_args!("every batch size has its own program: {reason}"))?,
    }
    match (&report.error, report.runs) {
        (_, true) => Ok(()),
        (Some(error), false) => output.line(format_args!("{device} does not run this model: {error}")),
        (None, false) => output.line(format_args!("{device} does not run this model")),
    }
}

fn list(what: &str, values: &[NamedType], output: &mut Output) -> Outcome {
    let values: Vec<String> = values.iter().map(|value| format!("{} {}", value.name, value.ty)).collect();
    output.line(format_args!("{what:<11}  {}", values.join(", ")))
}

/// A count with its thousands apart: `7,565,333`.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1000, 7_565_333].map(grouped), ["0", "999", "1,000", "7,565,333"]);
    }
}
