//! Packs of what fails, for someone who has the device and not the model.

use crate::failure::{Outcome, say};
use crate::reports::command_line;
use clap::Args;
use lockstep_conformance::repro::{Finder, MOST_KEPT, Offender, folder_name, write};
use lockstep_runtime::DeviceInfo;
use std::path::{Path, PathBuf};

/// Where packs go.
#[derive(Debug, Args)]
pub(crate) struct ReproArguments {
    /// Write a pack for each of the first ops that fail to a folder in this one: the op alone in ONNX, with its tensors and the
    /// truth; `lockstep compare PACK` runs it again
    #[arg(long = "repro", value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl ReproArguments {
    /// Writes packs of what a device fails at, if that was asked for, and else says how to get them.
    ///
    /// # Errors
    /// A folder that exists or cannot be written.
    pub(crate) fn keep(
        &self,
        offenders: &[&Offender],
        model: &str,
        trusted: &str,
        device: &DeviceInfo,
    ) -> Outcome {
        let Some(folder) = &self.folder else {
            if !offenders.is_empty() {
                let what = format!(
                    "--repro DIR keeps the first {MOST_KEPT} ops that fail, with their tensors and the truth"
                );
                say("note", what);
            }
            return Ok(());
        };
        let command = command_line();
        let finder = Finder { model, device, trusted, command: &command };
        for offender in offenders {
            let path = free(folder, &folder_name(&offender.node));
            write(offender, finder, &path)?;
            say("note", format_args!("{} is kept in {}", offender.node, path.display()));
        }
        Ok(())
    }
}

/// A folder of that name, or with the first number that is free: nothing that was kept before is written over.
fn free(folder: &Path, name: &str) -> PathBuf {
    let numbered = (2..).map(|number| folder.join(format!("{name}.{number}")));
    let mut names = std::iter::once(folder.join(name)).chain(numbered);
    names.find(|path| !path.exists()).unwrap_or_else(|| folder.join(name))
}
