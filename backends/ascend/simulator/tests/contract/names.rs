//! The names that the library is installed under.

use crate::harness::{library_path, open};
use lockstep_ascend_abi::libraries::{ACL, NNOPBASE, OPERATORS};
use std::ptr::null;

/// One file under all names of both layouts: whoever opens several has one state.
#[test]
fn every_name_of_both_layouts_opens_the_same_library() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ACL.iter().chain([&NNOPBASE]).chain(OPERATORS);
    let opened: Vec<_> = names
        .map(|name| {
            let path = folder.path().join(name);
            std::os::unix::fs::symlink(library_path(), &path).expect("a link");
            open(&path)
        })
        .collect();
    assert_eq!(opened.len(), 9);
    let init = |at: usize| {
        let init = opened[at].runtime.aclInit.expect("exported");
        // SAFETY: the path may be null.
        unsafe { init(null()) }
    };
    assert_eq!(init(0), 0);
    for at in 1..opened.len() {
        assert_eq!(init(at), 100_002, "library {at} has a state of its own");
    }
}
