"""How long it takes until one can begin: the import, ``--help``, a server that answers; and how big that is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from typing import Final

from bench.cost import cpu_seconds, resident_megabytes
from bench.process import environment, started_server
from bench.table import Table

__all__ = ["measure"]

Cost = tuple[float, float]
"""Milliseconds of CPU and by the clock."""

_IMPORT: Final = """
import sys, time
before, started, cpu = len(sys.modules), time.perf_counter(), time.process_time()
import watchword
from watchword import Guard
print((time.process_time() - cpu) * 1000, (time.perf_counter() - started) * 1000, len(sys.modules) - before)
"""
_BARE: Final = "import watchword"
_SETTLING: Final = 5
"""Seconds: what the first requests began is done, and the file has been at rest."""
_IDLE: Final = 15
"""Seconds, so that each job of the server runs at least once."""


def measure(*, rounds: int) -> Table:
    """The table: over fresh processes."""
    nothing = [_cost("-c", "pass") for _ in range(rounds)]
    bare = [_cost("-c", _BARE) for _ in range(rounds)]
    imports = [_import() for _ in range(rounds)]
    assistance = [_cost("-m", "watchword", "--help") for _ in range(rounds)]
    ready: list[Cost] = []
    resident: list[float] = []
    idle: list[float] = []
    for _ in range(max(1, rounds // 3)):
        with started_server() as server:
            ready.append((cpu_seconds(server.pid) * 1000, server.seconds * 1000))
            resident.append(resident_megabytes(server.pid))
            idle.append(_idle_second(server.pid))
    idle_cpu, idle_wall = _cpu(nothing), _wall(nothing)
    rows = (
        ("`import watchword`", _cpu(bare) - idle_cpu, _wall(bare) - idle_wall, "ms", 120),
        (
            "`from watchword import Guard`",
            _cpu([c for c, _ in imports]),
            _wall([c for c, _ in imports]),
            "ms",
            120,
        ),
        ("modules that this loads", None, median(modules for _, modules in imports), "", None),
        ("`watchword --help`, the whole process", _cpu(assistance), _wall(assistance), "ms", 150),
        ("`watchword serve`, new data folder to first answer", _cpu(ready), _wall(ready), "ms", 1500),
        ("its memory then (RSS)", None, median(resident), "MB", 90),
        ("a second of it in which nobody asks", median(idle), None, "ms", 2),
    )
    return Table(
        "Starting",
        ("what", "CPU", "clock", "unit", "goal, at most"),
        rows,
        (
            "Fresh processes with warm file caches: medians of CPU time, and the fastest by the clock, which is the"
            f" least disturbed. An interpreter that does nothing takes {idle_cpu:.0f} ms of CPU here; it is in the"
            " figures of `--help` and of `serve`, and not in those of the imports. The first start makes the"
            " database, its keys and the master key. A hashing thread keeps its 19 MiB once it has worked.",
        ),
    )


def _idle_second(pid: int) -> float:
    """Milliseconds of CPU that a server takes while nobody asks, once it has come to rest."""
    time.sleep(_SETTLING)
    before = cpu_seconds(pid)
    time.sleep(_IDLE)
    return (cpu_seconds(pid) - before) / _IDLE * 1000


def _cpu(costs: Sequence[Cost]) -> float:
    return median(cpu for cpu, _ in costs)


def _wall(costs: Sequence[Cost]) -> float:
    return min(wall for _, wall in costs)


def _import() -> tuple[Cost, int]:
    cpu, wall, modules = _run("-c", _IMPORT).split()
    return (float(cpu), float(wall)), int(modules)


def _cost(*arguments: str) -> Cost:
    before, started = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    _run(*arguments)
    spent, after = time.perf_counter() - started, getrusage(RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu * 1000, spent * 1000


def _run(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments], env=environment(), check=True, capture_output=True, text=True
    ).stdout
