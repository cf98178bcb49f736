//! `cargo xtask kernels [--check]`.
#![allow(clippy::print_stdout)] // What a chore says is its result.

use lockstep_xtask::nvrtc::{Nvrtc, OPTIONS, Target, VERSION};
use lockstep_xtask::sources::Source;
use lockstep_xtask::usage::usages;
use lockstep_xtask::{Outcome, compiler, sources};
use std::fs;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask kernels          compiles kernels/src/**/*.cu to kernels/ptx, with NVRTC from PyPI (needs python3 with pip)
cargo xtask kernels --check  compiles them, and says which PTX differs from what is there

$LOCKSTEP_NVRTC: the path of a libnvrtc of CUDA 12.0 to use instead";

/// Machine code that is made only to see that it can be, and what it takes.
const ARCHITECTURES: [&str; 2] = ["sm_80", "sm_90"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["kernels"] => write(),
        ["kernels", "--check"] => check(),
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

fn write() -> Outcome<()> {
    let compiler = Nvrtc::load(&compiler::library()?)?;
    let sources = sources::all()?;
    fs::create_dir_all(sources::ptx_folder())?;
    for source in &sources {
        fs::write(source.ptx_path(), compiled(&compiler, source)?)?;
    }
    for orphan in sources::orphans(&sources)? {
        println!("{}: removed, its source is gone", orphan.display());
        fs::remove_file(orphan)?;
    }
    Ok(())
}

fn check() -> Outcome<()> {
    let compiler = Nvrtc::load(&compiler::library()?)?;
    let sources = sources::all()?;
    let mut wrong = sources::orphans(&sources)?;
    for source in &sources {
        let file = compiled(&compiler, source)?;
        if fs::read_to_string(source.ptx_path()).ok().as_ref() != Some(&file) {
            wrong.push(source.ptx_path());
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let names: Vec<_> =
        wrong.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy()).collect();
    Err(format!("{} not what the sources give; run cargo xtask kernels", names.join(", ")).into())
}

/// The PTX file of a source that also assembles for every architecture; says what its kernels take.
fn compiled(compiler: &Nvrtc, source: &Source) -> Outcome<String> {
    let (ptx, _) = compiler.compile(source, Target::Ptx)?;
    let (major, minor) = VERSION;
    let named = format!("NVRTC {major}.{minor} for compute_80, {OPTIONS}");
    let file = source.ptx_file(&named, std::str::from_utf8(&ptx)?);
    let kernels = file.matches(".entry ").count();
    let (mut registers, mut spills) = (0, Vec::new());
    for architecture in ARCHITECTURES {
        let (_, said) = compiler.compile(source, Target::Cubin(architecture))?;
        let usages = usages(&said);
        if usages.len() != kernels {
            let name = &source.name;
            return Err(format!(
                "{name}.cu: {kernels} kernels, but of {architecture} the assembler says:\n{said}"
            )
            .into());
        }
        for usage in usages {
            registers = registers.max(usage.registers);
            if usage.spilled_bytes > 0 {
                spills.push(format!(
                    "  {} spills {} bytes on {architecture}",
                    usage.kernel, usage.spilled_bytes
                ));
            }
        }
    }
    let (name, size) = (&source.name, file.len() / 1024);
    println!("{name}: {kernels} kernels, {size} KiB of PTX, at most {registers} registers");
    for spill in spills {
        println!("{spill}");
    }
    Ok(file)
}
