"""Whether the device computes what it should: every op against float64, whole models against PyTorch, bits against bits.

The first two are Lockstep's own suite, which has its bounds. Logits are held to a measured peer: PyTorch's distance from its
own float64 in the same dtype on the same inputs. Bits that should be equal are compared as bits.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import inputs
import peers
import tensors
from command import CommandFailed, Lockstep
from inputs import TokenBatch
from results import Results, Row, not_run
from timing import Deadline

POOL = 256
SHUFFLES = 8
SIZES_PER_CALL = 32
REPEATS = 100
SANITIZERS = ("memcheck", "racecheck")
SANITIZER_ERROR = 86
"""What the sanitizer is told to exit with; no code of Lockstep's."""


class Correctness:
    """Both phases, with what their parts share; a part that cannot run is a row with its reason."""

    def __init__(
        self, phase: str, lockstep: Lockstep, results: Results, deadline: Deadline, dtypes: Iterable[str]
    ) -> None:
        self.phase, self.lockstep, self.results, self.deadline = phase, lockstep, results, deadline
        self.dtypes = list(dtypes)
        config = json.loads((lockstep.model / "config.json").read_text())
        self.vocabulary: int = config["vocab_size"]
        self.scratch = Path()

    def run_bits(self) -> None:
        """The phase `bits`: repeated runs, every size of batch, shuffles. It needs no torch."""
        with tempfile.TemporaryDirectory(prefix="lockstep-kit-") as scratch:
            self.scratch = Path(scratch)
            for dtype in self.dtypes:
                self._part(f"repeats {dtype}", lambda: self._repeats(dtype))
            for dtype in self.dtypes:
                self._batches(dtype)

    def run_values(self) -> None:
        """The phase `correctness`, the shortest parts first."""
        with tempfile.TemporaryDirectory(prefix="lockstep-kit-") as scratch:
            self.scratch = Path(scratch)
            for dtype in self.dtypes:
                self._part(f"logits {dtype}", lambda: self._logits(dtype))
            for dtype in self.dtypes:
                self._part(f"compare {dtype}", lambda: self._compare(dtype))
            self._part("conform", self._conform)
            for tool in SANITIZERS:
                self._part(f"compute-sanitizer {tool}", lambda: self._sanitizer(tool))

    def _part(self, key: str, part: Callable[[], Row]) -> None:
        try:
            row = part()
        except CommandFailed as error:
            row = {"status": "fail", "detail": str(error)}
        except peers.NotHere as error:
            row = not_run(str(error))
        self.results.add(self.phase, key, row)

    def _on(self, dtype: str) -> list[str]:
        return ["run", str(self.lockstep.model), "--device", self.lockstep.device, "--dtype", dtype]

    def _conform(self) -> Row:
        ran = self.lockstep.run(["conform", "--device", self.lockstep.device, "--json"], self.deadline)
        if ran.code not in (0, 1):
            return {"status": "fail", "detail": f"exit code {ran.code}: {ran.last_words()}"}
        (report,) = ran.json_lines()
        cases = [case for device in report["devices"] for case in device["cases"]]
        verdicts: dict[str, int] = {}
        for case in cases:
            verdicts[case["verdict"]] = verdicts.get(case["verdict"], 0) + 1
        said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        return {"status": "fail" if ran.code else "pass", "detail": f"{len(cases)} cases of every op: {said}"}

    def _compare(self, dtype: str) -> Row:
        devices = f"reference,{self.lockstep.device}"
        arguments = ["compare", str(self.lockstep.model), "--devices", devices, "--dtype", dtype, "--json"]
        ran = self.lockstep.run(arguments, self.deadline)
        if ran.code not in (0, 1):
            return {"status": "fail", "detail": f"exit code {ran.code}: {ran.last_words()}"}
        (report,) = ran.json_lines()
        return {"status": "fail" if ran.code else "pass", "detail": "; ".join(report["headline"])}

    def _repeats(self, dtype: str) -> Row:
        repeats = 3 if self.results.is_rehearsal else REPEATS
        folder = self._saved(f"repeats-{dtype}", inputs.batch([24, 17, 8, 31], self.vocabulary))
        ran = self.lockstep.run(
            [*self._on(dtype), "--inputs", str(folder), "--repeat", str(repeats), "--json"], self.deadline
        )
        if ran.code != 0:
            return {"status": "fail", "detail": ran.last_words()}
        (record,) = ran.json_lines()
        return {"status": "pass", "detail": f"{record['runs']} runs, the same bits"}

    def _logits(self, dtype: str) -> Row:
        device = peers.torch_device(self.results.is_rehearsal, self.lockstep.device)
        count, longest = (4, 16) if self.results.is_rehearsal else (64, 128)
        lengths = [8 + 7 * at % (longest - 7) for at in range(count)]
        batch = inputs.batch(lengths, self.vocabulary)
        folder = self._saved(f"logits-{dtype}", batch)
        self.lockstep.json([*self._on(dtype), "--inputs", str(folder), "--save", str(self.scratch)], self.deadline)
        tensor = tensors.read(self.scratch / f"{folder.name}.safetensors")["logits"]
        flat = struct.unpack(f"<{len(tensor.data) // 4}f", tensor.data)
        ours = [list(flat[at : at + tensor.shape[1]]) for at in range(0, len(flat), tensor.shape[1])]
        truth = peers.logits(self.lockstep.model, "f64", "cpu", batch)
        theirs = peers.logits(self.lockstep.model, dtype, device, batch)
        return judged_logits(ours, theirs, truth)

    def _saved(self, name: str, batch: TokenBatch) -> Path:
        return batch.save(self.scratch / "inputs" / name)

    def _batches(self, dtype: str) -> None:
        """Every batch of 1 to 256 of one pool of texts, then shuffles of it: a text's logits must not change a bit."""
        if not self.results.data["device"]["numerics"]["batch_invariant"]:
            self.results.add(self.phase, f"batches {dtype}", not_run("the device does not promise batch invariance"))
            return
        sizes = [1, 2, 3, 8] if self.results.is_rehearsal else list(range(1, POOL + 1))
        pool = max(sizes)
        lengths = [8 + 11 * at % 57 for at in range(pool)]
        texts = inputs.batch(lengths, self.vocabulary).sequences
        orders = [random.Random(seed).sample(range(pool), pool) for seed in range(SHUFFLES)]
        whole = list(range(pool))
        # Each call anew, and the whole pool first in each: bits are held across processes, too.
        for at in range(0, len(sizes), SIZES_PER_CALL):
            some = sizes[at : at + SIZES_PER_CALL]
            key = f"batches of {some[0]} to {some[-1]} {dtype}"
            self._part(key, lambda: self._same_rows(f"{dtype}-{at}", texts, dtype, [whole, *(whole[:n] for n in some)]))
        key = f"{SHUFFLES} shuffles of {pool} {dtype}"
        self._part(key, lambda: self._same_rows(f"{dtype}-shuffles", texts, dtype, [whole, *orders]))

    def _same_rows(self, name: str, texts: list[list[int]], dtype: str, selections: list[list[int]]) -> Row:
        folders = [
            self._saved(f"{name}-{number}", TokenBatch([texts[index] for index in chosen]))
            for number, chosen in enumerate(selections)
        ]
        given = [word for folder in folders for word in ("--inputs", str(folder))]
        saved = self.scratch / "outputs" / name
        self.lockstep.json([*self._on(dtype), *given, "--save", str(saved)], self.deadline)
        rows = [tensors.read(saved / f"{folder.name}.safetensors")["logits"] for folder in folders]
        return same_bits(selections, rows)

    def _sanitizer(self, tool: str) -> Row:
        if self.results.is_rehearsal:
            return not_run("no GPU")
        found = shutil.which("compute-sanitizer") or next(
            (str(path) for path in sorted(Path("/usr/local").glob("cuda*/bin/compute-sanitizer"))), None
        )
        if found is None:
            return not_run("compute-sanitizer not found (searched PATH and /usr/local/cuda*/bin)")
        folder = self._saved(f"sanitizer-{tool}", inputs.batch([17, 8], self.vocabulary))
        prefix = [found, "--tool", tool, "--error-exitcode", str(SANITIZER_ERROR)]
        ran = self.lockstep.run([*self._on("f16"), "--inputs", str(folder)], self.deadline, prefix)
        lines = (ran.stdout + ran.stderr).splitlines()
        said = next((line.strip("= ") for line in reversed(lines) if "SUMMARY" in line), ran.last_words())
        return {"status": "pass" if ran.code == 0 else "fail", "detail": said}


