//! What was compiled, for people.

use crate::fuse::Fused;
use crate::gears::list;
use lockstep_ascend_container::{Dynamic, Gear};
use std::fmt;

/// What was compiled.
#[derive(Clone, Debug)]
pub struct Report {
    pub(crate) model: String,
    pub(crate) nodes: usize,
    pub(crate) opset: i64,
    pub(crate) soc_version: String,
    pub(crate) precision: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) dynamic: Dynamic,
    pub(crate) fused: Fused,
    pub(crate) gears: Vec<GearReport>,
    pub(crate) constants: usize,
    pub(crate) weights: u64,
}

/// What one set of extents takes.
#[derive(Clone, Debug)]
pub(crate) struct GearReport {
    key: Vec<i64>,
    steps: usize,
    arena: u64,
}

impl GearReport {
    pub(crate) fn of(gear: &Gear) -> Self {
        Self { key: gear.key.clone(), steps: gear.steps.len(), arena: gear.arena }
    }
}

impl Report {
    /// What was fused, alike in all gears.
    pub fn fused(&self) -> &Fused {
        &self.fused
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model      {} ({} nodes, opset {})", self.model, self.nodes, self.opset)?;
        writeln!(f, "for        {}, simulated", self.soc_version)?;
        writeln!(f, "precision  {}: {}", self.precision, self.meaning)?;
        writeln!(f, "fused      {}", self.fused)?;
        for (at, gear) in self.gears.iter().enumerate() {
            let title = if at == 0 { "gears" } else { "" };
            let name = match self.dynamic {
                Dynamic::No => "fixed extents".to_owned(),
                Dynamic::Batch => format!("batch {}", list(&gear.key)),
                Dynamic::Dims => format!("dims {}", list(&gear.key)),
            };
            let arena = Bytes(gear.arena);
            writeln!(f, "{title:<9}  {name}: {} steps, {arena} of work memory", gear.steps)?;
        }
        write!(f, "weights    {} in {} constants, shared by all gears", Bytes(self.weights), self.constants)
    }
}

impl fmt::Display for Fused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} LayerNorm", self.layer_norms)?;
        if self.layer_norms > 0 {
            let fast = self.layer_norms - self.precise_layer_norms;
            match (self.precise_layer_norms, fast) {
                (_, 0) => write!(f, " (high_precision)")?,
                (0, _) => write!(f, " (high_performance)")?,
                (precise, fast) => write!(f, " ({precise} high_precision, {fast} high_performance)")?,
            }
        }
        write!(f, ", {} GELU", self.erf_gelus + self.tanh_gelus)?;
        match (self.erf_gelus, self.tanh_gelus) {
            (0, 0) => Ok(()),
            (_, 0) => write!(f, " (erf)"),
            (0, _) => write!(f, " (tanh)"),
            (erf, tanh) => write!(f, " ({erf} erf, {tanh} tanh)"),
        }
    }
}

/// A size, in the unit in which it is read best.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut size, mut unit) = (self.0 as f64, 0);
        let units = ["B", "KiB", "MiB", "GiB", "TiB"];
        while size >= 1024.0 && unit + 1 < units.len() {
            (size, unit) = (size / 1024.0, unit + 1);
        }
        if unit == 0 { write!(f, "{} B", self.0) } else { write!(f, "{size:.1} {}", units[unit]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_read_well() {
        let text = [0, 1023, 1024, 5 << 20, 3 << 30].map(|bytes| Bytes(bytes).to_string());
        assert_eq!(text, ["0 B", "1023 B", "1.0 KiB", "5.0 MiB", "3.0 GiB"]);
        assert_eq!(Fused::default().to_string(), "0 LayerNorm, 0 GELU");
        let fused = Fused { layer_norms: 3, precise_layer_norms: 1, erf_gelus: 2, tanh_gelus: 0 };
        assert_eq!(fused.to_string(), "3 LayerNorm (1 high_precision, 2 high_performance), 2 GELU (erf)");
    }
}
