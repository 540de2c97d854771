"""How long a server that was killed takes to answer again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median

from bench.cost import cpu_seconds
from tests.mission.stage import Process


@dataclass
class Restarts:
    """By the clock, which other programs disturb, and by the process's own CPU time."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def begin(self, process: Process, path: str) -> None:
        """Start *process*; it has begun when *path* answers."""
        began = time.monotonic()
        process.start(path)
        self.seconds.append(time.monotonic() - began)
        assert process.child is not None
        self.cpu.append(cpu_seconds(process.child.pid))

    def __str__(self) -> str:
        return (
            f"{len(self.seconds)} restarts to the first answer: {median(self.seconds):.2f} s, at most"
            f" {max(self.seconds):.2f} s; CPU {median(self.cpu):.2f} s, at most {max(self.cpu):.2f} s"
        )
