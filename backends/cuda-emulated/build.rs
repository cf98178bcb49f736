//! Compiles every kernel's CUDA source as C++, with the emulator in place of CUDA. Needs a C++17 compiler.

use std::path::{Path, PathBuf};

fn main() {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels/src");
    let emulator = Path::new("src/emulator");
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .include(emulator)
        .include(kernels.join("cuda"))
        .file(emulator.join("emulator.cpp"))
        // A product and a sum are two roundings unless the source says fmaf, as the PTX is compiled too.
        .flag("-ffp-contract=off")
        // `_longjmp` between fibers is no mistake here.
        .flag("-U_FORTIFY_SOURCE")
        .flag("-fno-exceptions")
        .flag("-Wno-unknown-pragmas")
        .opt_level(2)
        .warnings(false)
        // Kernels register themselves when the program starts: nothing refers to them by name.
        .cargo_metadata(false);
    let mut sources = Vec::new();
    collect(&kernels, &mut sources);
    for source in &sources {
        println!("cargo:rerun-if-changed={}", source.display());
    }
    println!("cargo:rerun-if-changed={}", emulator.display());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for source in sources.iter().filter(|path| path.extension().is_some_and(|e| e == "cu")) {
        // Compilers know a language by the file's ending, and `.cu` would be CUDA to some.
        let unit = out.join(source.with_extension("cpp").file_name().expect("a file"));
        let text = format!("#include \"{}\"\n", source.canonicalize().expect("it was listed").display());
        std::fs::write(&unit, text).expect("OUT_DIR can be written");
        build.file(unit);
    }
    build.compile("lockstep_emulated_kernels");
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static:+whole-archive=lockstep_emulated_kernels");
    println!("cargo:rustc-link-lib=dylib=stdc++");
}

/// Every `.cu` and `.cuh` below a folder, in order.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the kernels are there")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "cu" || e == "cuh") {
            found.push(path);
        }
    }
}
