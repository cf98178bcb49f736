"""What the phases found, written to disk after every row, so that a call that is cut short loses nothing.

A later call with the same folder stands beside the earlier ones and takes nothing of theirs away: what is compared must have
been measured in one call.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

SCHEMA = "lockstep-gpu-kit/1"
REHEARSAL = "rehearsal, not a measurement"

Row = dict[str, Any]


class Results:
    """The rows of every phase, in `results.json`."""

    def __init__(self, folder: Path, device: dict[str, Any], rehearsal: bool) -> None:
        """Opens the folder's results, or begins them.

        Raises:
            ValueError: the folder's results are of another device or version.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "results.json"
        self.data: dict[str, Any] = {"schema": SCHEMA, "device": device, "phases": {}}
        self.data["label"] = REHEARSAL if rehearsal else "measurement"
        if self.path.exists():
            try:
                old = json.loads(self.path.read_text())
                theirs = [old["schema"], old["device"]["id"], old["device"]["name"]]
                self.data["phases"] = old["phases"]
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{self.path} is not what this script writes; name another folder with --out") from error
            mine = [SCHEMA, device["id"], device["name"]]
            if mine != theirs:
                raise ValueError(f"{self.path} holds {theirs}, this run is {mine}; name another folder with --out")

    @property
    def is_rehearsal(self) -> bool:
        """Whether no GPU is measured."""
        return self.data["label"] == REHEARSAL

    def begin(self, phase: str, command: str) -> None:
        """Notes that a phase runs; until it ends, whoever reads the file knows that it was cut."""
        call = {"command": command, "started": time.strftime("%Y-%m-%d %H:%M:%S"), "rows": {}}
        call |= {"status": "cut", "reason": "the call ended before the phase did"}
        self.data["phases"].setdefault(phase, []).append(call)
        self._write()

    def add(self, phase: str, key: str, row: Row) -> None:
        """Keeps a row of the phase that runs."""
        self.data["phases"][phase][-1]["rows"][key] = row
        self._write()

    def end(self, phase: str, status: str, reason: str = "") -> None:
        """Notes how the phase ended: `done`, `cut` or `failed`."""
        self.data["phases"][phase][-1] |= {"status": status, "reason": reason}
        self._write()

    def calls(self, phase: str) -> list[dict[str, Any]]:
        """Every call of a phase: its command, how it ended, and its rows by key."""
        return self.data["phases"].get(phase, [])

    def failures(self) -> list[str]:
        """What is wrong: rows that fail, phases that did."""
        found = []
        for phase in self.data["phases"]:
            for call in self.calls(phase):
                if call["status"] == "failed":
                    found.append(f"{phase}: {call['reason']}")
                failing = (item for item in call["rows"].items() if item[1]["status"] == "fail")
                found += [f"{phase}, {key}: {row['detail']}" for key, row in failing]
        return found

    def _write(self) -> None:
        # Renamed into place, so that a call that is cut while writing leaves the last whole file.
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(self.data, ensure_ascii=False, indent=1))
        os.replace(draft, self.path)


def not_run(reason: str) -> Row:
    """A row of what did not run: never a pass."""
    return {"status": "not run", "detail": reason}
