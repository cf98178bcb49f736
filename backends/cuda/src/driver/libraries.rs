//! Where CUDA's libraries may be: the loader's path, and the folders that pip installs them to.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Folders of libraries, one after another, that the user names.
pub(super) const VARIABLE: &str = "LOCKSTEP_CUDA_LIBRARIES";

/// Where a site-packages folder has libraries: CUDA 13's wheels in one place, CUDA 12's in a folder each.
const OF_WHEELS: [&str; 3] = ["nvidia/cu13/lib", "nvidia/cublas/lib", "nvidia/cu12/lib"];

/// Folders of the environment that may hold a Python, or CUDA itself.
const PREFIXES: [&str; 4] = ["VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_HOME", "CUDA_PATH"];

/// Every folder to look in beside the loader's path, whether it is there or not, in order and once each.
pub(super) fn folders(variable: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        variable(VARIABLE).map(|list| std::env::split_paths(&list).collect()).unwrap_or_default();
    let mut prefixes: Vec<PathBuf> =
        PREFIXES.iter().filter_map(|name| variable(name)).map(PathBuf::from).collect();
    for folder in variable("PATH").iter().flat_map(std::env::split_paths) {
        // A virtual environment's python3 is a link to another's, which may be the one with the wheels.
        let python = folder.join("python3");
        if !python.exists() {
            continue;
        }
        let real = python.canonicalize().ok();
        for binary in [Some(python), real].into_iter().flatten() {
            prefixes.extend(binary.parent().and_then(Path::parent).map(Path::to_owned));
        }
    }
    prefixes.push(PathBuf::from("/usr/local/cuda"));
    for prefix in prefixes {
        found.extend(["lib64", "lib"].map(|lib| prefix.join(lib)));
        for packages in site_packages(&prefix) {
            found.extend(OF_WHEELS.map(|wheel| packages.join(wheel)));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|folder| seen.insert(folder.clone()));
    found
}

/// The site-packages (on Debian dist-packages) below a prefix.
fn site_packages(prefix: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for lib in ["lib", "local/lib"] {
        for entry in std::fs::read_dir(prefix.join(lib)).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("python3") {
                found.extend(["site-packages", "dist-packages"].map(|name| entry.path().join(name)));
            }
        }
    }
    found.sort();
    found.retain(|folder| folder.is_dir());
    found
}

/// The newest file in `folders` that is `libNAME.so` with a major version from 12 on, in the folders' order.
pub(super) fn find(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    folders.iter().find_map(|folder| {
        let candidates = [13, 12].map(|major| folder.join(format!("lib{name}.so.{major}")));
        candidates.into_iter().find(|path| path.is_file())
    })
}

/// What an error says of the search.
pub(super) fn searched(folders: &[PathBuf]) -> Vec<String> {
    let there = folders.iter().filter(|folder| folder.is_dir());
    let mut said = vec!["the loader's path".to_owned()];
    said.extend(there.map(|folder| folder.display().to_string()));
    said
}

/// A variable of this process's environment.
pub(super) fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| value != OsStr::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("lockstep-cuda-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn file(path: PathBuf) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, []).unwrap();
    }

    #[test]
    fn libraries_that_pip_installed_are_found() {
        for wheel in ["nvidia/cu13/lib/libcublasLt.so.13", "nvidia/cublas/lib/libcublasLt.so.12"] {
            let prefix = folder("pip");
            file(prefix.join("lib/python3.12/site-packages").join(wheel));
            let folders = folders(|name| (name == "VIRTUAL_ENV").then(|| prefix.clone().into()));
            let found = find(&folders, "cublasLt").expect(wheel);
            assert!(found.ends_with(wheel));
            fs::remove_dir_all(prefix).unwrap();
        }
    }

    #[test]
    fn a_python_on_the_path_leads_to_its_packages() {
        let prefix = folder("path");
        file(prefix.join("bin/python3"));
        file(prefix.join("lib/python3.12/dist-packages/nvidia/cu13/lib/libcublasLt.so.13"));
        let folders = folders(|name| (name == "PATH").then(|| prefix.join("bin").into()));
        assert!(find(&folders, "cublasLt").is_some());
        fs::remove_dir_all(prefix).unwrap();
    }

    #[test]
    fn the_users_folders_come_first_and_what_is_too_old_is_not_taken() {
        let (first, second) = (folder("first"), folder("second"));
        file(first.join("libcublasLt.so.11"));
        file(second.join("libcublasLt.so.12"));
        let list = std::env::join_paths([&first, &second]).unwrap();
        let folders = folders(|name| (name == VARIABLE).then(|| list.clone()));
        assert_eq!(folders[..2], [first.clone(), second.clone()]);
        assert_eq!(find(&folders, "cublasLt"), Some(second.join("libcublasLt.so.12")));
        fs::remove_dir_all(first).unwrap();
        fs::remove_dir_all(second).unwrap();
    }
}
