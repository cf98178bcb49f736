//! `--repro`: guilty ops as packs that someone without the model, or without Lockstep, can run.

use crate::failure::{Failure, Outcome, say};
use crate::reports::command_line;
use clap::Args;
use lockstep_conformance::repro::{Finder, Offender, folder_name, write};
use lockstep_runtime::DeviceInfo;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Where to keep them.
#[derive(Debug, Args)]
pub(crate) struct ReproArguments {
    /// Keep the first guilty ops in this folder, each as a one-node ONNX model with its tensors and the truth
    #[arg(long, value_name = "DIR")]
    repro: Option<PathBuf>,
}

/// Guilty ops of one device.
#[derive(Debug)]
pub(crate) struct Guilty<'a> {
    /// The model, or the suite, in which they were found.
    pub(crate) model: &'a str,
    /// The device.
    pub(crate) device: &'a DeviceInfo,
    /// The device that was trusted.
    pub(crate) trusted: &'a str,
    /// Those whose tensors were kept, with a name for each.
    pub(crate) offenders: Vec<(String, &'a Offender)>,
    /// How many are guilty in all.
    pub(crate) count: usize,
}

impl ReproArguments {
    /// Refuses a folder that holds something, before any work is done for it.
    ///
    /// # Errors
    /// Such a folder, or a file in its place.
    pub(crate) fn check(&self) -> Outcome {
        let Some(folder) = &self.repro else { return Ok(()) };
        let is_free = !folder.exists() || folder.read_dir().is_ok_and(|mut files| files.next().is_none());
        if is_free {
            return Ok(());
        }
        let what =
            format!("--repro {}: exists already and is no empty folder; choose another", folder.display());
        Err(Failure::Usage(what))
    }

    /// Writes a pack for each, and says where; without the flag, says how to get them. What cannot be written is said and
    /// changes nothing else: that an op is guilty is the news.
    pub(crate) fn keep(&self, guilty: &Guilty<'_>) {
        if guilty.offenders.is_empty() {
            return;
        }
        let Some(folder) = &self.repro else {
            return say("note", "add --repro DIR to keep guilty ops as models that any ONNX runtime can run");
        };
        let command = command_line();
        let Guilty { model, device, trusted, .. } = *guilty;
        let finder = Finder { model, device, trusted, command: &command };
        let mut taken = HashSet::new();
        for (name, offender) in &guilty.offenders {
            let folder = free(folder, &folder_name(name), &mut taken);
            match write(offender, finder, &folder) {
                Ok(()) => {
                    let shown = folder.display();
                    say(
                        "note",
                        format_args!("{shown}: lockstep compare {shown} --devices {trusted},{}", device.id),
                    );
                }
                Err(error) => say("error", error),
            }
        }
        let kept = guilty.offenders.len();
        if guilty.count > kept {
            let all = guilty.count;
            say(
                "note",
                format_args!("{kept} of {all} were kept; the others have nothing to show or came later"),
            );
        }
    }
}

/// A name in `folder` that none of this run's packs has.
fn free(folder: &Path, name: &str, taken: &mut HashSet<String>) -> PathBuf {
    let numbered = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}_{number}")));
    let name = numbered.into_iter().find(|name| taken.insert(name.clone())).unwrap_or_default();
    folder.join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_of_nodes_with_one_name_get_numbers() {
        let mut taken = HashSet::new();
        let names = ["a", "a", "b", "a"].map(|name| free(Path::new("packs"), name, &mut taken));
        assert_eq!(names, ["packs/a", "packs/a_2", "packs/b", "packs/a_3"].map(PathBuf::from));
    }
}
