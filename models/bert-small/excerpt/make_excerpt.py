"""Take what the tests need of the test set and of PyTorch's results into a few small files.

    pip install numpy safetensors
    python make_excerpt.py DATA_DIR GOLDEN_DIR OUT_DIR
DATA_DIR/test.jsonl is made by train/credit_corpus.py; GOLDEN_DIR by train/make_golden.py.
"""
import json, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import load_file, save_file

data, golden, out = map(Path, sys.argv[1:4])
HIDDEN = 2  # documents whose hidden states are kept
truth = load_file(golden / "golden.safetensors")
ids, mask = truth["input_ids"], truth["attention_mask"]
tests = [json.loads(x) for x in open(data / "test.jsonl", encoding="utf-8")]
seen = [json.loads(x) for x in open(golden / "predictions.jsonl", encoding="utf-8")]

with open(out / "documents.jsonl", "w", encoding="utf-8", newline="\n") as made:
    for row, (document, predicted) in enumerate(zip(tests[: len(ids)], seen)):
        document["predicted_label"] = predicted["label"]
        document["predicted_tags"] = predicted["tags"]
        document["input_ids"] = ids[row, : int(mask[row].sum())].tolist()
        made.write(json.dumps(document, ensure_ascii=False) + "\n")

# The tags of padding are zeros; only those of tokens are kept, one document after another.
kept = {"class_logits": truth["class_logits"], "tag_logits": truth["tag_logits"][mask.astype(bool)]}
kept |= {name: value for name, value in truth.items() if name.startswith("hidden_") and int(name.split("_")[1]) < HIDDEN}
save_file({name: np.ascontiguousarray(value) for name, value in kept.items()}, out / "golden.safetensors")

# One line a document: its class, and a letter a token, in the order of first appearance in the header.
classes = list(dict.fromkeys(p["label"] for p in seen))
tags = list(dict.fromkeys(t for p in seen for t in p["tags"]))
with open(out / "test_predictions.txt", "w", encoding="utf-8", newline="\n") as made:
    made.write(" ".join(classes) + "\n" + " ".join(tags) + "\n")
    for p in seen:
        made.write(f"{classes.index(p['label'])} " + "".join(chr(ord("a") + tags.index(t)) for t in p["tags"]) + "\n")
