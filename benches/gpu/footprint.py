"""From process start to the first answer, and device memory: each way in a process of its own.

Run as a program, this file is PyTorch's side: it loads the model and runs one batch. Device
memory is what nvidia-smi shows above what it showed before, the context with its kernels included, for both alike; the
machine must be otherwise idle.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from command import Lockstep
from results import Results, Row, not_run
from timing import Deadline, OutOfTime

STARTS = 3
TEXT = "兹证明王伟系我单位员工，月均收入12,000.00元"
SAMPLE_SECONDS = 0.02


class DeviceMemory:
    """The most memory of a GPU in use while a block runs, above what was in use before; None without nvidia-smi."""

    def __init__(self, device: str) -> None:
        self.index = device.partition(":")[2] or "0"
        self.mib: int | None = None
        self._done = threading.Event()

    def _used(self) -> int | None:
        words = ["nvidia-smi", f"--id={self.index}", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        try:
            ran = subprocess.run(words, capture_output=True, text=True, timeout=30)
            return int(ran.stdout.split()[0])
        except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
            return None

    def __enter__(self) -> DeviceMemory:
        before = self._used() if shutil.which("nvidia-smi") else None

        def watch() -> None:
            while before is not None and not self._done.wait(SAMPLE_SECONDS):
                used = self._used()
                if used is not None:
                    self.mib = max(self.mib or 0, used - before)

        self._watcher = threading.Thread(target=watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watcher.join()


def _row(words: list[str], device: str, starts: int, deadline: Deadline) -> Row:
    seconds = []
    with DeviceMemory(device) as memory:
        for _ in range(starts):
            start = time.perf_counter()
            try:
                ran = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=deadline.left())
            except subprocess.TimeoutExpired as error:
                raise OutOfTime(f"the phase's limit of {deadline.seconds:g} s, in: {words[0]}") from error
            if ran.returncode != 0:
                words_said = ran.stderr.decode(errors="replace").strip().splitlines()
                return not_run(words_said[-1][:300] if words_said else f"exit code {ran.returncode}")
            seconds.append(time.perf_counter() - start)
    used = "device memory not run (nvidia-smi not found)" if memory.mib is None else f"{memory.mib} MiB of device memory"
    said = f"{min(seconds):.2f} to {max(seconds):.2f} s in {starts} process(es); {used}"
    row: Row = {"status": "measured", "seconds": seconds, "detail": said}
    return row if memory.mib is None else row | {"device_mib": memory.mib}


def run(lockstep: Lockstep, results: Results, deadline: Deadline) -> None:
    """Measures both sides."""
    where = ["--device", lockstep.device, "--dtype", "f16"]
    binary, model = str(lockstep.binary), str(lockstep.model)
    cold = [binary, "run", model, *where, "--text", TEXT]
    shape = "1x8" if results.is_rehearsal else "32x128"
    warm = [binary, "bench", model, *where, "--shape", shape, "--roofline", "never", "--seconds", "1"]
    torch_device = "cpu" if results.is_rehearsal else lockstep.device
    peer = [sys.executable, str(Path(__file__).resolve()), model, torch_device, shape]
    results.add("footprint", "lockstep, one text from process start", _row(cold, lockstep.device, STARTS, deadline))
    results.add("footprint", f"lockstep, batches of {shape}", _row(warm, lockstep.device, 1, deadline))
    results.add("footprint", f"PyTorch SDPA, {shape} from process start", _row(peer, lockstep.device, STARTS, deadline))


def peer_main(model: str, device: str, shape: str) -> None:
    """PyTorch's side of the comparison: one batch in f16."""
    import inputs
    import peers

    batch, seq = map(int, shape.split("x"))
    where = peers.torch_device(device == "cpu", device)
    vocabulary = json.loads((Path(model) / "config.json").read_text())["vocab_size"]
    peers.Peer("sdpa", Path(model), "f16", where).ready(inputs.batch([seq] * batch, vocabulary))()


if __name__ == "__main__":
    peer_main(*sys.argv[1:4])
