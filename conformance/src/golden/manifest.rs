//! What a golden pack says of itself.

use super::{Error, RecordedDocuments, Result};
use lockstep_runtime::DeviceInfo;
use lockstep_runtime::hal::NumericsProfile;
use lockstep_runtime::tensor::{DType, HostTensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The version of the format; packs of another are refused.
pub(super) const SCHEMA: &str = "lockstep-golden/1";

/// The files of a pack.
pub(super) const MANIFEST: &str = "pack.json";
pub(super) const GRAPH: &str = "graph.json";
pub(super) const TENSORS: &str = "tensors.safetensors";

/// A pack's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format and its version.
    pub schema: String,
    /// The version of Lockstep that recorded it.
    pub lockstep: String,
    /// The model, as it was named when recorded.
    pub model: String,
    /// The dtype that the graph computes in.
    pub dtype: DType,
    /// What the inputs are, in words.
    pub inputs_described: String,
    /// The device that recorded it.
    pub device: RecordedDevice,
    /// SHA-256 of `graph.json`.
    pub graph_sha256: String,
    /// What went in.
    pub inputs: Vec<Recorded>,
    /// What came out: checkpoints in order, then outputs.
    pub values: Vec<Recorded>,
    /// What came out for the documents of a file; left out where there are none, as in packs from before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<RecordedDocuments>,
    /// SHA-256 of all the above, in JSON without this field.
    #[serde(default)]
    pub manifest_sha256: String,
}

/// A device, as it described itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedDevice {
    /// Its specification, such as `cuda:0`.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// The software that drives it, as far as there is one.
    pub driver: Option<String>,
    /// Whether it is a simulator.
    pub simulated: bool,
    /// How it computes.
    pub numerics: NumericsProfile,
}

impl RecordedDevice {
    pub(crate) fn of(info: &DeviceInfo) -> Self {
        Self {
            id: info.id.clone(),
            name: info.name.clone(),
            driver: info.driver.clone(),
            simulated: info.simulated,
            numerics: info.numerics.clone(),
        }
    }
}

/// A tensor of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// Its extents.
    pub shape: Vec<usize>,
    /// SHA-256 of its bytes, little-endian and row-major.
    pub sha256: String,
    /// Whether the pack holds its elements, or only the statistics.
    pub stored: bool,
    /// What can be said of its elements.
    pub statistics: Statistics,
}

/// What is kept of a tensor whose elements are not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// The mean of the finite elements.
    pub mean: f64,
    /// The root of their mean square.
    pub rms: f64,
    /// The smallest of them.
    pub min: f64,
    /// The largest of them.
    pub max: f64,
    /// How many elements are NaN or infinite.
    pub not_finite: usize,
}

impl Statistics {
    /// The statistics of a tensor; all 0 if it has no finite element.
    pub fn of(tensor: &HostTensor) -> Self {
        let values = tensor.to_f64();
        let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        let not_finite = values.len() - finite.len();
        if finite.is_empty() {
            return Self { mean: 0.0, rms: 0.0, min: 0.0, max: 0.0, not_finite };
        }
        let count = finite.len() as f64;
        Self {
            mean: finite.iter().sum::<f64>() / count,
            rms: (finite.iter().map(|x| x * x).sum::<f64>() / count).sqrt(),
            min: finite.iter().copied().fold(f64::INFINITY, f64::min),
            max: finite.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            not_finite,
        }
    }
}

impl Recorded {
    pub(super) fn of(name: &str, tensor: &HostTensor, stored: bool) -> Self {
        Self {
            name: name.to_owned(),
            dtype: tensor.dtype(),
            shape: tensor.shape().to_vec(),
            sha256: sha256(tensor.bytes()),
            stored,
            statistics: Statistics::of(tensor),
        }
    }
}

impl Manifest {
    /// The digest that belongs into `manifest_sha256`.
    pub(super) fn digest(&self) -> String {
        let bare = Manifest { manifest_sha256: String::new(), ..self.clone() };
        // A struct of ours: it has a JSON form.
        sha256(&serde_json::to_vec(&bare).unwrap_or_default())
    }

    /// Reads and checks a manifest.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let bytes = std::fs::read(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        let mismatch = |reason: String| Error::Mismatch { path: path.clone(), reason };
        let value: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| mismatch(format!("is no manifest ({error}); was it cut short?")))?;
        let schema = value["schema"].as_str().unwrap_or("nothing").to_owned();
        if schema != SCHEMA {
            return Err(mismatch(format!(
                "says `{schema}`, this program reads `{SCHEMA}`; record the pack anew"
            )));
        }
        let manifest: Manifest =
            serde_json::from_value(value).map_err(|error| mismatch(format!("is no manifest: {error}")))?;
        if manifest.manifest_sha256 != manifest.digest() {
            return Err(mismatch("was edited after it was recorded: its digest does not fit".to_owned()));
        }
        Ok(manifest)
    }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
