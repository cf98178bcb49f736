//! Weights in a file beside the model.
//!
//! The model says which file and which part of it. Both are somebody else's words, so that a path stays in the model's folder,
//! also by way of links, and a part in its file.

use crate::{Error, Result};
use lockstep_onnx::messages::TensorProto;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// `data_location` of elements that are in another file.
const EXTERNAL: i32 = 1;

/// The folder of a model.
#[derive(Debug)]
pub(super) struct Folder {
    /// Without links.
    path: PathBuf,
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
        Ok(Self { path })
    }

    /// The tensor with its elements in it.
    ///
    /// # Errors
    /// [`Error::Tensor`] for paths that leave the folder, parts that leave their file, and what the system says.
    pub(super) fn loaded(&self, mut tensor: TensorProto) -> Result<TensorProto> {
        if tensor.data_location != EXTERNAL {
            return Ok(tensor);
        }
        let bytes = self.part(&tensor).map_err(|reason| Error::tensor(&tensor.name, reason))?;
        tensor.raw_data = Some(bytes);
        tensor.data_location = 0;
        tensor.external_data.clear();
        Ok(tensor)
    }

    fn part(&self, tensor: &TensorProto) -> std::result::Result<Vec<u8>, String> {
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
        let mut file = File::open(self.inside(location)?).map_err(|error| format!("{location}: {error}"))?;
        let whole = file.metadata().map_err(|error| format!("{location}: {error}"))?.len();
        let left = whole.checked_sub(start);
        let length = number("length")?.or(left).unwrap_or(0);
        if left.is_none_or(|left| length > left) {
            return Err(format!(
                "is {length} bytes from {start} on in {location}, which has {whole}; was it cut short, or is it of another \
                 model?"
            ));
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
        file.seek(SeekFrom::Start(start)).map_err(|error| format!("{location}: {error}"))?;
        file.read_exact(&mut bytes).map_err(|error| format!("{location}: {error}"))?;
        Ok(bytes)
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
        let folder = Folder::of(&inner.join("model.onnx")).unwrap();
        let loaded =
            folder.loaded(tensor(&[("location", "w.bin"), ("offset", "4"), ("length", "8")])).unwrap();
        assert_eq!(loaded.read().unwrap().to_f64(), [1.0, 2.0]);
        let rest = folder.loaded(tensor(&[("location", "./w.bin"), ("offset", "4")])).unwrap();
        assert_eq!(rest.read().unwrap().to_f64(), [1.0, 2.0]);

        let refused = |entries: &[(&str, &str)]| folder.loaded(tensor(entries)).unwrap_err().to_string();
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

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_folder_is_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let inner = scratch.path().join("model");
        fs::create_dir(&inner).unwrap();
        fs::write(scratch.path().join("secret"), [0; 8]).unwrap();
        std::os::unix::fs::symlink(scratch.path().join("secret"), inner.join("w.bin")).unwrap();
        let folder = Folder::of(&inner.join("model.onnx")).unwrap();
        let said = folder.loaded(tensor(&[("location", "w.bin")])).unwrap_err().to_string();
        assert!(said.contains("`w`") && said.contains("outside"), "{said}");
    }
}
