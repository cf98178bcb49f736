//! The progress of long work, on standard error where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over so many `things`; how many there are is said once it is known.
pub(crate) fn progress_bar(things: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{{wide_bar}} {{pos}}/{{len}} {things}  {{eta}} left"));
    // The template is ours.
    ProgressBar::new(1).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
