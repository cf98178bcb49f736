//! `--precision_mode_v2`: which operators compute in f16 whatever the model says.

mod rewrite;

use crate::{Error, Result};
pub(crate) use rewrite::rewritten;

const V2: &str = "--precision_mode_v2";
const V1: &str = "--precision_mode";

/// What is computed in which dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    /// As the model says.
    Origin,
    /// Products take and give f16. Which operators ATC computes so says a list in CANN's package (`precision_reduce` in
    /// `aic-<soc>-ops-info.json`), which is not here, and holds more than those; with products alone a model is as near to the
    /// real one as can be said.
    MixedFloat16,
    /// Everything that is a float, but inputs and outputs.
    Fp16,
    /// Products take f16 and give f32, and every other float is f32, but inputs and outputs.
    CubeFp16InFp32Out,
}

/// Each mode with ATC's names for it, the one of `--precision_mode_v2` first.
const NAMES: [(Precision, &[&str]); 4] = [
    (Precision::Origin, &["origin", "must_keep_origin_dtype"]),
    (Precision::MixedFloat16, &["mixed_float16", "allow_mix_precision", "allow_mix_precision_fp16"]),
    (Precision::Fp16, &["fp16", "force_fp16"]),
    (Precision::CubeFp16InFp32Out, &["cube_fp16in_fp32out", "cube_fp16in_fp32out", "force_fp32"]),
];

/// Modes that ATC has and that are not simulated, with the reason.
const REFUSED: [(&str, &str); 6] = [
    ("mixed_bfloat16", "atc-sim does not compute bf16"),
    ("allow_mix_precision_bf16", "atc-sim does not compute bf16"),
    ("allow_fp32_to_bf16", "atc-sim does not compute bf16"),
    ("mixed_hif8", "atc-sim does not compute hif8, nor does a 910B"),
    ("cube_hif8", "atc-sim does not compute hif8, nor does a 910B"),
    (
        "allow_fp32_to_fp16",
        "products in f16, the others in f32 where they can be, which is what mixed_float16, --precision_mode's \
         allow_mix_precision, computes here; give that",
    ),
];

impl Precision {
    /// The mode of the two flags; ATC's own choice, fp16, where neither is there.
    ///
    /// # Errors
    /// [`Error::Flag`] for both at once, and for a mode that is none or not simulated.
    pub(crate) fn chosen(v2: Option<&str>, v1: Option<&str>, warnings: &mut Vec<String>) -> Result<Self> {
        match (v2, v1) {
            (Some(_), Some(_)) => Err(Error::flag(V2, format!("excludes {V1}, its older form; give one"))),
            (Some(name), None) => Self::named(V2, name, |names| &names[..1]),
            (None, Some(name)) => Self::named(V1, name, |names| &names[1..]),
            (None, None) => {
                warnings.push(format!(
                    "{V2} is not given, so ATC's own choice is taken: fp16, every operator in f16; --precision_mode_v2=origin \
                     keeps the model's dtypes"
                ));
                Ok(Precision::Fp16)
            }
        }
    }

    fn named(
        flag: &str,
        name: &str,
        of_flag: fn(&'static [&'static str]) -> &'static [&'static str],
    ) -> Result<Self> {
        if let Some((mode, _)) = NAMES.iter().find(|(_, names)| of_flag(names).contains(&name)) {
            return Ok(*mode);
        }
        let reason = match REFUSED.iter().find(|(refused, _)| *refused == name) {
            Some((_, why)) => format!("`{name}`: {why}"),
            None => {
                let known: Vec<&str> = NAMES.iter().flat_map(|(_, names)| of_flag(names)).copied().collect();
                format!("`{name}` is not one of {}", known.join(", "))
            }
        };
        Err(Error::flag(flag, reason))
    }

    /// Its name in `--precision_mode_v2`.
    pub(crate) fn name(self) -> &'static str {
        NAMES.iter().find(|(mode, _)| *mode == self).map_or("", |(_, names)| names[0])
    }

    /// What it means here, in a line.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Precision::Origin => "every operator in the model's dtype",
            Precision::MixedFloat16 => {
                "MatMul in f16, the others as the model says; ATC's own list is in CANN's package, which is not here, and holds more"
            }
            Precision::Fp16 => "every operator in f16",
            Precision::CubeFp16InFp32Out => "MatMul of f16 operands with f32 results, the others in f32",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(v2: Option<&str>, v1: Option<&str>) -> Result<Precision> {
        Precision::chosen(v2, v1, &mut vec![])
    }

    #[test]
    fn each_flag_has_names_of_its_own() {
        assert_eq!(chosen(Some("origin"), None).unwrap(), Precision::Origin);
        assert_eq!(chosen(None, Some("must_keep_origin_dtype")).unwrap(), Precision::Origin);
        assert_eq!(chosen(None, Some("force_fp32")).unwrap(), Precision::CubeFp16InFp32Out);
        for (mode, names) in NAMES {
            assert_eq!(mode.name(), names[0]);
            assert_eq!(chosen(Some(names[0]), None).unwrap(), mode);
            for name in &names[1..] {
                assert_eq!(chosen(None, Some(name)).unwrap(), mode);
            }
        }
        assert!(chosen(Some("force_fp16"), None).is_err() && chosen(None, Some("origin")).is_err());
    }

    #[test]
    fn modes_that_are_not_simulated_are_refused_with_the_reason() {
        let said = |v2, v1| chosen(v2, v1).unwrap_err().to_string();
        assert!(said(Some("mixed_bfloat16"), None).contains("does not compute bf16"));
        assert!(said(None, Some("allow_fp32_to_fp16")).contains("give that"));
        assert!(said(Some("best"), None).contains("not one of origin, mixed_float16, fp16"));
        assert!(said(Some("origin"), Some("force_fp16")).contains("excludes --precision_mode"));
    }

    #[test]
    fn atcs_own_choice_is_taken_and_said() {
        let mut warnings = vec![];
        assert_eq!(Precision::chosen(None, None, &mut warnings).unwrap(), Precision::Fp16);
        assert!(warnings[0].contains("fp16"));
    }
}
