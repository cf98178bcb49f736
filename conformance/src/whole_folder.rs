//! Folders that appear whole or not at all.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Lets `write` fill a folder and then gives it the name `folder`, which must not exist. Of a failure nothing stays behind.
/// `failed` makes an error of what the system said of a path.
///
/// # Errors
/// What `write` returns; a folder that exists or cannot be made.
pub(crate) fn write_whole<E>(
    folder: &Path,
    failed: impl Fn(&Path, io::Error) -> E,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    // A rename would take the place of an empty folder.
    if folder.exists() {
        return Err(failed(folder, taken()));
    }
    let partial = partial(folder);
    let whole = || {
        fs::create_dir_all(&partial).map_err(|error| failed(&partial, error))?;
        write(&partial)?;
        fs::rename(&partial, folder).map_err(|error| failed(folder, error))
    };
    let written = whole();
    if written.is_err() {
        // That it cannot be removed either is no news.
        let _ = fs::remove_dir_all(&partial);
    }
    written
}

/// What is said of a folder that exists.
pub(crate) fn taken() -> io::Error {
    io::Error::new(ErrorKind::AlreadyExists, "exists already; choose another name")
}

/// Beside the folder, so that it can be renamed to it.
fn partial(folder: &Path) -> PathBuf {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    folder.with_file_name(format!("{name}.{}.partial", std::process::id()))
}
