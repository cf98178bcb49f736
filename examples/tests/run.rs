//! The examples run and print what their readers expect.

use std::process::Command;

/// Runs an example that cargo built beside this test and gives what it printed.
fn output(name: &str) -> String {
    let mut path = std::env::current_exe().expect("a test binary");
    path.pop();
    path.pop();
    path.push("examples");
    path.push(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(&path).output().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_text_is_classified() {
    assert!(output("classify_text").starts_with("收入证明 0.99"));
}

#[test]
fn rows_are_summed_by_group_and_a_wrong_group_is_named() {
    let printed = output("index_add_graph");
    assert!(printed.contains("[2.0, 20.0, 0.0, 0.0, 8.0, 80.0]"), "{printed}");
    assert!(printed.contains("sums") && printed.contains("position 3"), "{printed}");
}

#[test]
fn a_tapped_layer_leaves_the_output_as_it_was() {
    assert!(output("tap_a_layer").contains("encoder.2.output is f32[1, 5, 512]; same output bits: true"));
}

#[test]
fn a_custom_op_is_refused_decomposed_and_run() {
    let printed = output("custom_op");
    assert!(printed.contains("swish (example.swish of f32[3])"), "{printed}");
    let results: Vec<&str> =
        printed.lines().filter_map(|line| line.split_once("[-0.26894")).map(|(_, x)| x).collect();
    assert_eq!(results.len(), 2, "{printed}");
}
