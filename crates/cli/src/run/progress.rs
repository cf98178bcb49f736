//! The progress of a file, on standard error where that is a terminal.

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A bar over the file's bytes where their number is known, else a count; with the rate and, of a bar, the time left.
/// Draws nothing where standard error is no terminal.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    texts: Arc<AtomicU64>,
}

impl Progress {
    pub(super) fn new(total_bytes: Option<u64>) -> Self {
        let texts = Arc::new(AtomicU64::new(0));
        let bar = total_bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let template = match total_bytes {
            Some(_) => "{wide_bar} {percent:>3} %  {texts} texts  {rate}  {eta} left",
            None => "{spinner} {texts} texts  {rate}  {elapsed}",
        };
        // Both templates are ours, and a test reads them.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let (counted, rated) = (texts.clone(), texts.clone());
        bar.set_style(
            style
                .with_key("texts", move |_: &ProgressState, out: &mut dyn Write| {
                    let _ = write!(out, "{}", HumanCount(counted.load(Ordering::Relaxed)));
                })
                .with_key("rate", move |state: &ProgressState, out: &mut dyn Write| {
                    let seconds = state.elapsed().as_secs_f64().max(1e-3);
                    let _ = write!(out, "{:.0} texts/s", rated.load(Ordering::Relaxed) as f64 / seconds);
                }),
        );
        if !bar.is_hidden() && total_bytes.is_none() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar, texts }
    }

    /// So many more texts are answered, and all bytes before this one read.
    pub(super) fn advance(&self, texts: usize, bytes: u64) {
        self.texts.fetch_add(texts as u64, Ordering::Relaxed);
        self.bar.set_position(bytes);
    }

    /// Lets `write` use the terminal without the bar in its way.
    pub(super) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{InMemoryTerm, ProgressDrawTarget};

    #[test]
    fn a_bar_shows_rate_and_time_left() {
        let terminal = InMemoryTerm::new(4, 100);
        let progress = Progress::new(Some(1000));
        progress.bar.set_draw_target(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
        progress.advance(7, 500);
        progress.bar.tick();
        let shown = terminal.contents();
        for part in ["50 %", "7 texts", "texts/s", "left"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        progress.finish();
        assert_eq!(terminal.contents(), "");
    }
}
