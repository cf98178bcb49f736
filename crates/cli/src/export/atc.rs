//! What ATC is called with: a script, and the modes of single operators.

use super::manifest::Ascend;
use crate::reports::quoted;
use std::fmt::Write;

/// The file of operators' modes.
pub(super) const OP_PRECISION: &str = "op_precision.ini";

/// The precisions that a model is compiled in, each with what it means. Not ATC's default, fp16, which turns an f32 model
/// into an f16 one without a word; of the others these are the two most accurate.
pub(super) const PRECISIONS: [(&str, &str); 2] = [
    ("origin", "Every operator in the dtype that the model says."),
    ("mixed_float16", "Operators of ATC's own list in f16, the others as the model says."),
];

/// Operators that compute in the better of their two ways, each with what that is. Types are those of Huawei's IR, into which
/// ATC fuses the model's.
const HIGH_PRECISION: [(&str, &str); 4] = [
    ("LayerNorm", "1/sqrt of the variance; in high_performance, ATC's own choice, it is exp(-0.5 ln)"),
    ("SoftmaxV2", "ATC's own choice is high_performance; what that leaves out is documented nowhere"),
    ("Gelu", "the tanh form; in high_performance it is a piecewise square, off by up to 0.02"),
    ("GeluV2", "the erf form, likewise"),
];

/// The words of a command line of ATC.
pub(super) fn command(precision: &str, soc: &str, shape_flags: &[String]) -> Vec<String> {
    let mut words: Vec<String> =
        ["atc", "--mode=0", "--framework=5", "--model=model.onnx"].map(str::to_owned).into();
    words.push(format!("--output={}", compiled(precision)));
    words.push(format!("--soc_version={soc}"));
    words.push("--input_format=ND".to_owned());
    words.extend_from_slice(shape_flags);
    words.push(format!("--precision_mode_v2={precision}"));
    words.push(format!("--op_precision_mode={OP_PRECISION}"));
    words.push("--deterministic=1".to_owned());
    words
}

/// What ATC calls the compiled model, without its ending.
pub(super) fn compiled(precision: &str) -> String {
    format!("model_{precision}")
}

/// The script that compiles.
pub(super) fn script(ascend: &Ascend) -> String {
    let mut text = format!(
        "\
#!/usr/bin/env bash
# Compiles model.onnx for {soc} with ATC, the compiler of Huawei's CANN: bash atc.sh [{names}], by default all.
#
# --precision_mode_v2 is always given. Left out it is fp16: ATC then computes an f32 model in f16 and says nothing, and a
# difference to the model that was exported would be laid to the chip. Compare the two that are made here first.
# --deterministic=1: sums in one order, so that a run can be repeated.
# Extents other than those compiled here are refused when the model runs.
# ATC names another compiler: ATC=target/release/atc-sim bash atc.sh compiles for the simulator, and for it alone.
set -euo pipefail

if ! atc=\"$(command -v \"${{ATC:-atc}}\")\"; then
    echo \"${{ATC:-atc}} is not on the PATH: source CANN's set_env.sh (often /usr/local/Ascend/ascend-toolkit/set_env.sh)\" >&2
    exit 1
fi
case \"$atc\" in
    /*) ;;
    *) atc=\"$PWD/$atc\" ;;
esac
cd \"$(dirname \"${{BASH_SOURCE[0]}}\")\"
",
        soc = ascend.soc,
        names = PRECISIONS.map(|(name, _)| name).join("|"),
    );
    for (made, (name, meaning)) in ascend.precisions.iter().zip(PRECISIONS) {
        let words = ["\"$atc\"".to_owned()].into_iter();
        let words: Vec<String> = words.chain(made.command.iter().skip(1).map(|word| quoted(word))).collect();
        // Writing to a text does not fail.
        let _ = write!(text, "\n# {meaning}\n{name}() {{\n    {}\n}}\n", words.join(" \\\n        "));
    }
    let all = PRECISIONS.map(|(name, _)| format!("        {name}\n")).concat();
    let names = PRECISIONS.map(|(name, _)| name).join(" | ");
    let usage = PRECISIONS.map(|(name, _)| name).join("|");
    let _ = write!(
        text,
        "\ncase \"${{1:-all}}\" in\n    all)\n{all}        ;;\n    {names}) \"$1\" ;;\n    *)\n        \
         echo \"usage: bash atc.sh [{usage}]\" >&2\n        exit 2\n        ;;\nesac\n"
    );
    text
}

/// The file of modes. Its reader skips lines that begin with `#`; none of those holds `=`, should one not.
pub(super) fn op_precision() -> String {
    let mut text = "# Modes of single operators, read by ATC (--op_precision_mode). They choose how an operator computes, not its \
                    dtype.\n[ByOpType]\n"
        .to_owned();
    for (op, what) in HIGH_PRECISION {
        let _ = write!(text, "# {op}: {what}\n{op}=high_precision\n");
    }
    text
}
