"""How long it takes until one can begin: the import, ``--help``, a server that answers; and how big that is."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import Final

from bench.cost import resident_megabytes
from bench.process import environment, started_server
from bench.table import Table

__all__ = ["measure"]

_IMPORT: Final = """
import sys, time
before, started = len(sys.modules), time.perf_counter()
import watchword
from watchword import Guard
print((time.perf_counter() - started) * 1000, len(sys.modules) - before)
"""
_BARE: Final = "import watchword"


def measure(*, rounds: int) -> Table:
    """The table: medians over fresh processes."""
    imports = [_import() for _ in range(rounds)]
    nothing = median(_wall("-c", "pass") for _ in range(rounds))
    bare = median(_wall("-c", _BARE) for _ in range(rounds)) - nothing
    assistance = median(_wall("-m", "watchword", "--help") for _ in range(rounds))
    ready, resident = [], []
    for _ in range(max(1, rounds // 3)):
        with started_server() as server:
            ready.append(server.seconds * 1000)
            resident.append(resident_megabytes(server.pid))
    rows = (
        ("`import watchword`", bare, "ms", 120),
        ("`from watchword import Guard`", median(ms for ms, _ in imports), "ms", 120),
        ("modules that this loads", median(modules for _, modules in imports), "", None),
        ("`watchword --help`, the whole process", assistance, "ms", 150),
        ("`watchword serve`, new data folder to first answer", median(ready), "ms", 1500),
        ("its memory then (RSS)", median(resident), "MB", 90),
    )
    return Table(
        "Starting",
        ("what", "measured", "unit", "goal, at most"),
        rows,
        ("Wall-clock medians over fresh processes with warm file caches. An interpreter that does nothing takes"
         f" {nothing:.0f} ms here; it is in the figure of `--help` and of `serve`, and not in those of the imports."
         " The first start makes the database, four keys, the master key and an administrator.",),
    )  # fmt: skip


def _import() -> tuple[float, int]:
    ms, modules = _run("-c", _IMPORT).split()
    return float(ms), int(modules)


def _wall(*arguments: str) -> float:
    started = time.perf_counter()
    _run(*arguments)
    return (time.perf_counter() - started) * 1000


def _run(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, *arguments], env=environment(), check=True, capture_output=True, text=True
    ).stdout
