//! A device's numerics, written down: what every bound of the conformance suite is computed from.

use lockstep_graph::DType;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What arithmetic does beyond the largest finite value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overflow {
    /// Gives an infinity, as IEEE 754 says.
    Infinity,
    /// Stays at the largest finite value.
    Saturate,
}

/// How a device computes. Declared by the backend, printed in every report; to widen one is a reviewed change, and its
/// `version` counts such changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumericsProfile {
    /// Grows with every change of the declaration.
    pub version: u32,
    /// The dtype that sums are carried in, by storage dtype.
    #[serde(with = "by_storage")]
    pub accumulate: Vec<(DType, DType)>,
    /// Whether products of f32 may be rounded to TF32 or HF32 first.
    pub reduced_f32_products: bool,
    /// Whether subnormal results may become zero.
    pub flushes_subnormals: bool,
    /// What overflow gives.
    pub overflow: Overflow,
    /// The largest error of `exp`, in units in the last place of the accumulate dtype.
    pub exp_ulp: f64,
    /// The largest error of `erf`, likewise.
    pub erf_ulp: f64,
    /// The largest error of `tanh`, likewise.
    pub tanh_ulp: f64,
    /// Whether the same run gives the same bits every time.
    pub deterministic: bool,
    /// Whether a sequence's bits do not depend on what else is in its batch.
    pub batch_invariant: bool,
}

impl NumericsProfile {
    /// The dtype that sums of `storage` are carried in, if the device computes on it.
    pub fn accumulate_of(&self, storage: DType) -> Option<DType> {
        self.accumulate.iter().find(|(dtype, _)| *dtype == storage).map(|(_, accumulate)| *accumulate)
    }
}

/// In one line, as reports say it.
impl fmt::Display for NumericsProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sums: Vec<String> =
            self.accumulate.iter().map(|(storage, sum)| format!("{storage} in {sum}")).collect();
        write!(
            f,
            "numerics version {}: sums of {}; exp {}, erf {}, tanh {} ULP; f32 products {}; subnormals {}; overflow {}; {}; {}",
            self.version,
            sums.join(", "),
            self.exp_ulp,
            self.erf_ulp,
            self.tanh_ulp,
            if self.reduced_f32_products { "may be rounded" } else { "full" },
            if self.flushes_subnormals { "may be flushed" } else { "kept" },
            match self.overflow {
                Overflow::Infinity => "infinity",
                Overflow::Saturate => "saturates",
            },
            if self.deterministic { "deterministic" } else { "not deterministic" },
            if self.batch_invariant { "batch invariant" } else { "not batch invariant" },
        )
    }
}

/// Pairs of dtypes as a map from storage to accumulator, which is how people read them.
mod by_storage {
    use lockstep_graph::DType;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer>(
        pairs: &[(DType, DType)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        // Sorted, so that what is read gives the same text again.
        serializer.collect_map(pairs.iter().copied().collect::<BTreeMap<_, _>>())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(DType, DType)>, D::Error> {
        Ok(BTreeMap::deserialize(deserializer)?.into_iter().collect())
    }
}
