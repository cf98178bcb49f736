//! The CUDA sources on disk, and the PTX that was made of them.

use crate::Outcome;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// How a PTX file says what it was made of.
const HASH_LINE: &str = "// source sha256: ";

/// A source, with the headers that it may include.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file's name without its ending; the module's.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Names and texts of all headers, by name.
    pub headers: Vec<(String, String)>,
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where PTX is committed.
pub fn ptx_folder() -> PathBuf {
    root().join("kernels/ptx")
}

/// Whether a line of PTX is one of the compiler's own: it defines the constants of its `<nv/target>` in every module. A source
/// that used them would read them in another line.
fn is_of_nv_target(line: &str) -> bool {
    line.starts_with(".global ") && line.contains("nv6target")
}

/// PTX whose source is gone.
///
/// # Errors
/// A folder that cannot be read.
pub fn orphans(sources: &[Source]) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(&ptx_folder(), &mut files)?;
    files.retain(|path| !sources.iter().any(|source| source.ptx_path() == *path));
    files.sort();
    Ok(files)
}

/// Every source, by name.
///
/// # Errors
/// Files that cannot be read, and two sources of one name.
pub fn all() -> Outcome<Vec<Source>> {
    let mut files = Vec::new();
    collect(&root().join("kernels/src"), &mut files)?;
    let named = |ending: &str| -> Outcome<Vec<(String, String)>> {
        let mut found = Vec::new();
        for path in files.iter().filter(|path| path.extension().is_some_and(|e| e == ending)) {
            let name = if ending == "cu" { path.file_stem() } else { path.file_name() };
            let name = name.unwrap_or_default().to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(path)?));
        }
        found.sort();
        Ok(found)
    };
    let headers = named("cuh")?;
    let sources = named("cu")?;
    if let Some(twice) = sources.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("two sources are named {}.cu; modules go by that name", twice[0].0).into());
    }
    Ok(sources.into_iter().map(|(name, text)| Source { name, text, headers: headers.clone() }).collect())
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Outcome<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

impl Source {
    /// Over the source and every header, with their names.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        let own = (format!("{}.cu", self.name), self.text.clone());
        for (name, text) in self.headers.iter().chain([&own]) {
            hasher.update(name);
            hasher.update([0]);
            hasher.update(text);
            hasher.update([0]);
        }
        hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Where its PTX lies.
    pub fn ptx_path(&self) -> PathBuf {
        ptx_folder().join(format!("{}.ptx", self.name))
    }

    /// The file that holds `ptx`.
    pub fn ptx_file(&self, compiler: &str, ptx: &str) -> String {
        // What the compiler says of itself changes with every build of it, and not with the source.
        let body: Vec<&str> =
            ptx.lines().filter(|line| !line.starts_with("//") && !is_of_nv_target(line)).collect();
        format!("{HASH_LINE}{}\n// compiler: {compiler}\n{}\n", self.hash(), body.join("\n").trim())
    }

    /// The hash that its PTX file was made of.
    ///
    /// # Errors
    /// A file that is missing, or not of [`Source::ptx_file`].
    pub fn hash_of_ptx(&self) -> Outcome<String> {
        let path = self.ptx_path();
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let hash = text.lines().next().and_then(|line| line.strip_prefix(HASH_LINE));
        Ok(hash.ok_or_else(|| format!("{} does not say what it was made of", path.display()))?.to_owned())
    }
}
