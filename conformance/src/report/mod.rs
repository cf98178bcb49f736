//! What was found, for people and machines: the same structs as JSON, as one HTML page that needs no network, and as JUnit.
//!
//! A report holds everything that its page shows, so that a page can be made wherever the report is, and nothing is on the
//! page that a machine could not read. Pictures are SVG that we write ourselves: they are three, they carry links and
//! tooltips, and a plotting library would bring fonts.

mod charts;
mod comparison;
mod golden;
pub(crate) mod html;
pub mod junit;
mod suite;

pub use comparison::{Comparison, Setting, guilty, shown};
pub use golden::GoldenReport;
pub use html::{Error, Page};
pub use suite::{Absent, SuiteReport};

/// Text as an attribute or an element of HTML and XML may hold it; what XML cannot hold at all becomes a replacement
/// character.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
