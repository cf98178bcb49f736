#!/usr/bin/env python3
"""Measures Lockstep on a GPU: discovery, correctness, speed beside PyTorch, memory; writes a table and a JSON.

Phases are independent: each has its time limit, writes every row as it comes, and what fails in one leaves the others alone.
Calls with the same --out add up, so that a machine that allows ten minutes a call is no obstacle. On `cpu` or
`cuda-emulated:0` the same code runs as a rehearsal, and says so wherever its results show.

Exit codes: 0 what ran is right, 1 something is wrong (a row that fails), 2 usage, 3 no such device or no binary.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import discovery
import footprint
import peers
import report
import speed
from command import CommandFailed, Lockstep
from correctness import Correctness
from results import Results
from timing import Deadline, OutOfTime

HERE = Path(__file__).resolve().parent
PHASES = ("discovery", "bits", "correctness", "speed", "mix", "footprint")


def several(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    """A parser of comma-separated names out of these."""

    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        wrong = [name for name in names if name not in known]
        if wrong or not names:
            raise argparse.ArgumentTypeError(f"`{text}`: choose from {', '.join(known)}")
        return names

    return parse


def shapes(text: str) -> list[tuple[int, int]]:
    """Comma-separated BATCHxTOKENS."""
    parsed = []
    for shape in text.split(","):
        batch, _, seq = shape.partition("x")
        if not (batch.isdecimal() and seq.isdecimal() and int(batch) > 0 and int(seq) > 0):
            raise argparse.ArgumentTypeError(f"`{shape}` is no shape; write BATCHxTOKENS, such as 1x128,32x128")
        parsed.append((int(batch), int(seq)))
    return parsed


def seconds(text: str) -> float:
    """A positive number of seconds, at most an hour."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"`{text}`: seconds, above 0 and at most 3600")
    return value


def first_there(candidates: list[Path]) -> Path:
    """The first of these paths that exists, or the first of all for the error to name."""
    return next((path for path in candidates if path.exists()), candidates[0])


def arguments() -> argparse.Namespace:
    """The command line."""
    root = HERE.parent.parent
    binary = first_there([HERE / "lockstep", root / "target" / "release" / "lockstep"])
    model = first_there([HERE / "model", root / "models" / "bert-small" / "document-classifier"])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="Lockstep's device [cuda:0]; cpu and cuda-emulated:0 rehearse")
    parser.add_argument("--only", type=several(PHASES), default=list(PHASES), help=f"phases: {','.join(PHASES)}")
    parser.add_argument("--dtypes", type=several(peers.DTYPES), default=list(peers.DTYPES), help="f16,bf16,f32")
    parser.add_argument("--peers", type=several(peers.NAMES), default=list(peers.NAMES), help=",".join(peers.NAMES))
    parser.add_argument("--shapes", type=shapes, help="BATCHxTOKENS,.. [1,8,32,128,256 x 32,128,512]")
    parser.add_argument("--seconds", type=seconds, default=0.5, help="for each contender and shape in each round [0.5]")
    parser.add_argument("--limit", type=seconds, default=540.0, help="seconds for each phase [540]")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"), help="results.json and results.md [gpu-results]")
    parser.add_argument("--append", type=Path, metavar="FILE", help="add the record to this file, too: benches/RESULTS.md")
    parser.add_argument("--lockstep", type=Path, default=binary, help="the binary [beside this file, or target/release]")
    parser.add_argument("--model", type=Path, default=model, help="the model's folder [beside this file, or the trained one]")
    return parser.parse_args()


def run_phase(name: str, phase: Callable[[Deadline], None], results: Results, limit: float) -> None:
    """Runs a phase and notes how it ended, whatever happens in it."""
    print(f"== {name}", file=sys.stderr, flush=True)
    results.begin(name, shlex.join(["run.py", *sys.argv[1:]]))
    try:
        phase(Deadline(limit))
        results.end(name, "done")
    except OutOfTime as error:
        results.end(name, "cut", f"time ran out ({error})")
    except KeyboardInterrupt:
        raise
    except Exception as error:  # noqa: BLE001: what fails in one phase leaves the others alone
        traceback.print_exc()
        results.end(name, "failed", f"{type(error).__name__}: {error}")


def main() -> int:
    """Runs the phases that were asked for, and gives the exit code."""
    # GPUs are numbered as nvidia-smi numbers them, for every process that follows.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    given = arguments()
    lockstep = Lockstep(given.lockstep, given.model, given.device)
    try:
        device = discovery.device_of(lockstep, Deadline(60))
        rehearsal = bool(device["simulated"] or device["on_processor"])
        if given.append and rehearsal:
            print("error: --append: a rehearsal is no record; measure a GPU", file=sys.stderr)
            return 2
        config = given.model / "config.json"
        if not config.is_file():
            raise ValueError(f"{config} is not there; name the model's folder with --model")
        longest = json.loads(config.read_text())["max_position_embeddings"]
        too_long = [f"{batch}x{seq}" for batch, seq in given.shapes or [] if seq > longest]
        if too_long:
            raise ValueError(f"--shapes {','.join(too_long)}: the model takes at most {longest} tokens")
        results = Results(given.out, device, rehearsal)
    except (CommandFailed, OutOfTime) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    shapes_here = given.shapes or (speed.REHEARSED if rehearsal else speed.SHAPES)
    choice = speed.Choice(given.dtypes, given.peers, shapes_here, given.seconds)
    phases: dict[str, Callable[[Deadline], None]] = {
        "discovery": lambda deadline: discovery.run(lockstep, device, results, deadline),
        "bits": lambda deadline: Correctness("bits", lockstep, results, deadline, given.dtypes).run_bits(),
        "correctness": lambda deadline: Correctness("correctness", lockstep, results, deadline, given.dtypes).run_values(),
        "speed": lambda deadline: speed.Speed(lockstep, choice, results, deadline).run_shapes(),
        "mix": lambda deadline: speed.Speed(lockstep, choice, results, deadline).run_mix(),
        "footprint": lambda deadline: footprint.run(lockstep, results, deadline),
    }
    for name in given.only:
        run_phase(name, phases[name], results, given.limit)
    page = report.page(results, datetime.date.today().isoformat())
    (given.out / "results.md").write_text(page)
    if given.append:
        with given.append.open("a") as record:
            record.write("\n" + page.rstrip() + "\n")
    print(page)
    for failure in results.failures():
        print(f"error: {failure}", file=sys.stderr)
    return 1 if results.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
