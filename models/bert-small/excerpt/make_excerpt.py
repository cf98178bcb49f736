"""Take the first 64 test documents, with what PyTorch made of them, into one small file.

    python make_excerpt.py DATA_DIR GOLDEN_DIR OUT_DIR
DATA_DIR/test.jsonl is made by train/credit_corpus.py; GOLDEN_DIR by train/make_golden.py.
"""
import json, sys
from pathlib import Path
from safetensors.numpy import load_file

data, golden, out = map(Path, sys.argv[1:4])
truth = load_file(golden / "golden.safetensors")
ids, mask = truth["input_ids"], truth["attention_mask"]
with open(data / "test.jsonl", encoding="utf-8") as tests, open(golden / "predictions.jsonl", encoding="utf-8") as seen, \
        open(out / "documents.jsonl", "w", encoding="utf-8", newline="\n") as made:
    for row, (document, predicted) in enumerate(zip(map(json.loads, tests), map(json.loads, seen))):
        if row == len(ids):
            break
        document["predicted_label"] = predicted["label"]
        document["predicted_tags"] = predicted["tags"]
        document["input_ids"] = ids[row, : int(mask[row].sum())].tolist()
        made.write(json.dumps(document, ensure_ascii=False) + "\n")
