//! `cargo xtask kernels [--check]`.
#![allow(clippy::print_stdout)] // What a chore says is its result.

use lockstep_xtask::nvrtc::{Nvrtc, OPTIONS, Target};
use lockstep_xtask::{Outcome, compiler, sources};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask kernels          compiles kernels/src/**/*.cu to kernels/ptx, with NVRTC from PyPI (needs python3 with pip)
cargo xtask kernels --check  compiles them, and says which PTX differs from what is there";

/// Machine code that is made only to see that it can be.
const ARCHITECTURES: [&str; 2] = ["sm_80", "sm_90"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["kernels"] => kernels(false),
        ["kernels", "--check"] => kernels(true),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn kernels(check: bool) -> Outcome<()> {
    let compiler = Nvrtc::load(&compiler::folder()?)?;
    let mut differ = Vec::new();
    for source in sources::all()? {
        let (ptx, _) = compiler.compile(&source, Target::Ptx)?;
        let named = format!("NVRTC 12.0 for compute_80, {OPTIONS}");
        let file = source.ptx_file(&named, std::str::from_utf8(&ptx)?);
        let mut spills = 0;
        for architecture in ARCHITECTURES {
            let (_, said) = compiler.compile(&source, Target::Cubin(architecture))?;
            spills += said
                .lines()
                .filter(|line| line.contains("spill") && !line.contains(" 0 bytes spill stores"))
                .count();
        }
        println!(
            "{}: {} kernels, {} KiB of PTX, {spills} that spill registers",
            source.name,
            ptx.windows(7).filter(|window| window == b".entry ").count(),
            file.len() / 1024
        );
        if check {
            if std::fs::read_to_string(source.ptx_path()).ok().as_ref() != Some(&file) {
                differ.push(source.name.clone());
            }
        } else {
            std::fs::write(source.ptx_path(), file)?;
        }
    }
    if differ.is_empty() {
        return Ok(());
    }
    Err(format!("the PTX of {} is not what the sources give; run cargo xtask kernels", differ.join(", "))
        .into())
}
