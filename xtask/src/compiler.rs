//! Where the compiler comes from: the pinned wheel of NVRTC on PyPI, which needs neither CUDA nor a GPU, or a library that
//! is already here.

use crate::Outcome;
use crate::sources::root;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// CUDA 12.0's, whose PTX of ISA 8.0 every driver from 525 on takes.
const WHEEL: &str = "nvidia-cuda-nvrtc-cu12==12.0.140";
const PLATFORM: &str = "manylinux1_x86_64";
const FILE: &str = "nvidia_cuda_nvrtc_cu12-12.0.140-py3-none-manylinux1_x86_64.whl";
const SHA_256: &str = "8e94e991d85c422de4da87bdc7472fdc1364367bd4aace7000b559cd33122071";

/// The library's path, where it shall not be fetched.
pub const VARIABLE: &str = "LOCKSTEP_NVRTC";

/// The NVRTC to load: what `$LOCKSTEP_NVRTC` names, or else the pinned one, fetched by pip if it is not there yet.
///
/// # Errors
/// pip's or Python's, and a wheel that is not the pinned one.
pub fn library() -> Outcome<PathBuf> {
    match env::var_os(VARIABLE) {
        Some(path) => Ok(path.into()),
        None => fetched()
            .map_err(|error| format!("{error}; or name a libnvrtc of CUDA 12.0 in ${VARIABLE}").into()),
    }
}

fn fetched() -> Outcome<PathBuf> {
    let all = root().join("target/nvrtc");
    let home = all.join("12.0.140");
    let library = home.join("nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
    if library.is_file() {
        return Ok(library);
    }
    fs::create_dir_all(&all)?;
    let run = |arguments: &[&str]| -> Outcome<()> {
        let status = Command::new("python3").args(arguments).current_dir(&all).status();
        match status.map_err(|error| format!("python3: {error}"))?.success() {
            true => Ok(()),
            false => Err(format!("python3 {} failed", arguments.join(" ")).into()),
        }
    };
    let download = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"];
    run(&[&download[..], &["--platform", PLATFORM, "--dest", ".", WHEEL]].concat())?;
    let hash: String =
        Sha256::digest(fs::read(all.join(FILE))?).iter().map(|byte| format!("{byte:02x}")).collect();
    if hash != SHA_256 {
        return Err(format!("{FILE} has SHA-256 {hash}, not the pinned {SHA_256}").into());
    }
    // Under its own name only once it is whole.
    let partial = all.join("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    run(&["-m", "zipfile", "-e", FILE, "partial"])?;
    fs::remove_file(all.join(FILE))?;
    fs::rename(partial, home)?;
    Ok(library)
}
