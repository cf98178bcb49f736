//! The order of search in both layouts.

use lockstep_ascend_abi::libraries::{Installation, vendors};
use std::ffi::OsString;
use std::path::PathBuf;

fn installation(variables: &[(&str, &str)]) -> Installation {
    Installation::from_environment(|name| {
        variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(value))
    })
}

fn paths(texts: &[&str]) -> Vec<PathBuf> {
    texts.iter().map(PathBuf::from).collect()
}

#[test]
fn an_8_installation_has_whole_libraries() {
    let cann = installation(&[("ASCEND_HOME_PATH", "/cann")]);
    let found = ["libnnopbase.so", "libopapi.so", "libascendcl.so", "libother.so"];
    assert_eq!(cann.acl(&found), paths(&["/cann/lib64/libascendcl.so"]));
    assert_eq!(cann.nnopbase(&found), paths(&["/cann/lib64/libnnopbase.so"]));
    assert_eq!(cann.operators(&[], &found), paths(&["/cann/lib64/libopapi.so"]));
}

#[test]
fn a_9_installation_has_split_libraries_before_whole_ones() {
    let cann = installation(&[("ASCEND_HOME_PATH", "/cann")]);
    let found = [
        "libopapi.so",
        "libopapi_nn.so",
        "libopapi_cv.so",
        "libopapi_math.so",
        "libopapi_nn.so.1",
        "libascendcl.so",
        "libacl_op_executor.so",
        "libacl_mdl.so",
        "libacl_rt.so",
    ];
    let acl = ["libacl_rt.so", "libacl_mdl.so", "libacl_op_executor.so", "libascendcl.so"];
    assert_eq!(cann.acl(&found), acl.map(|name| PathBuf::from("/cann/lib64").join(name)));
    let operators = ["libopapi_cv.so", "libopapi_math.so", "libopapi_nn.so", "libopapi.so"];
    assert_eq!(cann.operators(&[], &found), operators.map(|name| PathBuf::from("/cann/lib64").join(name)));
}

#[test]
fn without_an_installation_the_loader_searches() {
    let cann = installation(&[]);
    assert_eq!(cann.library_folder(), None);
    assert_eq!(cann.acl(&[])[0], PathBuf::from("libacl_rt.so"));
    assert_eq!(cann.acl(&[]).last(), Some(&PathBuf::from("libascendcl.so")));
    assert_eq!(cann.nnopbase(&[]), paths(&["libnnopbase.so"]));
    assert_eq!(cann.operators(&[], &[]).last(), Some(&PathBuf::from("libopapi.so")));
}

#[test]
fn added_operators_come_first_and_users_before_vendors() {
    let cann = installation(&[
        ("ASCEND_HOME_PATH", "/cann"),
        ("ASCEND_OPP_PATH", "/cann/opp"),
        ("ASCEND_CUSTOM_OPP_PATH", "/mine::/theirs"),
    ]);
    assert_eq!(cann.vendor_list(), Some(PathBuf::from("/cann/opp/vendors/config.ini")));
    let expected = [
        "/mine/op_api/lib/libcust_opapi.so",
        "/theirs/op_api/lib/libcust_opapi.so",
        "/cann/opp/vendors/customize/op_api/lib/libcust_opapi.so",
        "/cann/lib64/libopapi.so",
    ];
    assert_eq!(cann.operators(&["customize"], &["libopapi.so"]), paths(&expected));
}

#[test]
fn the_older_variable_names_the_home_too() {
    let older = installation(&[("ASCEND_HOME_PATH", ""), ("ASCEND_TOOLKIT_HOME", "/toolkit")]);
    assert_eq!(older.home, Some(PathBuf::from("/toolkit")));
    let both = installation(&[("ASCEND_HOME_PATH", "/home"), ("ASCEND_TOOLKIT_HOME", "/toolkit")]);
    assert_eq!(both.home, Some(PathBuf::from("/home")));
}

#[test]
fn vendors_are_listed_by_priority() {
    assert_eq!(vendors("[vendors]\n load_priority = b, a\n"), ["b", "a"]);
    assert_eq!(vendors(""), [""; 0]);
    assert_eq!(vendors("load_priority=\n"), [""; 0]);
}

#[test]
fn a_vendor_cannot_point_out_of_its_folder() {
    assert_eq!(vendors("load_priority=../x,/tmp,a/b,.,ok/,ok"), ["ok"]);
}