def judged_logits(ours: list[list[float]], theirs: list[list[float]], truth: list[list[float]]) -> Row:
    """Lockstep's largest error beside PyTorch's, and whether each label that the truth makes clear is the one given.

    A label is clear where its margin is more than twice PyTorch's own error: two logits may each be off by that.
    """

    def error(rows: list[list[float]]) -> float:
        differences = [abs(a - b) for row, right in zip(rows, truth, strict=True) for a, b in zip(row, right, strict=True)]
        # A NaN is no small error, whatever max() makes of it.
        return max(difference if difference == difference else float("inf") for difference in differences)

    mine, peer = error(ours), error(theirs)
    flipped, near_ties = 0, 0
    for row, right in zip(ours, truth, strict=True):
        best, second = sorted(right, reverse=True)[:2]
        if best - second <= 2 * peer:
            near_ties += 1
        elif row.index(max(row)) != right.index(best):
            flipped += 1
    status = "fail" if flipped or mine == float("inf") else ("pass" if mine <= peer else "farther")
    detail = (
        f"largest error {mine:.2e}, PyTorch's {peer:.2e}, over {len(truth)} texts; "
        f"{flipped} labels changed, {near_ties} near ties"
    )
    return {"status": status, "detail": detail, "lockstep_error": mine, "torch_error": peer}


def same_bits(selections: list[list[int]], outputs: list[tensors.Tensor]) -> Row:
    """Whether each text has the bits in every selection that it has in the first, which holds all of them."""
    whole = {text: outputs[0].row(at) for at, text in enumerate(selections[0])}
    changed = [
        (number, text)
        for number, (chosen, tensor) in enumerate(zip(selections, outputs, strict=True))
        for at, text in enumerate(chosen)
        if tensor.row(at) != whole[text]
    ]
    compared = sum(map(len, selections[1:]))
    if changed:
        number, text = changed[0]
        where = f"text {text} in the batch of {len(selections[number])}"
        return {"status": "fail", "detail": f"{len(changed)} of {compared} rows changed, the first {where}"}
    return {"status": "pass", "detail": f"{compared} rows in {len(selections) - 1} batches, the same bits"}
