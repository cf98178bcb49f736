//! The file of `--op_precision_mode`: how single operators compute.
//!
//! Of the operators that are simulated, LayerNorm alone has two documented ways here: 1/sqrt of the variance, or, in
//! `high_performance` and by ATC's own choice, exp(-0.5 ln). GELU's fast form is a piecewise square whose pieces are not simulated.

use crate::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

const FLAG: &str = "--op_precision_mode";

/// Every mode that ATC documents.
const KNOWN: [&str; 7] = [
    "high_precision",
    "high_performance",
    "super_performance",
    "enable_float_32_execution",
    "enable_hi_float_32_execution",
    "keep_fp16",
    "support_out_of_bound_index",
];

/// Types of operators, in Huawei's names, with one way to compute that is simulated.
const PRECISE_ONLY: [&str; 2] = ["Gelu", "GeluV2"];

/// How operators compute; by default as ATC's own choice is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    by_type: HashMap<String, bool>,
    by_node: HashMap<String, bool>,
}

#[derive(Clone, Copy)]
enum Section {
    Type,
    Node,
}

impl Modes {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::File`] for one that cannot be read or says what is not simulated.
    pub(crate) fn read(path: &Path, warnings: &mut Vec<String>) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| Error::file(path, format!("{FLAG}: {error}")))?;
        Self::parsed(&text, warnings).map_err(|reason| Error::file(path, format!("{FLAG}: {reason}")))
    }

    /// What a text says; ATC's files have a line for each operator, `LayerNorm=high_precision`, under the title of a section.
    fn parsed(text: &str, warnings: &mut Vec<String>) -> std::result::Result<Self, String> {
        let mut modes = Modes::default();
        let mut section = None;
        for (at, line) in text.lines().enumerate() {
            let (line, number) = (line.trim(), at + 1);
            match line {
                "" => {}
                _ if line.starts_with('#') => {}
                "[ByOpType]" => section = Some(Section::Type),
                "[ByNodeName]" => section = Some(Section::Node),
                _ if line.starts_with('[') => {
                    return Err(format!("line {number}: `{line}` is neither [ByOpType] nor [ByNodeName]"));
                }
                _ => {
                    let (name, mode) = line
                        .split_once('=')
                        .map(|(name, mode)| (name.trim(), mode.trim()))
                        .ok_or_else(|| format!("line {number}: `{line}` is not of the form name=mode"))?;
                    let section = section
                        .ok_or_else(|| format!("line {number}: comes before [ByOpType] or [ByNodeName]"))?;
                    modes
                        .add(section, name, mode, warnings)
                        .map_err(|why| format!("line {number}: {why}"))?;
                }
            }
        }
        Ok(modes)
    }

    fn add(
        &mut self,
        section: Section,
        name: &str,
        mode: &str,
        warnings: &mut Vec<String>,
    ) -> std::result::Result<(), String> {
        let is_precise = match mode {
            "high_precision" => true,
            "high_performance" => false,
            _ if KNOWN.contains(&mode) => {
                return Err(format!("`{name}={mode}`: {mode} is not simulated; take the line out"));
            }
            _ => return Err(format!("`{mode}` is no mode; ATC's are {}", KNOWN.join(", "))),
        };
        match section {
            Section::Type if PRECISE_ONLY.contains(&name) && !is_precise => {
                return Err(format!("`{name}={mode}`: its fast form is not simulated; write high_precision"));
            }
            Section::Type => {
                if name != "LayerNorm" && !PRECISE_ONLY.contains(&name) && !is_precise {
                    warnings.push(format!("{FLAG}: {name} computes in one way here, whatever its mode"));
                }
                self.by_type.insert(name.to_owned(), is_precise);
            }
            Section::Node => {
                self.by_node.insert(name.to_owned(), is_precise);
            }
        }
        Ok(())
    }

    /// Whether the LayerNorm of that name takes 1/sqrt.
    pub(crate) fn layer_norm_is_precise(&self, name: &str) -> bool {
        *self.by_node.get(name).or_else(|| self.by_type.get("LayerNorm")).unwrap_or(&false)
    }

    /// Whether the node of that name is asked for its fast form.
    pub(crate) fn asks_fast(&self, name: &str) -> bool {
        self.by_node.get(name) == Some(&false)
    }

    /// The nodes that are named and are none of these, in order.
    pub(crate) fn nodes_but(&self, asked: &HashSet<String>) -> Vec<&str> {
        let others = self.by_node.keys().filter(|name| !asked.contains(*name));
        let mut others: Vec<&str> = others.map(String::as_str).collect();
        others.sort_unstable();
        others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> std::result::Result<Modes, String> {
        Modes::parsed(text, &mut vec![])
    }

    #[test]
    fn a_node_goes_before_its_type_and_atc_computes_fast_by_itself() {
        assert!(!Modes::default().layer_norm_is_precise("a"));
        let modes =
            parsed("# x\n[ByOpType]\nLayerNorm = high_precision\n\n[ByNodeName]\nb=high_performance\n");
        let modes = modes.unwrap();
        assert!(modes.layer_norm_is_precise("a") && !modes.layer_norm_is_precise("b"));
        assert_eq!(modes.nodes_but(&HashSet::new()), ["b"]);
        assert!(modes.nodes_but(&HashSet::from(["b".to_owned()])).is_empty());
    }

    #[test]
    fn what_is_no_mode_or_not_simulated_is_refused_by_its_line() {
        let refused = |text: &str| parsed(text).unwrap_err();
        assert!(refused("[ByOpType]\nGelu=high_performance").contains("line 2: `Gelu=high_performance`"));
        for mode in ["keep_fp16", "super_performance", "enable_hi_float_32_execution"] {
            assert!(refused(&format!("[ByOpType]\nLayerNorm={mode}")).contains("not simulated"));
        }
        assert!(refused("[ByOpType]\nLayerNorm=fast").contains("`fast` is no mode"));
        assert!(refused("[ByOpType]\nLayerNorm").contains("name=mode"));
        assert!(refused("LayerNorm=high_precision").contains("line 1: comes before"));
        assert!(refused("[ByType]").contains("neither"));
    }

    #[test]
    fn a_mode_that_changes_nothing_is_said() {
        let mut warnings = vec![];
        Modes::parsed("[ByOpType]\nSoftmaxV2=high_precision\n", &mut warnings).unwrap();
        assert!(warnings.is_empty());
        Modes::parsed("[ByOpType]\nSoftmaxV2=high_performance\n", &mut warnings).unwrap();
        assert!(warnings[0].contains("SoftmaxV2"));
    }
}
