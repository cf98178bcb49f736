//! The folder that is written: whole or not at all.

use super::manifest::SCHEMA;
use crate::failure::{Failure, Outcome};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Every file that an export can consist of; a folder with any other is not replaced.
const FILES: [&str; 5] = ["model.onnx", "model.weights", "atc.sh", "op_precision.ini", "manifest.json"];

/// Where an export goes.
#[derive(Debug)]
pub(super) struct Destination {
    folder: PathBuf,
    /// Whether something is there that goes when the export is whole: an empty folder, or an earlier export.
    replaces: bool,
}

impl Destination {
    /// Looks at a folder before any work is done for it.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a file in its place, the current folder, a folder that holds something, and with `force` one that
    /// holds anything but an earlier export.
    pub(super) fn new(folder: &Path, force: bool) -> Outcome<Self> {
        let refused = |reason: &str| Err(Failure::Usage(format!("{}: {reason}", folder.display())));
        if !folder.exists() {
            if folder.file_name().is_none() {
                return refused("is no name for a folder");
            }
            return Ok(Self { folder: folder.to_owned(), replaces: false });
        }
        let entries = match folder.read_dir() {
            Ok(entries) => entries,
            Err(_) if folder.is_file() => return refused("is a file; choose a new or empty folder"),
            Err(error) => return refused(&error.to_string()),
        };
        let names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        // What a link stands for is replaced, not the link.
        let real = folder.canonicalize().map_err(|error| failed(folder, error))?;
        if std::env::current_dir()
            .is_ok_and(|current| current.canonicalize().is_ok_and(|current| current == real))
        {
            return refused("is the current folder, which cannot be replaced; choose one in it");
        }
        if !names.is_empty() && !force {
            return refused(
                "exists already and is not empty; choose another, or --force to replace an earlier export",
            );
        }
        if let Some(other) = names.iter().find(|name| !FILES.contains(&name.as_str())) {
            return refused(&format!(
                "holds {other}, which is no part of an export; --force does not replace it"
            ));
        }
        if !names.is_empty() && !holds_export(&real) {
            return refused("has no manifest.json of an export; --force does not replace it");
        }
        Ok(Self { folder: real, replaces: true })
    }

    /// Lets `write` fill the folder, which then appears under its name. Of a failure nothing stays behind, and an earlier export
    /// stays as it was.
    ///
    /// # Errors
    /// What `write` returns; what the system says.
    pub(super) fn write(&self, write: impl FnOnce(&mut Contents<'_>) -> Outcome) -> Outcome {
        let partial = self.beside("partial");
        let whole = || {
            fs::create_dir_all(&partial).map_err(|error| failed(&self.folder, error))?;
            let mut contents = Contents { partial: &partial, folder: &self.folder, written: BTreeMap::new() };
            write(&mut contents)?;
            self.appear(&partial).map_err(|error| failed(&self.folder, error))
        };
        let written = whole();
        if written.is_err() {
            // That it cannot be removed either is no news.
            let _ = fs::remove_dir_all(&partial);
        }
        written
    }

    fn appear(&self, partial: &Path) -> io::Result<()> {
        if !self.replaces {
            return fs::rename(partial, &self.folder);
        }
        let earlier = self.beside("earlier");
        fs::rename(&self.folder, &earlier)?;
        if let Err(error) = fs::rename(partial, &self.folder) {
            fs::rename(&earlier, &self.folder)?;
            return Err(error);
        }
        fs::remove_dir_all(&earlier)
    }

    /// A name beside the folder, so that one can be renamed to the other.
    fn beside(&self, what: &str) -> PathBuf {
        let name =
            self.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.folder.with_file_name(format!("{name}.{}.{what}", std::process::id()))
    }
}

fn holds_export(folder: &Path) -> bool {
    let manifest = fs::read(folder.join("manifest.json")).ok();
    let manifest = manifest.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    manifest.is_some_and(|manifest| manifest["schema"] == SCHEMA)
}

/// The files so far.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    partial: &'a Path,
    /// What errors call it.
    folder: &'a Path,
    written: BTreeMap<String, String>,
}

impl Contents<'_> {
    /// Each file with its SHA-256.
    pub(super) fn written(&self) -> &BTreeMap<String, String> {
        &self.written
    }

    /// Adds a file.
    ///
    /// # Errors
    /// What the system says, such as of a full disk; so do the others.
    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) -> Outcome {
        self.stream(name, |stream| stream.write_all(bytes))
    }

    /// Adds a file that may be run.
    pub(super) fn script(&mut self, name: &str, text: &str) -> Outcome {
        self.bytes(name, text.as_bytes())?;
        executable(&self.partial.join(name)).map_err(|error| failed(&self.folder.join(name), error))
    }

    /// Adds a file of JSON.
    pub(super) fn json(&mut self, name: &str, value: &impl Serialize) -> Outcome {
        let mut text = serde_json::to_string_pretty(value).map_err(|error| Failure::of(&error))?;
        text.push('\n');
        self.bytes(name, text.as_bytes())
    }

    /// Adds a file that `write` writes.
    pub(super) fn stream(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<Hashed>) -> io::Result<()>,
    ) -> Outcome {
        let file = || {
            let file = File::create(self.partial.join(name))?;
            let mut stream = BufWriter::new(Hashed { file, hash: Sha256::new() });
            write(&mut stream)?;
            let hashed = stream.into_inner().map_err(io::IntoInnerError::into_error)?;
            // Some systems say only now that there is no room.
            hashed.file.sync_all()?;
            Ok(hashed.hash.finalize())
        };
        let digest = file().map_err(|error| failed(&self.folder.join(name), error))?;
        let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.written.insert(name.to_owned(), digest);
        Ok(())
    }
}

/// A file, and the digest of what was written to it.
#[derive(Debug)]
pub(super) struct Hashed {
    file: File,
    hash: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(unix)]
fn executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> io::Result<()> {
    Ok(())
}

fn failed(path: &Path, error: io::Error) -> Failure {
    Failure::Failed(format!("{}: {error}", path.display()))
}
