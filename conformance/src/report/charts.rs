//! The pictures of a report, as SVG: the plan as a graph, errors along it, and distances in units in the last place.

use super::escaped;
use crate::replay::StepReport;
use crate::verdict::Verdict;
use std::fmt::Write;

/// Formats into a string, which cannot fail.
macro_rules! draw {
    ($svg:expr, $($what:tt)*) => {
        let _ = write!($svg, $($what)*);
    };
}

/// What colours a step: its error as a share of its bound; `None` where it was not judged.
fn share(step: &StepReport) -> Option<f64> {
    match &step.verdict {
        Verdict::Crash(_) => Some(f64::INFINITY),
        _ => step.isolated.as_ref().map(|judgement| judgement.of_worst_case),
    }
}

/// Green for nothing, amber for all that the bound allows, red beyond it; grey where nothing was judged.
pub(super) fn colour(share: Option<f64>) -> String {
    match share {
        None => "var(--grey)".to_owned(),
        Some(share) if share > 1.0 => "var(--red)".to_owned(),
        Some(share) => format!("hsl({:.0} 65% 42%)", 145.0 - 105.0 * share),
    }
}

const ROW: usize = 26;
const BOX: usize = 20;
const LANES: usize = 90;
const WIDTH: usize = 470;

/// The steps from top to bottom, each linked to its row of the table. A line joins a step with the one above if it reads it;
/// what it reads from further up comes along an arc on the left.
pub(super) fn graph(steps: &[StepReport]) -> String {
    let height = steps.len() * ROW + 8;
    let mut svg = format!(
        "<svg class=\"graph\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"The steps of the plan, coloured by error\">"
    );
    let middle = |at: usize| at * ROW + 4 + BOX / 2;
    for (at, step) in steps.iter().enumerate() {
        for &from in &step.reads {
            let (top, bottom) = (middle(from), middle(at));
            if from + 1 == at {
                let x = LANES + 14;
                draw!(svg, "<path class=\"edge\" d=\"M{x} {top} V{bottom}\"/>");
            } else {
                // Longer ways swing out farther, so that few lie on each other.
                let out = LANES.saturating_sub(14 + 6 * (at - from).min(12));
                draw!(
                    svg,
                    "<path class=\"edge\" d=\"M{LANES} {top} C{out} {top} {out} {bottom} {LANES} {bottom}\"/>"
                );
            }
        }
    }
    for (at, step) in steps.iter().enumerate() {
        let (y, fill) = (at * ROW + 4, colour(share(step)));
        let class = if step.verdict.is_guilty() { "node guilty" } else { "node" };
        let width = WIDTH - LANES - 4;
        draw!(svg, "<a href=\"#step-{at}\"><g class=\"{class}\"><title>{}</title>", escaped(&tooltip(step)));
        draw!(svg, "<rect x=\"{LANES}\" y=\"{y}\" width=\"{width}\" height=\"{BOX}\" rx=\"4\"/>");
        draw!(
            svg,
            "<rect x=\"{LANES}\" y=\"{y}\" width=\"8\" height=\"{BOX}\" rx=\"3\" style=\"fill:{fill}\"/>"
        );
        let (text, baseline) = (LANES + 16, y + 14);
        let name = shortened(step.checkpoint.as_ref().unwrap_or(&step.node), 38);
        draw!(svg, "<text x=\"{text}\" y=\"{baseline}\">{} ", escaped(&name));
        draw!(svg, "<tspan class=\"dim\">{}</tspan></text></g></a>", escaped(&step.op));
    }
    svg.push_str("</svg>");
    svg
}

fn tooltip(step: &StepReport) -> String {
    let multiple = step.isolated.as_ref().map(|judgement| format!(", {:.3}x bound", judgement.of_worst_case));
    format!("{} {} {}: {}{}", step.node, step.op, step.output, step.verdict, multiple.unwrap_or_default())
}

