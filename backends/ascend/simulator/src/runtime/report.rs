//! What only a simulator exports: its name, and what it has counted. And the list of what was not given back.

use crate::meta::{arrays, executor, scalar, tensor};
use crate::offline;
use crate::runtime::blocks::{self, Home};
use crate::runtime::settings::Settings;
use crate::runtime::{captured, context, counts, event, lock, stream};
use std::ffi::c_char;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Adds a line to the list of leaks of the next `aclFinalize`.
pub(crate) fn note(line: String) {
    lock(&NOTES).push(line);
}

/// What was not given back, one line each.
fn leaks() -> Vec<String> {
    blocks::note_damage();
    let mut lines = core::mem::take(&mut *lock(&NOTES));
    lines.extend(tensor::leaks());
    lines.extend(executor::leaks());
    lines.extend(arrays::leaks());
    let scalars = scalar::SCALARS.all();
    lines.extend(scalars.iter().map(|scalar| format!("a {:?} scalar by aclCreateScalar", scalar.dtype)));
    lines.extend(stream::leaks(None));
    lines.extend(event::EVENTS.all().iter().map(|event| format!("an event by {}", event.made_by)));
    lines.extend(context::leaks(None));
    let models = captured::MODELS.all();
    lines.extend(models.iter().map(|model| format!("a captured model of {} tasks", model.len())));
    lines.extend(offline::leaks());
    lines.extend(blocks::live().iter().map(|block| block.describe()));
    lines
}

/// Writes [`leaks`] to where the settings say; nothing if there are none.
pub(crate) fn write_leaks(settings: &Settings) {
    let lines = leaks();
    if lines.is_empty() {
        return;
    }
    let mut text = format!("lockstep-ascend-simulator: {} things wrong at aclFinalize\n", lines.len());
    for line in lines {
        text.push_str("  ");
        text.push_str(&line);
        text.push('\n');
    }
    let written = match &settings.leaks {
        Some(path) => std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes())),
        None => std::io::stderr().write_all(text.as_bytes()),
    };
    if let Err(error) = written {
        // The list itself must not be lost with its file.
        let _ = writeln!(std::io::stderr(), "{text}and its file could not be written: {error}");
    }
}

fn report() -> String {
    let bytes = |of: fn(&Home) -> bool| -> usize {
        blocks::live().iter().filter(|block| of(&block.home)).map(|block| block.requested).sum()
    };
    let named = [
        ("tensors", tensor::TENSORS.count()),
        ("tensor_lists", tensor::TENSOR_LISTS.count()),
        ("scalars", scalar::SCALARS.count()),
        ("arrays", arrays::count()),
        ("executors", executor::count()),
        ("streams", stream::leaks(None).len()),
        ("events", event::EVENTS.count()),
        ("contexts", context::leaks(None).len()),
        ("models", captured::MODELS.count()),
        ("device_bytes", bytes(|home| *home != Home::Host)),
        ("pinned_bytes", bytes(|home| *home == Home::Host)),
        ("synchronisations", counts::SYNCHRONISATIONS.load(Ordering::Relaxed) as usize),
        ("captures", counts::CAPTURES.load(Ordering::Relaxed) as usize),
        ("replays", counts::REPLAYS.load(Ordering::Relaxed) as usize),
    ];
    let mut text = String::new();
    for (name, value) in named.into_iter().chain(offline::counts()) {
        let _ = writeln!(text, "{name} {value}");
    }
    for (op, launches) in counts::launches() {
        let _ = writeln!(text, "launches.{op} {launches}");
    }
    text
}

/// That this is a simulator, and of which version; static text that ends in NUL.
#[unsafe(no_mangle)]
pub extern "C" fn lockstep_ascend_simulator() -> *const c_char {
    const VERSION: &str = concat!("lockstep-ascend-simulator ", env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Writes lines `NAME COUNT` and a NUL into `buffer`, as far as `size` bytes hold them, and returns how many
/// bytes the whole takes.
///
/// Live objects: `tensors`, `tensor_lists`, `scalars`, `arrays`, `executors`, `streams` and `contexts` (without
/// the default ones), `events`, `models` (captured ones), `device_bytes`, `pinned_bytes`, and of offline
/// models `offline_models`, `model_descs`, `datasets`, `data_buffers`, `tensor_descs`, `model_configs`. Since the process began:
/// `synchronisations`, `captures`, `replays`, and `launches.OP` per operator and
/// per function that runs an offline model.
///
/// # Safety
/// `buffer` is null or valid for writes of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lockstep_ascend_simulator_report(buffer: *mut c_char, size: usize) -> usize {
    let text = std::panic::catch_unwind(report).unwrap_or_default();
    if !buffer.is_null() && size > 0 {
        let written = text.len().min(size - 1);
        // SAFETY: the caller's promise; `written` and the NUL fit.
        unsafe {
            buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), written);
            buffer.add(written).write(0);
        }
    }
    text.len() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_buffer_gets_what_fits_and_the_whole_size_is_told() {
        let mut buffer = [1; 9];
        // SAFETY: the buffer's own size.
        let needed = unsafe { lockstep_ascend_simulator_report(buffer.as_mut_ptr(), buffer.len()) };
        assert!(needed > buffer.len());
        let text: Vec<u8> = buffer.iter().map(|byte| *byte as u8).collect();
        assert_eq!(&text, b"tensors \0");
    }
}
