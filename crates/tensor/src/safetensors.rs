//! Tensors from safetensors files: one file, or shards named by an index; memory-mapped, so that opening a model reads
//! only its header.

use crate::{Bytes, DType, Error, HostTensor, Result};
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The index of a sharded model.
const INDEX: &str = "model.safetensors.index.json";
/// The name of an unsharded model.
const SINGLE: &str = "model.safetensors";

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: Arc<memmap2::Mmap>,
    metadata: Metadata,
    data_start: usize,
}

/// The tensors of a safetensors file or of a folder of shards, by name.
#[derive(Debug)]
pub struct TensorSource {
    path: PathBuf,
    shards: Vec<Shard>,
    names: BTreeMap<String, usize>,
}

#[derive(serde::Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl TensorSource {
    /// Opens a `.safetensors` file, or a folder holding `model.safetensors` or `model.safetensors.index.json`.
    ///
    /// # Errors
    /// [`Error::Io`] names the file that cannot be read; [`Error::Format`] says what is wrong with a header, an offset
    /// or an index.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Self::from_shards(path, vec![open_shard(path)?]);
        }
        let single = path.join(SINGLE);
        if single.exists() {
            let shard = open_shard(&single)?;
            return Self::from_shards(&single, vec![shard]);
        }
        let index = path.join(INDEX);
        if !index.exists() {
            return Err(Error::Format {
                path: path.to_path_buf(),
                reason: format!(
                    "holds neither {SINGLE} nor {INDEX}; convert other checkpoints to safetensors"
                ),
            });
        }
        Self::open_index(path, &index)
    }

    fn open_index(folder: &Path, path: &Path) -> Result<Self> {
        let format = |reason: String| Error::Format { path: path.to_path_buf(), reason };
        let text = std::fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
        let index: Index =
            serde_json::from_slice(&text).map_err(|e| format(format!("is not a shard index: {e}")))?;
        let mut files: Vec<&String> = index.weight_map.values().collect();
        files.sort();
        files.dedup();
        let mut shards = Vec::new();
        for file in files {
            if Path::new(file).components().count() != 1 || file == ".." {
                return Err(format(format!("names the shard `{file}`, which is not a plain file name")));
            }
            shards.push(open_shard(&folder.join(file))?);
        }
        let source = Self::from_shards(path, shards)?;
        if let Some((name, file)) = index.weight_map.iter().find(|(name, _)| !source.contains(name)) {
            return Err(format(format!("says that `{name}` is in {file}, which does not hold it")));
        }
        Ok(source)
    }

    fn from_shards(path: &Path, shards: Vec<Shard>) -> Result<Self> {
        let mut names = BTreeMap::new();
        for (at, shard) in shards.iter().enumerate() {
            for name in shard.metadata.tensors().into_keys() {
                if let Some(other) = names.insert(name.clone(), at) {
                    let reason = format!("`{name}` is also in {}", shards[other].path.display());
                    return Err(Error::Format { path: shard.path.clone(), reason });
                }
            }
        }
        Ok(Self { path: path.to_path_buf(), shards, names })
    }

    /// The file or index that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every tensor's name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// Whether there is a tensor of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The tensor of that name; its bytes stay in the file's mapping.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is none; [`Error::Format`] for a dtype Lockstep does not know.
    pub fn tensor(&self, name: &str) -> Result<HostTensor> {
        let Some(&at) = self.names.get(name) else {
            return Err(Error::Missing {
                path: self.path.clone(),
                tensor: name.to_owned(),
                hint: self.hint(name),
            });
        };
        let shard = &self.shards[at];
        let format = |reason: String| Error::Format { path: shard.path.clone(), reason };
        let info = shard.metadata.info(name).ok_or_else(|| format(format!("lost `{name}`")))?;
        let dtype = dtype_of(info.dtype).ok_or_else(|| {
            format(format!(
                "tensor `{name}` is {:?}; known: f64, f32, f16, bf16, i64, i32, i8, u8, bool",
                info.dtype
            ))
        })?;
        let (start, end) = info.data_offsets;
        let bytes = Bytes::mapped(shard.map.clone(), shard.data_start + start..shard.data_start + end)
            .ok_or_else(|| {
                format(format!("tensor `{name}` lies outside the file; is the file truncated?"))
            })?;
        HostTensor::from_bytes(dtype, &info.shape, bytes).map_err(|e| format(format!("tensor `{name}`: {e}")))
    }

    /// The name most like `name` by its last components, as a hint for an error message.
    fn hint(&self, name: &str) -> String {
        let shared =
            |other: &str| other.rsplit('.').zip(name.rsplit('.')).take_while(|(a, b)| a == b).count();
        match self.names.keys().map(|n| (shared(n), n)).max() {
            Some((parts, alike)) if parts > 0 => format!("; there is `{alike}`"),
            _ => format!("; it holds {} tensors of other names", self.names.len()),
        }
    }
}

