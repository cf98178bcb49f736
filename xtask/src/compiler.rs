//! Where the compiler comes from: the pinned wheel of NVRTC on PyPI, which needs neither CUDA nor a GPU.

use crate::Outcome;
use crate::sources::root;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// CUDA 12.0's, whose PTX of ISA 8.0 every driver from 525 on takes.
const WHEEL: &str = "nvidia-cuda-nvrtc-cu12==12.0.140";
const FILE: &str = "nvidia_cuda_nvrtc_cu12-12.0.140-py3-none-manylinux1_x86_64.whl";
const SHA_256: &str = "8e94e991d85c422de4da87bdc7472fdc1364367bd4aace7000b559cd33122071";

/// The folder with `libnvrtc.so.12`, fetched by pip if it is not there yet.
///
/// # Errors
/// pip's or Python's, and a wheel that is not the pinned one.
pub fn folder() -> Outcome<PathBuf> {
    let home = root().join("target/nvrtc");
    let libraries = home.join("nvidia/cuda_nvrtc/lib");
    if libraries.join("libnvrtc.so.12").is_file() {
        return Ok(libraries);
    }
    fs::create_dir_all(&home)?;
    let run = |arguments: &[&str]| -> Outcome<()> {
        let status = Command::new("python3").args(arguments).current_dir(&home).status()?;
        if !status.success() {
            return Err(format!("python3 {} failed", arguments.join(" ")).into());
        }
        Ok(())
    };
    run(&[
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--platform",
        "manylinux1_x86_64",
        "--dest",
        ".",
        WHEEL,
    ])?;
    let wheel = fs::read(home.join(FILE))?;
    let hash: String = Sha256::digest(&wheel).iter().map(|byte| format!("{byte:02x}")).collect();
    if hash != SHA_256 {
        return Err(format!("{FILE} has SHA-256 {hash}, not the pinned {SHA_256}").into());
    }
    run(&["-m", "zipfile", "-e", FILE, "."])?;
    Ok(libraries)
}