/// The end of a name that is too long, which tells more than its beginning.
fn shortened(name: &str, most: usize) -> String {
    let length = name.chars().count();
    if length <= most {
        return name.to_owned();
    }
    format!("…{}", name.chars().skip(length + 1 - most).collect::<String>())
}

const CHART: (f64, f64) = (900.0, 220.0);
const MARGIN: (f64, f64) = (58.0, 16.0);

/// A logarithmic axis over whole decades.
struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    /// Holds every positive finite value, at least from 10^`low` to 10^`high`, and at most `most` decades below the top.
    fn over(values: impl Iterator<Item = f64>, low: i32, high: i32, most: i32) -> Self {
        let mut axis = Self { low, high };
        for value in values.filter(|value| *value > 0.0 && value.is_finite()) {
            axis.low = axis.low.min(value.log10().floor() as i32);
            axis.high = axis.high.max(value.log10().ceil() as i32);
        }
        axis.low = axis.low.max(axis.high - most);
        axis
    }

    /// The height of a value; what the axis does not hold is at its end.
    fn y(&self, value: f64) -> f64 {
        let decades = f64::from(self.high - self.low).max(1.0);
        let place = if value > 0.0 { (value.log10() - f64::from(self.low)) / decades } else { 0.0 };
        MARGIN.1 + (CHART.1 - 2.0 * MARGIN.1) * (1.0 - place.clamp(0.0, 1.0))
    }

    fn draw(&self, svg: &mut String) {
        let every = ((self.high - self.low) / 6).max(1);
        for decade in (self.low..=self.high).rev().step_by(every.unsigned_abs() as usize) {
            let (y, right) = (self.y(10f64.powi(decade)), CHART.0 - 6.0);
            draw!(svg, "<path class=\"grid\" d=\"M{} {y:.1} H{right}\"/>", MARGIN.0);
            let (x, baseline) = (MARGIN.0 - 8.0, y + 4.0);
            draw!(svg, "<text class=\"tick\" x=\"{x}\" y=\"{baseline:.1}\">1e{decade}</text>");
        }
    }
}

fn chart(label: &str) -> String {
    let (width, height) = CHART;
    format!("<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">")
}

/// The horizontal place of a step.
fn across(at: usize, count: usize) -> f64 {
    let width = CHART.0 - MARGIN.0 - 24.0;
    MARGIN.0 + 10.0 + width * at as f64 / count.saturating_sub(1).max(1) as f64
}

/// Each step's own error as a multiple of its worst-case bound, with the bound as a line. Errors of 0 stand on the axis.
pub(super) fn isolated(steps: &[StepReport]) -> String {
    let axis = Axis::over(steps.iter().filter_map(share), -4, 1, 10);
    let mut svg = chart("Error of each step over its bound");
    axis.draw(&mut svg);
    let limit = axis.y(1.0);
    draw!(svg, "<path class=\"limit\" d=\"M{} {limit:.1} H{}\"/>", MARGIN.0, CHART.0 - 6.0);
    draw!(svg, "<text class=\"tick bound\" x=\"{}\" y=\"{:.1}\">bound</text>", CHART.0 - 8.0, limit - 5.0);
    for (at, step) in steps.iter().enumerate() {
        let Some(share) = share(step) else { continue };
        let (x, y, foot) = (across(at, steps.len()), axis.y(share), CHART.1 - MARGIN.1);
        let fill = colour(Some(share));
        draw!(svg, "<a href=\"#step-{at}\"><title>{}</title>", escaped(&tooltip(step)));
        draw!(svg, "<path class=\"stem\" style=\"stroke:{fill}\" d=\"M{x:.1} {foot} V{y:.1}\"/>");
        draw!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" style=\"fill:{fill}\"/></a>");
    }
    svg.push_str("</svg>");
    svg
}

