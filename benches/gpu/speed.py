"""How fast: full batches in every shape, and one mix of lengths; Lockstep and PyTorch's ways, in turns in one call.

A round measures each contender over its shapes, and there are two of each; that they agree shows that the machine did nothing
else meanwhile. Times are from token ids on the host to logits on the host; those on the device, by events, stand apart: around the
model alone for PyTorch, around the captured run and so with its copies for Lockstep.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import inputs
import peers
from command import CommandFailed, Lockstep
from inputs import TokenBatch
from peers import Peer
from results import Results, Row, not_run
from timing import Deadline, repeated, summary

ROUNDS = 2
BATCHES = (1, 8, 32, 128, 256)
SEQUENCES = (32, 128, 512)
SHAPES = [(batch, seq) for seq in SEQUENCES for batch in BATCHES]
REHEARSED = [(1, 8), (2, 16)]
LOCKSTEP = "lockstep"
WITHOUT_GRAPH = "lockstep, node by node"


@dataclass(frozen=True)
class Choice:
    """What is measured, and for how long each."""

    dtypes: list[str]
    peers: list[str]
    shapes: list[tuple[int, int]]
    seconds: float


class Speed:
    """Both phases, with what they share."""

    def __init__(self, lockstep: Lockstep, choice: Choice, results: Results, deadline: Deadline) -> None:
        self.lockstep, self.choice, self.results, self.deadline = lockstep, choice, results, deadline
        self.vocabulary: int = json.loads((lockstep.model / "config.json").read_text())["vocab_size"]

    def run_shapes(self) -> None:
        """The phase `speed`."""
        is_cuda = self.lockstep.device.startswith("cuda") and not self.results.is_rehearsal
        for dtype, number, names in self._turns():
            self._lockstep_shapes(LOCKSTEP, self.lockstep, dtype, number)
            for name in names:
                self._peer_shapes(name, dtype, number)
            if is_cuda and number <= ROUNDS:
                self._lockstep_shapes(WITHOUT_GRAPH, self.lockstep.without_graph(), dtype, number)

    def run_mix(self) -> None:
        """The phase `mix`."""
        count, longest = (8, 32) if self.results.is_rehearsal else (inputs.TEXTS, inputs.LONGEST)
        lengths = inputs.skewed_lengths(count, longest)
        for dtype, number, names in self._turns():
            self._lockstep_mix(lengths, dtype, number)
            for name in names:
                self._peer_mix(name, "as they come", lengths, dtype, number)
                self._peer_mix(name, "sorted by length", sorted(lengths), dtype, number)

    def _turns(self) -> list[tuple[str, int, list[str]]]:
        """Dtype, round and peers: first those that are ready at once; compilers take minutes, and have rounds of their own."""
        compiled = [name for name in self.choice.peers if name.startswith("compile-")]
        quick = [name for name in self.choice.peers if name not in compiled]
        stages = [names for names in (quick, compiled) if names] or [[]]
        return [
            (dtype, stage * ROUNDS + number, names)
            for stage, names in enumerate(stages)
            for dtype in self.choice.dtypes
            for number in range(1, ROUNDS + 1)
        ]

    def _bench(self, lockstep: Lockstep, dtype: str, more: list[str]) -> dict:
        words = ["bench", str(lockstep.model), "--device", lockstep.device, "--dtype", dtype]
        (report,) = lockstep.json([*words, "--seconds", str(self.choice.seconds), *more], self.deadline)
        return report

    def _lockstep_shapes(self, name: str, lockstep: Lockstep, dtype: str, number: int) -> None:
        # A process for each length, so that a call that is cut loses no more than one length's shapes.
        for seq in sorted({seq for _, seq in self.choice.shapes}):
            batches = [batch for batch, of in self.choice.shapes if of == seq]
            shapes = [f"{batch}x{seq}" for batch in batches]
            # Once is enough, and it takes seconds.
            roofline = "auto" if name == LOCKSTEP and number == 1 else "never"
            try:
                report = self._bench(lockstep, dtype, ["--roofline", roofline, "--shape", *shapes])
            except CommandFailed as error:
                for batch in batches:
                    self._keep("speed", name, dtype, f"{batch}x{seq}", number, not_run(str(error)))
                continue
            rates = report["devices"][0].get("rates")
            for result in report["results"]:
                row = lockstep_row(result, result["batch"])
                if rates:
                    row["rates"] = rates
                self._keep("speed", name, dtype, f"{result['batch']}x{result['seq']}", number, row)

    def _lockstep_mix(self, lengths: list[int], dtype: str, number: int) -> None:
        with tempfile.TemporaryDirectory(prefix="lockstep-kit-") as scratch:
            path = Path(scratch) / "lengths.txt"
            path.write_text("".join(f"{length}\n" for length in lengths))
            try:
                report = self._bench(self.lockstep, dtype, ["--roofline", "never", "--mixed", "--lengths", str(path)])
            except CommandFailed as error:
                self._keep("mix", LOCKSTEP, dtype, "packed, as they come", number, not_run(str(error)))
                return
        row = lockstep_row(report["packed"], len(lengths)) | {"mean_tokens": report["mean_tokens"]}
        self._keep("mix", LOCKSTEP, dtype, "packed, as they come", number, row)

    def _peer_shapes(self, name: str, dtype: str, number: int) -> None:
        def each(peer: Peer) -> None:
            for batch, seq in self.choice.shapes:
                tokens = inputs.batch([seq] * batch, self.vocabulary)
                self._timed(peer, [tokens], "speed", dtype, f"{batch}x{seq}", number)

        shapes = [f"{batch}x{seq}" for batch, seq in self.choice.shapes]
        self._with_peer(name, dtype, each, "speed", shapes, number)

    def _peer_mix(self, name: str, order: str, lengths: list[int], dtype: str, number: int) -> None:
        batches = [inputs.batch(some, self.vocabulary) for some in inputs.chunks(lengths)]
        way = f"padded, {order}"

        def each(peer: Peer) -> None:
            self._timed(peer, batches, "mix", dtype, way, number)

        self._with_peer(name, dtype, each, "mix", [way], number)

    def _with_peer(
        self, name: str, dtype: str, each: Callable[[Peer], None], phase: str, places: list[str], number: int
    ) -> None:
        """Runs `each` on a peer; one that is not here is a row with the reason in each of its places."""
        try:
            device = peers.torch_device(self.results.is_rehearsal, self.lockstep.device)
            peer = Peer(name, self.lockstep.model, dtype, device)
        except peers.NotHere as error:
            for place in places:
                self._keep(phase, name, dtype, place, number, not_run(str(error)))
            return
        each(peer)

    def _timed(self, peer: Peer, batches: list[TokenBatch], phase: str, dtype: str, place: str, number: int) -> None:
        """Times passes over the batches, all of them made ready before."""
        self.deadline.left()
        try:
            ready = [peer.ready(batch) for batch in batches]

            def once() -> float | None:
                times = [run() for run in ready]
                return None if None in times else sum(time for time in times if time is not None)

            timed = repeated(once, self.choice.seconds, self.deadline)
        except (RuntimeError, ValueError, AssertionError) as error:
            # A peer that has no memory or no compiler for a shape costs that shape alone.
            first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
            self._keep(phase, peer.name, dtype, place, number, not_run(first_line[:300]))
            return
        sequences = sum(len(batch.sequences) for batch in batches)
        end_to_end = summary(timed.end_to_end)
        row: Row = {
            "status": "measured",
            "runs": len(timed.end_to_end),
            "end_to_end_ms": end_to_end,
            "sequences_per_second": sequences / end_to_end["p50"] * 1e3,
        }
        if timed.on_device:
            row["on_device_ms"] = summary(timed.on_device)
        self._keep(phase, peer.name, dtype, place, number, row)

    def _keep(self, phase: str, name: str, dtype: str, place: str, number: int, row: Row) -> None:
        named = {"contender": name, "dtype": dtype, "place": place, "round": number}
        self.results.add(phase, f"{dtype} | {place} | {name} | round {number}", named | row)


def lockstep_row(result: dict, sequences: int) -> Row:
    """A result of `lockstep bench --json` as a row like the peers'."""

    def times(from_: dict) -> dict[str, float]:
        return {"p50": from_["median_ms"], "p95": from_["p95_ms"], "p99": from_["p99_ms"]}

    row: Row = {
        "status": "measured",
        "runs": result["runs"],
        "end_to_end_ms": times(result),
        "sequences_per_second": sequences / result["median_ms"] * 1e3,
    }
    if "on_device" in result:
        row["on_device_ms"] = times(result["on_device"])
    for key in ("share_of_roofline", "roofline_ms"):
        if key in result:
            row[key] = result[key]
    return row
