//! The tables as a whole: names, libraries, loading.

use core::ffi::c_void;
use core::ptr::NonNull;
use lockstep_ascend_abi::*;
use std::collections::BTreeSet;

const PLAIN: &[&[Symbol]] =
    &[runtime::SYMBOLS, virtual_memory::SYMBOLS, capture::SYMBOLS, model::SYMBOLS, meta::SYMBOLS];

fn plain() -> impl Iterator<Item = &'static Symbol> {
    PLAIN.iter().copied().flatten()
}

fn text(symbol: &Symbol) -> &str {
    symbol.name.to_str().expect("names are ASCII")
}

#[test]
fn a_name_occurs_once() {
    let mut seen = BTreeSet::new();
    for symbol in plain().chain(ops::symbols()) {
        assert!(seen.insert(symbol.name), "{symbol:?} twice");
    }
}

#[test]
fn names_start_as_their_library_has_them() {
    for symbol in plain() {
        assert!(text(symbol).to_ascii_lowercase().starts_with("acl"), "{symbol:?}");
        assert!(!text(symbol).ends_with("GetWorkspaceSize"), "{symbol:?}");
    }
    for symbol in ops::symbols() {
        assert!(text(symbol).starts_with("aclnn"), "{symbol:?}");
    }
}

#[test]
fn phase_1_is_named_after_phase_2() {
    let symbols: Vec<&Symbol> = ops::symbols().collect();
    assert!(symbols.len().is_multiple_of(2));
    for pair in symbols.chunks_exact(2) {
        let [prepare, execute] = pair else { unreachable!() };
        assert_eq!(text(prepare).strip_suffix("GetWorkspaceSize"), Some(text(execute)));
        assert_eq!((prepare.library_8, prepare.library_9), (execute.library_8, execute.library_9));
    }
}

/// What came after 8.1, written a second time.
#[test]
fn what_8_does_not_have_is_since_9() {
    let newer = [
        "aclFinalizeReference",
        "aclsysGetVersionStr",
        "aclsysGetVersionNum",
        "aclrtGetDeviceInfo",
        "aclrtFreeWithDevSync",
        "aclrtMemsetD32",
        "aclmdlRIExecute",
        "aclmdlRIDebugJsonPrint",
        "aclDumpOpTensors",
    ];
    for symbol in plain() {
        let expected = if newer.contains(&text(symbol)) { Since::Cann9 } else { Since::Cann8 };
        assert_eq!(symbol.since(), expected, "{symbol:?}");
    }
    let newer = [
        "aclnnMatmulWeightNz",
        "aclnnFusedMatmul",
        "aclnnFusedMatmulGelu",
        "aclnnFastLayerNorm",
        "aclnnAddLayerNormQuant",
        "aclnnFastGelu",
        "aclnnFastGeluV2",
        "aclnnGeluQuant",
        "aclnnGatherV3",
        "aclnnIndexAddV2",
        "aclnnFusedInferAttentionScoreV4",
    ];
    for symbol in ops::symbols() {
        let operator = text(symbol).trim_end_matches("GetWorkspaceSize");
        let expected = if newer.contains(&operator) { Since::Cann9 } else { Since::Cann8 };
        assert_eq!(symbol.since(), expected, "{symbol:?}");
    }
}

#[test]
fn each_layout_uses_its_own_libraries() {
    let split = [Library::OpApiMath, Library::OpApiNn, Library::OpApiTransformer, Library::AnyOpApi];
    for symbol in ops::symbols() {
        assert!(matches!(symbol.library_8, None | Some(Library::OpApi)), "{symbol:?}");
        assert!(split.contains(&symbol.library_9), "{symbol:?}");
    }
    for symbol in meta::SYMBOLS {
        assert_eq!(symbol.library_9, Library::NnOpBase);
    }
    for symbol in [runtime::SYMBOLS, virtual_memory::SYMBOLS, capture::SYMBOLS].into_iter().flatten() {
        assert_eq!(symbol.library_9, Library::AclRt);
        assert!(matches!(symbol.library_8, None | Some(Library::AscendCl)), "{symbol:?}");
    }
    for symbol in model::SYMBOLS {
        assert!([Library::AclMdl, Library::AclRt].contains(&symbol.library_9), "{symbol:?}");
    }
}

/// How many of a group's fields hold a function, by what `Debug` prints.
fn loaded(group: &impl core::fmt::Debug) -> usize {
    format!("{group:?}").matches(": Some(").count()
}

/// A group holds every function that is found, and asks for each symbol once, in order.
macro_rules! loads {
    ($test:ident, $group:path, $symbols:expr, $per_field:literal) => {
        #[test]
        fn $test() {
            let symbols: Vec<&Symbol> = $symbols.collect();
            let mut asked = Vec::new();
            let all = <$group>::load(&mut |symbol| {
                asked.push(symbol.name);
                Some(NonNull::<c_void>::dangling())
            });
            assert_eq!(asked, symbols.iter().map(|symbol| symbol.name).collect::<Vec<_>>());
            assert_eq!(loaded(&all), symbols.len() / $per_field);
            assert_eq!(loaded(&<$group>::load(&mut |_| None)), 0);
        }
    };
}
loads!(runtime_loads, runtime::Runtime, runtime::SYMBOLS.iter(), 1);
loads!(virtual_memory_loads, virtual_memory::VirtualMemory, virtual_memory::SYMBOLS.iter(), 1);
loads!(capture_loads, capture::Capture, capture::SYMBOLS.iter(), 1);
loads!(model_loads, model::Model, model::SYMBOLS.iter(), 1);
loads!(meta_loads, meta::Meta, meta::SYMBOLS.iter(), 1);
loads!(operators_load, ops::Ops, ops::symbols(), 2);

#[test]
fn an_operator_with_one_phase_is_absent() {
    let prepare_only = ops::Ops::load(&mut |symbol| {
        text(symbol).ends_with("GetWorkspaceSize").then_some(NonNull::<c_void>::dangling())
    });
    assert_eq!(loaded(&prepare_only), 0);
    let execute_only = ops::Ops::load(&mut |symbol| {
        (!text(symbol).ends_with("GetWorkspaceSize")).then_some(NonNull::<c_void>::dangling())
    });
    assert_eq!(loaded(&execute_only), 0);
}
