//! The file, written whole or not at all, and never over a real one.

use crate::{Compiled, Error, Result};
use lockstep_ascend_container::{self as container, HUAWEI_MAGIC};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

impl Compiled {
    /// The bytes of a file.
    ///
    /// # Errors
    /// [`Error::Container`] for a fault of this crate.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        Ok(container::write(&self.model, &self.constants)?)
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`Error::File`] for one that is there and is a real `.om`, and for what the system says.
    pub fn save(&self, path: &Path) -> Result<()> {
        if is_real(path) {
            let reason =
                "is a real .om, which is not overwritten by a simulated one; choose another --output";
            return Err(Error::file(path, reason));
        }
        let bytes = self.bytes()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!("{name}.{}.partial", std::process::id()));
        let written = || {
            let mut file = File::create(&partial)?;
            file.write_all(&bytes)?;
            // Some systems say only now that there is no room.
            file.sync_all()?;
            fs::rename(&partial, path)
        };
        written().map_err(|error| {
            // That it cannot be removed either is no news.
            let _ = fs::remove_file(&partial);
            let missing = error.kind() == ErrorKind::NotFound;
            let more = if missing { "; does its folder exist?" } else { "" };
            Error::file(path, format!("{error}{more}"))
        })
    }
}

fn is_real(path: &Path) -> bool {
    let mut magic = HUAWEI_MAGIC.map(|_| 0);
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok() && magic == HUAWEI_MAGIC)
}
