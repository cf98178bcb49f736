"""Runs exported models in another implementation of ONNX: are they well formed, and do they compute what PyTorch does?

Each model goes through ONNX's checker with shape inference, then through ONNX Runtime on the 64 documents of
models/bert-small/excerpt, each alone and all in padded batches. Results are held against PyTorch's float64 logits
there, and where checkpoints were exported, against its hidden states of the first two documents.

    pip install onnx==1.19.1 onnxruntime==1.32.0 numpy safetensors
    lockstep export models/bert-small/document-classifier --for ascend --cut all -o out/document-classifier
    lockstep export models/bert-small/field-extractor --for ascend -o out/field-extractor
    python crates/onnx/tests/export_with_onnxruntime.py models/bert-small/excerpt out/document-classifier out/field-extractor

Not run by CI. Prints the largest differences, to be judged by who reads them. Exits with 1 if a model is not well formed,
or if an f32 logit is off by more than 1e-3, which no order of summation explains.
"""

import json
import os
import sys

import numpy as np
import onnx
import onnx.checker
import onnxruntime
from safetensors.numpy import load_file

BATCH = 8
LIMIT = 1e-3


def batch_of(rows):
    """input_ids, token_type_ids and attention_mask of rows of ids, padded to the longest."""
    longest = max(map(len, rows))
    ids = np.zeros((len(rows), longest), np.int64)
    mask = np.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = row
        mask[at, : len(row)] = 1
    return {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "attention_mask": mask}


def rows_of(found, rows):
    """A row per document or, where the logits are of tokens, per token that is no padding."""
    if found.ndim == 2:
        return list(found)
    return [line for document, row in zip(found, rows) for line in document[: len(row)]]


def run(session, documents, size):
    found = []
    for start in range(0, len(documents), size):
        rows = documents[start : start + size]
        found += rows_of(session.run(["logits"], batch_of(rows))[0], rows)
    return np.stack(found).astype(np.float64)


def hidden(session, manifest, documents, golden):
    """The largest difference of each checkpoint that PyTorch recorded."""
    names = {0: "embeddings"} | {at + 1: f"encoder.{at}.output" for at in range(64)}
    worst = {}
    for key, truth in golden.items():
        if not key.startswith("hidden_"):
            continue
        document, layer = map(int, key.split("_")[1:])
        output = manifest["checkpoints"].get(names[layer])
        if output:
            found = session.run([output], batch_of([documents[document]]))[0][0]
            worst[output] = max(worst.get(output, 0.0), np.abs(found.astype(np.float64) - truth).max())
    return worst


def main(excerpt, folders):
    golden = load_file(os.path.join(excerpt, "golden.safetensors"))
    with open(os.path.join(excerpt, "documents.jsonl"), encoding="utf-8") as lines:
        documents = [json.loads(line)["input_ids"] for line in lines]
    failed = False
    for folder in folders:
        path = os.path.join(folder, "model.onnx")
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        try:
            onnx.checker.check_model(path, full_check=True)
        except Exception as error:
            print(f"{folder}: not well formed: {error}")
            failed = True
            continue
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        alone, batched = run(session, documents, 1), run(session, documents, BATCH)
        truth = golden["class_logits" if len(alone) == len(documents) else "tag_logits"]
        off = [np.abs(found - truth).max() for found in (alone, batched)]
        same = (alone.argmax(1) == truth.argmax(1)).all() and (batched.argmax(1) == truth.argmax(1)).all()
        print(f"{folder} ({manifest['dtype']}): well formed; {len(truth)} rows of logits off by at most {off[0]:.3g} alone,"
              f" {off[1]:.3g} in padded batches of {BATCH}; batched from alone {np.abs(alone - batched).max():.3g};"
              f" {'every' if same else 'NOT every'} answer the same")
        if len(alone) == len(documents):
            for output, worst in hidden(session, manifest, documents, golden).items():
                print(f"    {output} off by at most {worst:.3g}")
        failed |= manifest["dtype"] == "f32" and max(off) > LIMIT
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
