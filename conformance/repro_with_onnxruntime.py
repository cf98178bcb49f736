"""Runs repro packs in other implementations of ONNX: are they well formed, and is our truth theirs?

Every model goes through ONNX's checker, then through ONNX's reference evaluator and ONNX Runtime, neither of which
knows Lockstep. Results are held against output_0.pb with the pack's own bound; what has none must be equal. What is
beyond is listed by op with its first pack, to be judged by who reads it: casts of floats that an integer cannot hold are
undefined in ONNX, and the runtimes have limits and faults of their own.

    pip install onnx==1.19.1 onnxruntime==1.32.0 numpy
    cargo run --release -p lockstep-conformance --example repro_packs -- packs f32
    python conformance/repro_with_onnxruntime.py packs

Not run by CI. Exits with 1 if a model is not well formed.
"""

import collections
import concurrent.futures
import glob
import os
import sys

import numpy as np
import onnx
import onnx.checker
import onnx.numpy_helper
import onnxruntime
from onnx.reference import ReferenceEvaluator


def tensor(path):
    with open(path, "rb") as file:
        message = onnx.TensorProto.FromString(file.read())
    return message.name, onnx.numpy_helper.to_array(message)


def inputs(folder):
    files = sorted(glob.glob(os.path.join(folder, "test_data_set_0", "input_*.pb")), key=lambda f: (len(f), f))
    return dict(tensor(file) for file in files)


def on_reference(folder):
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(os.path.join(folder, "model.onnx")).run(None, inputs(folder))[0]


def on_runtime(folder):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    path = os.path.join(folder, "model.onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs(folder))[0]


class Apart:
    """Runs a function in another process: a runtime may die of a model, and is then started anew."""

    def __init__(self):
        self.pool = None

    def run(self, function, folder):
        self.pool = self.pool or concurrent.futures.ProcessPoolExecutor(max_workers=1)
        try:
            return self.pool.submit(function, folder).result()
        except concurrent.futures.process.BrokenProcessPool:
            self.close()
            raise

    def close(self):
        if self.pool:
            self.pool.shutdown(wait=False)
        self.pool = None


def compare(found, truth, bound):
    """'equal', 'within', or 'beyond' with what there is to say of it."""
    found = np.asarray(found)
    if found.shape != truth.shape or found.dtype != truth.dtype:
        return "beyond", f"{found.dtype}{list(found.shape)} for {truth.dtype}{list(truth.shape)}"
    wide, wanted = found.astype(np.float64), truth.astype(np.float64)
    same = (wide == wanted) | (np.isnan(wide) & np.isnan(wanted))
    if same.all():
        return "equal", ""
    if bound is None:
        return "beyond", f"{(~same).sum()} of {same.size} elements differ"
    with np.errstate(all="ignore"):
        # The truth was rounded once to be written, so that it may be as far off again.
        multiple = np.where(same, 0.0, np.abs(wide - wanted) / (2.0 * bound))
    multiple = np.nan_to_num(multiple, nan=np.inf)
    return ("within" if multiple.max() <= 1.0 else "beyond"), f"{multiple.max():.3g}x bound"


def main(root):
    folders = sorted(os.path.dirname(path) for path in glob.glob(os.path.join(root, "*", "model.onnx")))
    counts = {name: collections.Counter() for name in ("checker", "reference", "onnxruntime")}
    said = collections.defaultdict(list)
    apart = Apart()
    for folder in folders:
        op = os.path.basename(folder).split("-", 1)[-1]
        model = onnx.load(os.path.join(folder, "model.onnx"))
        try:
            onnx.checker.check_model(model, full_check=True)
            counts["checker"]["well formed"] += 1
        except Exception as error:
            counts["checker"]["refused"] += 1
            said["checker", "refused", op, str(error).splitlines()[0][:150]].append(folder)
        _, truth = tensor(os.path.join(folder, "test_data_set_0", "output_0.pb"))
        bound = os.path.join(folder, "bound_0.pb")
        bound = tensor(bound)[1] if os.path.exists(bound) else None
        for name, run in (("reference", on_reference), ("onnxruntime", on_runtime)):
            try:
                outcome, what = compare(apart.run(run, folder), truth, bound)
            except Exception as error:
                outcome, what = "cannot run", (str(error).splitlines() or [type(error).__name__])[0][:150]
            counts[name][outcome] += 1
            if outcome not in ("equal", "within"):
                said[name, outcome, op, what if outcome == "cannot run" else ""].append(f"{folder} {what}")
    apart.close()
    for name, outcomes in counts.items():
        print(f"{name}: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
    for (name, outcome, op, what), where in sorted(said.items()):
        print(f"{name} {outcome}: {op} {what} ({len(where)}, first {where[0]})")
    return int(counts["checker"]["refused"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