/// How far the two devices have come apart after each step, relative to the size of the values; `None` where the streams
/// were not compared.
pub(super) fn drift(steps: &[StepReport]) -> Option<String> {
    let relative = |step: &StepReport| step.cumulative.map(|drift| drift.difference.relative());
    let points: Vec<(usize, f64)> =
        steps.iter().enumerate().filter_map(|(at, step)| Some((at, relative(step)?))).collect();
    if points.is_empty() {
        return None;
    }
    let largest =
        points.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let top = if largest > 0.0 { largest.log10().ceil() as i32 } else { -6 };
    let axis = Axis::over(points.iter().map(|(_, value)| *value), top - 3, top, 10);
    let mut svg = chart("Relative difference of the two devices along the graph");
    axis.draw(&mut svg);
    let place = |&(at, value): &(usize, f64)| format!("{:.1} {:.1}", across(at, steps.len()), axis.y(value));
    let line: Vec<String> = points.iter().map(place).collect();
    draw!(svg, "<path class=\"drift\" d=\"M{}\"/>", line.join(" L"));
    for (at, value) in points {
        let (x, y, step) = (across(at, steps.len()), axis.y(value), &steps[at]);
        draw!(svg, "<a href=\"#step-{at}\"><title>{} {value:.1e}</title>", escaped(&step.node));
        draw!(svg, "<circle class=\"drift\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/></a>");
    }
    svg.push_str("</svg>");
    Some(svg)
}

/// Bars for how many elements are at 0, 1, 2 to 3, 4 to 7, .. units from the truth; heights are logarithmic, so that one
/// element in a million is seen.
pub(super) fn histogram(counts: &[usize]) -> String {
    const BAR: usize = 6;
    const HEIGHT: f64 = 30.0;
    let width = (counts.len() * BAR).max(BAR);
    let all = counts.iter().sum::<usize>().max(1) as f64;
    let mut svg = format!(
        "<svg class=\"histogram\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" height=\"{HEIGHT}\">"
    );
    for (bin, &count) in counts.iter().enumerate() {
        let share = if count == 0 { 0.0 } else { (1.0 + count as f64).ln() / (1.0 + all).ln() };
        let (x, tall) = (bin * BAR, (HEIGHT - 2.0) * share);
        let range = match bin {
            0 => "0".to_owned(),
            1 => "1".to_owned(),
            64 => "2^63 or more (NaN)".to_owned(),
            _ => format!("{} to {}", 1u64 << (bin - 1), (1u64 << bin) - 1),
        };
        let y = HEIGHT - 1.0 - tall;
        draw!(svg, "<rect x=\"{x}\" y=\"{y:.1}\" width=\"{}\" height=\"{tall:.1}\">", BAR - 2);
        draw!(svg, "<title>{count} elements at {range} ULP</title></rect>");
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_run_from_green_to_red() {
        assert_eq!(colour(None), "var(--grey)");
        assert_eq!(colour(Some(0.0)), "hsl(145 65% 42%)");
        assert_eq!(colour(Some(1.0)), "hsl(40 65% 42%)");
        assert_eq!(colour(Some(f64::INFINITY)), "var(--red)");
    }

    #[test]
    fn an_axis_holds_what_it_shows_and_no_more_than_so_many_decades() {
        let axis = Axis::over([1e-30, 3e-2, 20.0, f64::INFINITY, 0.0, f64::NAN].into_iter(), -4, 1, 10);
        assert_eq!((axis.low, axis.high), (-8, 2));
        assert!(axis.y(0.0) == axis.y(1e-30) && axis.y(1e-8) > axis.y(1.0) && axis.y(1.0) > axis.y(1e9));
    }

    #[test]
    fn a_bar_for_every_distance_up_to_the_largest() {
        let svg = histogram(&[5, 0, 1]);
        assert!(svg.contains("5 elements at 0 ULP") && svg.contains("1 elements at 2 to 3 ULP"), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 3);
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("encoder.2.output", 9), "…2.output");
        assert_eq!(shortened("pooler", 6), "pooler");
    }
}
