//! Weights in a file beside the model.
//!
//! The model says which file and which part of it. Both are somebody else's words, so that a path stays in the model's folder,
//! also by way of links, and a part in its file. Nothing is read before it is known to be as long as its tensor, and in all no more
//! than the files hold: a thousand tensors could name the same part.

use crate::view::elements;
use crate::{Error, Result};
use lockstep_onnx::messages::{EXTERNAL, TensorProto, dtype_of};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// The most bytes of weights: a 910B's memory.
const MOST_BYTES: u64 = 64 << 30;

/// The folder of a model.
#[derive(Debug)]
pub(super) struct Folder {
    /// Without links.
    path: PathBuf,
    /// How many bytes of each file tensors have named so far.
    named: HashMap<PathBuf, u64>,
}

impl Folder {
    /// That of this file.
    ///
    /// # Errors
    /// [`Error::File`] for what the system says.
    pub(super) fn of(model: &Path) -> Result<Self> {
        let parent = match model.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let path = parent.canonicalize().map_err(|error| Error::file(parent, error))?;
        Ok(Self { path, named: HashMap::new() })
    }

    /// The tensor with its elements in it.
    ///
    /// # Errors
    /// [`Error::Tensor`] for paths that leave the folder, parts that leave their file or are not as long as the tensor, parts that
    /// are more than their file or a device holds, and what the system says.
    pub(super) fn loaded(&mut self, mut tensor: TensorProto) -> Result<TensorProto> {
        if tensor.data_location != EXTERNAL {
            return Ok(tensor);
        }
        let bytes = self.part(&tensor).map_err(|reason| Error::tensor(&tensor.name, reason))?;
        tensor.raw_data = Some(bytes);
        tensor.data_location = 0;
        tensor.external_data.clear();
        Ok(tensor)
    }

    fn part(&mut self, tensor: &TensorProto) -> std::result::Result<Vec<u8>, String> {
        let entries: HashMap<&str, &str> =
            tensor.external_data.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
        let location =
            *entries.get("location").ok_or("is in another file, and the model does not say in which")?;
        let number = |key: &str| match entries.get(key) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(format!("its `{key}` in {location} is `{text}`, which is no number of bytes")),
            },
        };
        let start = number("offset")?.unwrap_or(0);
        let path = self.inside(location)?;
        let mut file = File::open(&path).map_err(|error| format!("{location}: {error}"))?;
        let whole = file.metadata().map_err(|error| format!("{location}: {error}"))?.len();
        let left = whole.checked_sub(start);
        let length = number("length")?.or(left).unwrap_or(0);
        if left.is_none_or(|left| length > left) {
            return Err(format!(
                "is {length} bytes from {start} on in {location}, which has {whole}; was it cut short, or is it of another \
                 model?"
            ));
        }
        let expected = bytes_of(tensor)?;
        if length != expected {
            return Err(format!(
                "is {length} bytes in {location}, and its extents {:?} and data type take {expected}; is the file of another model?",
                tensor.dims
            ));
        }
        self.count(path, length, whole).map_err(|reason| format!("{reason} (in {location})"))?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
        file.seek(SeekFrom::Start(start)).map_err(|error| format!("{location}: {error}"))?;
        file.read_exact(&mut bytes).map_err(|error| format!("{location}: {error}"))?;
        Ok(bytes)
    }

    /// Counts a part of a file of `whole` bytes.
    fn count(&mut self, path: PathBuf, length: u64, whole: u64) -> std::result::Result<(), String> {
        let named = self.named.entry(path).or_default();
        *named = named.saturating_add(length);
        if *named > whole {
            return Err(
                "is a part that other tensors have named as well; save the model with a part for each"
                    .to_owned(),
            );
        }
        let all = self.named.values().fold(0u64, |sum, &named| sum.saturating_add(named));
        match all > MOST_BYTES {
            true => Err(format!("takes the weights beyond {} GiB, which no 910B holds", MOST_BYTES >> 30)),
            false => Ok(()),
        }
    }

    fn inside(&self, location: &str) -> std::result::Result<PathBuf, String> {
        let relative = Path::new(location);
        let outside = || format!("its file `{location}` is outside the model's folder, which is not read");
        let stays =
            relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !stays || location.is_empty() {
            return Err(outside());
        }
        let path = self.path.join(relative);
        let real = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        match real.starts_with(&self.path) && real.is_file() {
            true => Ok(real),
            false => Err(outside()),
        }
    }
}

