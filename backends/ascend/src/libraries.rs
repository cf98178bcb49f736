//! Finds and opens the vendor's libraries in either layout, or the simulator in their place.

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use lockstep_ascend_abi::capture::Capture;
use lockstep_ascend_abi::libraries::{Installation, vendors};
use lockstep_ascend_abi::meta::Meta;
use lockstep_ascend_abi::model::Model;
use lockstep_ascend_abi::ops::Ops;
use lockstep_ascend_abi::runtime::Runtime;
use lockstep_ascend_abi::{Since, Symbol};
use lockstep_hal::{Error, Result};
use std::ffi::{CStr, OsString, c_void};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

/// The file of the simulator, or a folder that has it.
pub(crate) const SIMULATOR_VARIABLE: &str = "LOCKSTEP_ASCEND_SIMULATOR";
/// `8`: take of the simulator only what CANN 8.x has.
const LAYOUT_VARIABLE: &str = "LOCKSTEP_ASCEND_SIM_LAYOUT";
const SIMULATOR_FILE: &str = "liblockstep_ascend_simulator.so";
/// What only the simulator exports, so that it cannot be taken for a device under any library's name.
const MARKER: &CStr = c"lockstep_ascend_simulator";

/// The functions that were found. A missing one is a feature that is absent.
#[derive(Debug)]
pub(crate) struct Functions {
    pub(crate) runtime: Runtime,
    pub(crate) capture: Capture,
    pub(crate) meta: Meta,
    pub(crate) model: Model,
    pub(crate) ops: Ops,
    /// Whether any of the libraries is the simulator.
    pub(crate) simulated: bool,
    /// Where the functions are.
    _libraries: Vec<Opened>,
}

impl Functions {
    fn of(libraries: Vec<Opened>, newest: Since) -> Self {
        let mut resolve = |symbol: &Symbol| {
            if symbol.since() > newest {
                return None;
            }
            libraries.iter().find_map(|library| address(library, symbol.name))
        };
        let runtime = Runtime::load(&mut resolve);
        let capture = Capture::load(&mut resolve);
        let meta = Meta::load(&mut resolve);
        let model = Model::load(&mut resolve);
        let ops = Ops::load(&mut resolve);
        let simulated = libraries.iter().any(|library| address(library, MARKER).is_some());
        Self { runtime, capture, meta, model, ops, simulated, _libraries: libraries }
    }
}

fn address(library: &Library, name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: the symbol is not called here, and its address is taken as data.
    let symbol = unsafe { library.get::<*mut c_void>(name.to_bytes_with_nul()) }.ok()?;
    NonNull::new(*symbol)
}

/// A library that stays open: it may have threads of its own, and no vendor promises that it can be closed.
type Opened = ManuallyDrop<Library>;

/// Opens a library; its initialisers run.
fn open(path: &Path, flags: i32) -> std::result::Result<Opened, String> {
    // SAFETY: loads a library that the user's environment names, or that lies beside this program; its initialisers are its own.
    unsafe { Library::open(Some(path), RTLD_NOW | flags) }
        .map(ManuallyDrop::new)
        .map_err(|error| error.to_string())
}

fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// CANN's libraries, in the documented order.
pub(crate) fn vendor(backend: &str) -> Result<Functions> {
    let installation = Installation::from_environment(environment);
    let names = installation.library_folder().map_or_else(Vec::new, |folder| file_names(&folder));
    let found: Vec<&str> = names.iter().map(String::as_str).collect();
    let config =
        installation.vendor_list().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let kinds = [
        ("libacl_rt.so or libascendcl.so", installation.acl(&found)),
        ("libnnopbase.so", installation.nnopbase(&found)),
        ("libopapi_*.so or libopapi.so", installation.operators(&vendors(&config), &found)),
    ];
    let mut libraries = Vec::new();
    for (kind, paths) in kinds {
        let before = libraries.len();
        let mut said = Vec::new();
        for path in &paths {
            match open(path, RTLD_GLOBAL) {
                Ok(library) => libraries.push(library),
                Err(error) => said.push(error),
            }
        }
        if libraries.len() == before {
            return Err(missing(backend, kind, &paths, &said));
        }
    }
    Ok(Functions::of(libraries, Since::Cann9))
}

fn missing(backend: &str, kind: &str, paths: &[PathBuf], said: &[String]) -> Error {
    let mut searched: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    if paths.iter().all(|path| path.components().count() == 1) {
        searched.push("by the loader's path".into());
    }
    // A file that is there and does not load says more than one that is not.
    let there = paths.iter().zip(said).find(|(path, _)| path.exists());
    let hint = match there {
        Some((_, said)) => format!("The loader says: {said}. Source CANN's set_env.sh, which sets LD_LIBRARY_PATH, too"),
        None => "Install CANN 8.1 to 9.1 (toolkit, kernels, driver) and source its set_env.sh, which sets ASCEND_HOME_PATH; \
                 without a device, `ascend-sim` runs the same calls on the processor"
            .into(),
    };
    Error::Unavailable { backend: backend.into(), library: kind.into(), searched, hint }
}

fn file_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// The simulator: where the variable says, or beside this program.
pub(crate) fn simulator(backend: &str) -> Result<Functions> {
    let candidates =
        candidates(environment(SIMULATOR_VARIABLE).map(PathBuf::from), std::env::current_exe().ok());
    let hint = || {
        format!(
            "Build it beside this program (cargo build --release -p lockstep-ascend-simulator), or name it in {SIMULATOR_VARIABLE}"
        )
    };
    let unavailable = |hint: String| Error::Unavailable {
        backend: backend.into(),
        library: SIMULATOR_FILE.into(),
        searched: candidates.iter().map(|path| path.display().to_string()).collect(),
        hint,
    };
    let path = candidates.iter().find(|path| path.is_file()).ok_or_else(|| unavailable(hint()))?;
    let library = open(path, RTLD_LOCAL).map_err(|said| unavailable(format!("The loader says: {said}")))?;
    if address(&library, MARKER).is_none() {
        return Err(unavailable(format!("{} does not say that it is the simulator", path.display())));
    }
    let newest = match environment(LAYOUT_VARIABLE) {
        Some(layout) if layout == "8" => Since::Cann8,
        _ => Since::Cann9,
    };
    Ok(Functions::of(vec![library], newest))
}

fn candidates(named: Option<PathBuf>, program: Option<PathBuf>) -> Vec<PathBuf> {
    if let Some(named) = named {
        return if named.is_dir() { vec![named.join(SIMULATOR_FILE)] } else { vec![named] };
    }
    // Tests and examples lie in a folder of their own below, and cargo puts a dependency's library in `deps`.
    let folder = program.as_deref().and_then(Path::parent);
    let folders = [folder, folder.and_then(Path::parent)].into_iter().flatten();
    folders
        .flat_map(|folder| [folder.join(SIMULATOR_FILE), folder.join("deps").join(SIMULATOR_FILE)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulator_is_looked_for_beside_the_program_and_above_a_test() {
        let found = candidates(None, Some(PathBuf::from("/t/debug/deps/test-1")));
        assert_eq!(found[0], PathBuf::from("/t/debug/deps").join(SIMULATOR_FILE));
        assert!(found.contains(&PathBuf::from("/t/debug").join(SIMULATOR_FILE)));
    }

    #[test]
    fn what_the_variable_names_is_all_that_is_searched() {
        let named = PathBuf::from("/somewhere/else.so");
        assert_eq!(candidates(Some(named.clone()), Some(PathBuf::from("/t/x"))), [named]);
    }
}
