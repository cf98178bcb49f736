//! The committed PTX is of the present sources, complete, and compiled as the specs promise.

use lockstep_kernels::cuda::{entries, modules};
use lockstep_xtask::sources;
use std::collections::BTreeSet;

#[test]
fn every_ptx_is_of_its_present_source() {
    for source in sources::all().unwrap() {
        let made_of = source.hash_of_ptx().unwrap();
        assert!(
            made_of == source.hash(),
            "{}.cu or a header changed after its PTX was made; run cargo xtask kernels",
            source.name
        );
    }
}

#[test]
fn every_source_is_a_module() {
    let on_disk: Vec<String> = sources::all().unwrap().into_iter().map(|source| source.name).collect();
    let mut built_in: Vec<&str> = modules().iter().map(|module| module.name).collect();
    built_in.sort_unstable();
    assert_eq!(on_disk, built_in, "kernels/src/cuda/mod.rs lists the modules");
}

#[test]
fn kernels_have_names_of_their_own_and_are_for_every_gpu_from_sm_80_on() {
    let mut names = BTreeSet::new();
    for module in modules() {
        assert!(
            module.ptx.contains(".version 8.0") && module.ptx.contains(".target sm_80"),
            "{}",
            module.name
        );
        for entry in entries(module.ptx) {
            assert!(names.insert(entry), "two kernels are named {entry}");
        }
    }
    assert!(names.contains("layer_norm_f16") && names.contains("attention_bf16"), "{names:?}");
}

#[test]
fn every_ptx_has_a_source() {
    let orphans = sources::orphans(&sources::all().unwrap()).unwrap();
    assert!(orphans.is_empty(), "{orphans:?}: run cargo xtask kernels");
}

/// Fast-math would show as approximate divisions, roots and exponentials, or as subnormals flushed to zero.
#[test]
fn no_kernel_is_compiled_with_fast_math() {
    // pow, which works in f64, and `quotient` of `math.cuh` take a reciprocal's seed from an approximation, which they refine.
    let allowed =
        |line: &&str| ["rcp.approx.ftz.f64", "rcp.approx.ftz.f32"].iter().any(|seed| line.contains(seed));
    for module in modules() {
        let mut lines = module.ptx.lines().filter(|line| !allowed(line));
        let found = lines.find(|line| [".ftz", ".approx", ".full"].iter().any(|fast| line.contains(fast)));
        assert!(found.is_none(), "{}: {found:?}", module.name);
    }
}
