"""What growth costs: the same operations on files of a thousand to a million users and sessions, in turns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median
from typing import Final

from bench.cost import pin, resident_megabytes
from bench.load import Caller, load, request, take_turns
from bench.people import People, populated_server
from bench.process import Process
from bench.server import log_in, login_body, refreshes
from bench.table import Table

__all__ = ["measure"]

_SAMPLE: Final = 1_000
"""Rows that are touched, drawn evenly from each file: every size does the same work on as many rows."""

_LISTERS: Final = 50
"""How many people ask for their sessions."""

_REFRESH: Final = "POST /auth/token"
_LOGIN: Final = "POST /auth/login without the hash"
_LIST: Final = "GET /auth/sessions"


def measure(*, sizes: Sequence[int], rounds: int, seconds: float, connections: int) -> Table:
    """The table: a row an operation, a column a size."""
    cores = os.sched_getaffinity(0)
    try:
        with ExitStack() as stack:
            populated = [
                stack.enter_context(populated_server(f"{size}", users=size, sample=_SAMPLE)) for size in sizes
            ]
            pin(0, 1)
            operations = [_operations(server, people) for server, people in populated]
            costs: dict[tuple[str, int], list[float]] = {}
            refused = 0
            for _ in range(rounds):
                for name in (_REFRESH, _LIST, _LOGIN):
                    for size, (server, _), callers in zip(sizes, populated, operations, strict=True):
                        result = load(server, [callers[name]] * connections, seconds)
                        costs.setdefault((name, size), []).append(result.cost)
                        refused += result.refusals
            memory = [resident_megabytes(server.pid) for server, _ in populated]
    finally:
        os.sched_setaffinity(0, cores)
    rows: list[tuple[str | float, ...]] = []
    for name in (_REFRESH, _LOGIN, _LIST):
        figures = [costs[name, size] for size in sizes]
        growth = median(last / first for first, last in zip(figures[0], figures[-1], strict=True))
        rows.append((f"{name}, CPU µs", *map(median, figures), f"{(growth - 1) * 100:+.0f} %"))
    files = [people.megabytes for _, people in populated]
    rows.append(("memory of the server, MB", *memory, f"{(memory[-1] / memory[0] - 1) * 100:+.0f} %"))
    rows.append(("size of the file, MB", *files, ""))
    return Table(
        "Growth",
        ("", *(f"{size:,} users".replace(",", " ") for size in sizes), "last against first"),
        rows,
        (
            "Each user has one session when the load begins. Medians of alternated turns against servers of every"
            f" size, {connections} connections; {_SAMPLE} users and sessions drawn evenly from each file are asked"
            f" for in turn. Goal: within 20 %. Refused: {refused}.",
        ),
    )


def _operations(server: Process, people: People) -> dict[str, Caller]:
    some = people.emails[:: max(1, len(people.emails) // _LISTERS)]
    tokens = [log_in(server, email)["access_token"] for email in some]
    return {
        _REFRESH: refreshes(people),
        _LOGIN: take_turns([request("POST", "/auth/login", login_body(email)) for email in people.emails]),
        _LIST: take_turns([request("GET", "/auth/sessions", bearer=token) for token in tokens]),
    }
