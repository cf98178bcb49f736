"""The `lockstep` command: started, bounded in time, its JSON read."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timing import Deadline, OutOfTime


class CommandFailed(Exception):
    """The command ended with an error where there should have been an answer."""


@dataclass(frozen=True)
class Ran:
    """How a run ended."""

    code: int
    stdout: str
    stderr: str

    def json_lines(self) -> list[Any]:
        """Standard output as JSON Lines."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.strip()]

    def last_words(self) -> str:
        """The last line of standard error, which says what failed; or the exit code."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        return lines[-1][:400] if lines else f"exit code {self.code}"


@dataclass(frozen=True)
class Lockstep:
    """A binary, the model's folder, and the device to run on."""

    binary: Path
    model: Path
    device: str
    environment: dict[str, str] = field(default_factory=dict)

    def without_graph(self) -> Lockstep:
        """The same with every run node by node, without a captured CUDA graph."""
        return Lockstep(self.binary, self.model, self.device, {**self.environment, "LOCKSTEP_CUDA_GRAPH": "0"})

    def run(self, arguments: list[str], deadline: Deadline, prefix: list[str] | None = None) -> Ran:
        """Runs the binary, under `prefix` (a sanitizer) if one is given.

        Raises:
            OutOfTime: it outlived the deadline, and was ended.
            CommandFailed: it could not be started.
        """
        words = [*(prefix or []), str(self.binary), *arguments]
        try:
            ran = subprocess.run(
                words,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=deadline.left(),
                env={**os.environ, **self.environment},
            )
        except subprocess.TimeoutExpired as error:
            raise OutOfTime(f"the phase's limit of {deadline.seconds:g} s, in: {' '.join(arguments[:2])}") from error
        except OSError as error:
            raise CommandFailed(f"{self.binary}: {error.strerror}; name the binary with --lockstep") from error
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def json(self, arguments: list[str], deadline: Deadline) -> list[Any]:
        """The JSON that a run prints.

        Raises:
            CommandFailed: it did not end with 0.
        """
        ran = self.run([*arguments, "--json"], deadline)
        if ran.code != 0:
            raise CommandFailed(f"lockstep {arguments[0]}: {ran.last_words()}")
        return ran.json_lines()
