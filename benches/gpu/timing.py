"""Order statistics, timed loops, and deadlines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

WARM_UPS = 5
"""Runs before the first that counts: compilers and graph captures are done by then."""
FEWEST = 5
"""Runs that count, however slow they are."""


class OutOfTime(Exception):
    """A phase's time is up; what it has measured is kept."""


@dataclass
class Deadline:
    """A point in time that a phase must not outlive."""

    seconds: float

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.seconds

    def left(self) -> float:
        """The seconds that are left.

        Raises:
            OutOfTime: none are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise OutOfTime(f"the phase's limit of {self.seconds:g} s")
        return left


def quantile(samples: list[float], share: float) -> float:
    """The sample nearest to that place in order; as `lockstep bench` takes it.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        raise ValueError("a quantile of no samples")
    return sorted(samples)[int((len(samples) - 1) * share + 0.5)]


def summary(samples: list[float]) -> dict[str, float]:
    """Median, p95 and p99, in the samples' unit."""
    return {name: quantile(samples, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


@dataclass(frozen=True)
class Timed:
    """Times of repeated runs in milliseconds: end to end, and on the device where that was measured."""

    end_to_end: list[float]
    on_device: list[float]


def repeated(once: Callable[[], float | None], seconds: float, deadline: Deadline) -> Timed:
    """Runs `once` for `seconds` after warming up; it gives its time on the device in milliseconds, or None.

    Raises:
        OutOfTime: the deadline passed before a run counted.
    """
    for _ in range(WARM_UPS):
        once()
        deadline.left()
    timed = Timed([], [])
    end = time.perf_counter() + seconds
    while len(timed.end_to_end) < FEWEST or time.perf_counter() < end:
        start = time.perf_counter()
        on_device = once()
        timed.end_to_end.append((time.perf_counter() - start) * 1e3)
        if on_device is not None:
            timed.on_device.append(on_device)
        deadline.left()
    return timed
