"""What is here: the devices that Lockstep finds, and the versions that a record must name."""

from __future__ import annotations

import platform
import shutil
import subprocess

from command import CommandFailed, Lockstep
from results import Results, Row, not_run
from timing import Deadline

SMI_FIELDS = ("name", "driver_version", "memory.total", "clocks.max.sm", "power.limit")


def device_of(lockstep: Lockstep, deadline: Deadline) -> dict:
    """What `lockstep devices` says of the device that was asked for; `cuda` is `cuda:0`.

    Raises:
        CommandFailed: there is no such device, with the backend's reason.
    """
    wanted = lockstep.device if ":" in lockstep.device else f"{lockstep.device}:0"
    (backends,) = lockstep.json(["devices"], deadline)
    for backend in backends:
        for device in backend["devices"]:
            if device["id"] == wanted:
                return device
        if backend["backend"] == wanted.split(":")[0] and backend.get("unavailable"):
            raise CommandFailed(backend["unavailable"]["error"])
    known = [device["id"] for backend in backends for device in backend["devices"]]
    raise CommandFailed(f"there is no {wanted}; lockstep devices lists {', '.join(known)}")


def _smi() -> Row:
    if shutil.which("nvidia-smi") is None:
        return not_run("nvidia-smi not found")
    ran = subprocess.run(
        ["nvidia-smi", f"--query-gpu={','.join(SMI_FIELDS)}", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if ran.returncode != 0:
        return not_run(f"nvidia-smi: {(ran.stderr or ran.stdout).strip()[:200]}")
    return {"status": "found", "detail": "; ".join(ran.stdout.strip().splitlines())}


def _torch() -> Row:
    try:
        import torch
    except ImportError as error:
        return not_run(f"torch missing: {error}")
    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    sees = f"sees {torch.cuda.device_count()} GPU(s)"
    return {"status": "found", "detail": f"torch {torch.__version__}, {cuda}, {sees}"}


def run(lockstep: Lockstep, device: dict, results: Results, deadline: Deadline) -> None:
    """Records versions and the device."""
    version = lockstep.run(["--version"], deadline)
    numerics = device["numerics"]
    promises = ["deterministic", "batch_invariant"]
    kept = [name if numerics[name] else f"not {name}" for name in promises]
    rows: dict[str, Row] = {
        "lockstep": {"status": "found", "detail": version.stdout.strip()},
        "device": {"status": "found", "detail": f"{device['id']}: {device['name']}; {device['driver'] or 'no driver'}"},
        "numerics": {"status": "found", "detail": f"version {numerics['version']}, {', '.join(kept)}"},
        "nvidia-smi": _smi(),
        "torch": _torch(),
        "python": {"status": "found", "detail": f"{platform.python_version()} on {platform.platform()}"},
    }
    for key, row in rows.items():
        results.add("discovery", key, row)