fn open_shard(path: &Path) -> Result<Shard> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(io)?;
    // SAFETY: the mapping is read-only and kept as long as any tensor of it. Changing the file meanwhile is outside our
    // control, as with every program that maps its weights; the model folder is expected to stay as it is while in use.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
    let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|e| Error::Format {
        path: path.to_path_buf(),
        reason: format!(
            "is not a whole safetensors file ({e}); was the download cut off, or is it a git-lfs pointer?"
        ),
    })?;
    let data_start = header + 8;
    let expected = data_start + metadata.data_len();
    if expected != map.len() {
        let reason = format!(
            "holds {} bytes, its header promises {expected}; the file is truncated or has a tail: fetch it again",
            map.len()
        );
        return Err(Error::Format { path: path.to_path_buf(), reason });
    }
    Ok(Shard { path: path.to_path_buf(), map: Arc::new(map), metadata, data_start })
}

fn dtype_of(dtype: safetensors::Dtype) -> Option<DType> {
    use safetensors::Dtype as S;
    Some(match dtype {
        S::F64 => DType::F64,
        S::F32 => DType::F32,
        S::F16 => DType::F16,
        S::BF16 => DType::Bf16,
        S::I64 => DType::I64,
        S::I32 => DType::I32,
        S::I8 => DType::I8,
        S::U8 => DType::U8,
        S::BOOL => DType::Bool,
        _ => return None,
    })
}

fn safetensors_dtype(dtype: DType) -> safetensors::Dtype {
    use safetensors::Dtype as S;
    match dtype {
        DType::F64 => S::F64,
        DType::F32 => S::F32,
        DType::F16 => S::F16,
        DType::Bf16 => S::BF16,
        DType::I64 => S::I64,
        DType::I32 => S::I32,
        DType::I8 => S::I8,
        DType::U8 => S::U8,
        DType::Bool => S::BOOL,
    }
}

/// Writes tensors to a safetensors file.
///
/// # Errors
/// [`Error::Format`] with what the writer said (a full disk, a folder that is not there).
pub fn write_safetensors<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'a str, &'a HostTensor)>,
) -> Result<()> {
    let format = |e: safetensors::SafeTensorError| Error::Format {
        path: path.to_path_buf(),
        reason: format!("could not be written: {e}"),
    };
    let mut views = Vec::new();
    for (name, tensor) in tensors {
        let dtype = safetensors_dtype(tensor.dtype());
        let view = safetensors::tensor::TensorView::new(dtype, tensor.shape().to_vec(), tensor.bytes());
        views.push((name, view.map_err(format)?));
    }
    safetensors::serialize_to_file(views, None, path).map_err(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(tensors: &[(&str, HostTensor)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SINGLE);
        write_safetensors(&path, tensors.iter().map(|(n, t)| (*n, t))).unwrap();
        (folder, path)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let tensor = HostTensor::from_slice(&[2, 2], &[1i64, -2, 3, i64::MIN]).unwrap();
        let (folder, _) = folder_with(&[("a.weight", tensor.clone())]);
        let read = TensorSource::open(folder.path()).unwrap().tensor("a.weight").unwrap();
        assert_eq!((read.dtype(), read.shape()), (DType::I64, &[2, 2][..]));
        assert_eq!(read.bytes(), tensor.bytes());
    }

    #[test]
    fn every_truncation_is_an_error_naming_the_file() {
        let tensor = HostTensor::from_slice(&[8], &[1.0f32; 8]).unwrap();
        let (_folder, path) = folder_with(&[("w", tensor)]);
        let whole = std::fs::read(&path).unwrap();
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let error = TensorSource::open(&path).unwrap_err().to_string();
            assert!(error.contains(SINGLE), "cut at {len}: {error}");
        }
    }

    #[test]
    fn a_header_that_lies_about_offsets_is_refused() {
        for offsets in ["[0,400]", "[4,8]", "[8,4]", "[0,18446744073709551615]"] {
            let header = format!(r#"{{"w":{{"dtype":"F32","shape":[2],"data_offsets":{offsets}}}}}"#);
            let mut file = (header.len() as u64).to_le_bytes().to_vec();
            file.extend(header.as_bytes());
            file.extend([0u8; 8]);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("lies.safetensors");
            std::fs::write(&path, file).unwrap();
            assert!(TensorSource::open(&path).is_err(), "{offsets}");
        }
    }

    #[test]
    fn a_missing_tensor_is_named_with_one_alike() {
        let (folder, _) = folder_with(&[("bert.pooler.dense.weight", HostTensor::scalar(1.0f32))]);
        let error = TensorSource::open(folder.path()).unwrap().tensor("pooler.dense.weight").unwrap_err();
        assert!(error.to_string().contains("there is `bert.pooler.dense.weight`"), "{error}");
    }

    #[test]
    fn shards_are_found_by_their_index_and_checked_against_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            let file = folder.path().join(format!("model-{name}.safetensors"));
            write_safetensors(&file, [(name, &HostTensor::scalar(1.0f32))]).unwrap();
        }
        let index = folder.path().join(INDEX);
        let write = |map: &str| std::fs::write(&index, format!(r#"{{"weight_map":{map}}}"#)).unwrap();
        write(r#"{"a":"model-a.safetensors","b":"model-b.safetensors"}"#);
        assert_eq!(TensorSource::open(folder.path()).unwrap().names().collect::<Vec<_>>(), ["a", "b"]);
        write(r#"{"a":"model-b.safetensors"}"#);
        assert!(TensorSource::open(folder.path()).unwrap_err().to_string().contains("does not hold it"));
        write(r#"{"a":"../model-a.safetensors"}"#);
        assert!(TensorSource::open(folder.path()).unwrap_err().to_string().contains("plain file name"));
    }
}