/// The bytes that a tensor takes.
fn bytes_of(tensor: &TensorProto) -> std::result::Result<u64, String> {
    let dtype = dtype_of(tensor.data_type);
    let dtype = dtype.ok_or_else(|| format!("is of ONNX's data type {}", tensor.data_type))?;
    let bytes = elements(&tensor.dims).and_then(|count| (count as u64).checked_mul(dtype.size() as u64));
    bytes.ok_or_else(|| format!("has the extents {:?}, which do not fit a device", tensor.dims))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_onnx::messages::EntryProto;
    use std::fs;

    fn tensor(entries: &[(&str, &str)]) -> TensorProto {
        let entry = |(key, value): &(&str, &str)| EntryProto { key: (*key).into(), value: (*value).into() };
        TensorProto {
            name: "w".to_owned(),
            dims: vec![2],
            data_type: 1,
            data_location: EXTERNAL,
            external_data: entries.iter().map(entry).collect(),
            ..TensorProto::default()
        }
    }

    #[test]
    fn a_part_of_a_file_is_read_and_nothing_outside_it() {
        let scratch = tempfile::tempdir().unwrap();
        let inner = scratch.path().join("model");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("w.bin"), [0f32, 1.0, 2.0].map(f32::to_le_bytes).concat()).unwrap();
        fs::write(scratch.path().join("secret"), [0; 8]).unwrap();
        let loaded = |entries: &[(&str, &str)]| {
            let mut folder = Folder::of(&inner.join("model.onnx")).unwrap();
            folder.loaded(tensor(entries))
        };
        let part = loaded(&[("location", "w.bin"), ("offset", "4"), ("length", "8")]).unwrap();
        assert_eq!(part.read().unwrap().to_f64(), [1.0, 2.0]);
        let rest = loaded(&[("location", "./w.bin"), ("offset", "4")]).unwrap();
        assert_eq!(rest.read().unwrap().to_f64(), [1.0, 2.0]);

        let refused = |entries: &[(&str, &str)]| loaded(entries).unwrap_err().to_string();
        let absolute = scratch.path().join("secret").display().to_string();
        for outside in ["../secret", "sub/../../secret", &absolute, ""] {
            assert!(refused(&[("location", outside)]).contains("outside"), "{outside}");
        }
        assert!(refused(&[("location", "w.bin"), ("offset", "8"), ("length", "8")]).contains("which has 12"));
        assert!(refused(&[("location", "w.bin"), ("offset", "13")]).contains("which has 12"));
        let most = u64::MAX.to_string();
        assert!(refused(&[("location", "w.bin"), ("length", &most)]).contains("which has 12"));
        assert!(refused(&[("location", "w.bin"), ("offset", "-1")]).contains("`-1`"));
        assert!(refused(&[("location", "none.bin")]).contains("none.bin"));
        assert!(refused(&[]).contains("does not say"));
    }

    /// A file of 65 GiB that takes no room on the disk: reading any of these would.
    #[cfg(unix)]
    #[test]
    fn what_is_not_as_long_as_its_tensor_is_not_read() {
        const LENGTH: u64 = 65 << 30;
        let scratch = tempfile::tempdir().unwrap();
        File::create(scratch.path().join("w.bin")).unwrap().set_len(LENGTH).unwrap();
        let refused = |dims: &[i64], data_type: i32| {
            let mut folder = Folder::of(&scratch.path().join("model.onnx")).unwrap();
            let length = LENGTH.to_string();
            let whole = tensor(&[("location", "w.bin"), ("length", &length)]);
            folder.loaded(TensorProto { dims: dims.to_vec(), data_type, ..whole }).unwrap_err().to_string()
        };
        assert!(refused(&[2, 3], 1).contains("its extents [2, 3] and data type take 24"));
        assert!(refused(&[2, 0], 1).contains("take 0"));
        assert!(refused(&[1 << 40, 1 << 40], 1).contains("do not fit a device"));
        assert!(refused(&[-1], 1).contains("do not fit a device"));
        assert!(refused(&[2], 99).contains("data type 99"));
        assert!(refused(&[LENGTH as i64 / 4], 1).contains("beyond 64 GiB"));
    }

    #[test]
    fn a_file_is_not_read_over_and_over() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("w.bin"), [0; 20]).unwrap();
        let mut folder = Folder::of(&scratch.path().join("model.onnx")).unwrap();
        let mut load = |offset: &str| {
            folder.loaded(tensor(&[("location", "w.bin"), ("offset", offset), ("length", "8")]))
        };
        assert!(load("0").is_ok() && load("8").is_ok());
        let said = load("0").unwrap_err().to_string();
        assert!(said.contains("other tensors have named as well") && said.contains("w.bin"), "{said}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_folder_is_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let inner = scratch.path().join("model");
        fs::create_dir(&inner).unwrap();
        fs::write(scratch.path().join("secret"), [0; 8]).unwrap();
        std::os::unix::fs::symlink(scratch.path().join("secret"), inner.join("w.bin")).unwrap();
        let mut folder = Folder::of(&inner.join("model.onnx")).unwrap();
        let said = folder.loaded(tensor(&[("location", "w.bin")])).unwrap_err().to_string();
        assert!(said.contains("`w`") && said.contains("outside"), "{said}");
    }
}
