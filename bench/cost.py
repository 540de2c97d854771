"""What work costs: CPU time, which other programs on the machine disturb least, of this process or another."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import clock_gettime, process_time
from typing import Final

__all__ = ["alternate", "cpu_seconds", "family_seconds", "pin", "resident_megabytes", "spread"]

_SCHEDULER_CLOCK: Final = 2


def alternate(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int, seconds: float
) -> dict[str, float]:
    """CPU microseconds a call of each contender: the median over rounds in which all take their turn.

    Args:
        contenders: name -> what to call.
        rounds: how often each has its turn.
        seconds: CPU time of one turn.
    """
    calls = {name: _calls_for(contender, seconds) for name, contender in contenders.items()}
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            times = range(calls[name])
            started = process_time()
            for _ in times:
                contender()
            found[name].append((process_time() - started) / calls[name] * 1e6)
    return {name: median(costs) for name, costs in found.items()}


def cpu_seconds(pid: int) -> float:
    """CPU time that process *pid*, all threads together, has used so far."""
    # clock_getcpuclockid(3), which Python does not offer: nanoseconds, where /proc counts in hundredths.
    return clock_gettime(~pid << 3 | _SCHEDULER_CLOCK)


def family_seconds(pid: int) -> float:
    """The same of *pid* and all that descend from it, as far as they live."""
    seconds = cpu_seconds(pid)
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # who is gone takes his time along
            seconds += sum(map(family_seconds, map(int, children.read_text().split())))
    return seconds


def resident_megabytes(pid: int) -> float:
    """Memory of process *pid* that is in RAM, in MB of 10^6 bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)


def pin(pid: int, core: int) -> None:
    """Keep process *pid* on one core, where there are several."""
    cores = sorted(os.sched_getaffinity(0) if pid else os.sched_getaffinity(pid))
    os.sched_setaffinity(pid, {cores[core % len(cores)]})


def spread(pid: int, cores: set[int]) -> None:
    """Let process *pid* and its children run on *cores*, all their threads."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)
        for child in (thread / "children").read_text().split():
            spread(int(child), cores)


def _calls_for(contender: Callable[[], object], seconds: float) -> int:
    """How many calls fill a turn; warms up on the way."""
    calls = 1
    while True:
        started = process_time()
        for _ in range(calls):
            contender()
        spent = process_time() - started
        if spent >= seconds / 10:
            return max(1, round(calls * seconds / spent))
        calls *= 2
