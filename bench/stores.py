"""SQLite beside PostgreSQL, and one process beside two: the same people, the same operations, in turns."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.cost import pin, spread
from bench.load import Caller, Load, chain, load, request, take_turns
from bench.people import People, populated_server
from bench.postgres import Database, durable
from bench.process import ADMIN, Process
from bench.server import log_in, login_body
from bench.table import Table

__all__ = ["measure"]

_USERS: Final = 3_000
_BANNED: Final = 1_000
"""The last of them: they do nothing but be banned."""
_LISTERS: Final = 50
_CASES: Final = (("SQLite", 1), ("PostgreSQL", 1), ("SQLite", 2), ("PostgreSQL", 2))

_SETTINGS: Final = {"ACCESS_TOKEN_TTL": "1h", **ADMIN}


@dataclass(frozen=True, slots=True)
class _Contender:
    """A server, what is asked of it, and the database whose CPU time is counted, too."""

    store: str
    workers: int
    server: Process
    operations: Mapping[str, Caller]
    beside: int | None


def measure(*, rounds: int, seconds: float, connections: int) -> Table:
    """The table: a row for each operation and each contender."""
    cores = os.sched_getaffinity(0)
    try:
        with ExitStack() as stack:
            database = stack.enter_context(durable())
            contenders = [_contender(stack, store, workers, database) for store, workers in _CASES]
            for contender in contenders:
                if contender.workers > 1:
                    spread(contender.server.pid, cores)
            pin(0, 1)
            found: dict[tuple[str, int, str], list[Load]] = {}
            for _ in range(rounds):
                for name in contenders[0].operations:
                    for each in contenders:
                        callers = [each.operations[name]] * connections
                        result = load(each.server, callers, seconds, beside=each.beside)
                        found.setdefault((each.store, each.workers, name), []).append(result)
            names = list(contenders[0].operations)
    finally:
        os.sched_setaffinity(0, cores)
    return Table(
        "SQLite and PostgreSQL, one process and two",
        (
            "operation",
            "database",
            "processes",
            "our CPU µs",
            "PostgreSQL's CPU µs",
            "our CPU, times SQLite's with one",
            "req/s",
            "p99 ms",
            "refused",
        ),
        [_row(name, store, workers, found) for name in names for store, workers in _CASES],
        (
            f"{connections} kept-alive connections from the other core, each with one request under way; medians of"
            f" alternated turns over {_USERS} users, the ratio that of the same turns. *CPU µs* is what all processes"
            " of the server used for an answer; PostgreSQL's stands for itself. Both databases wait for the disk before"
            " they acknowledge (`synchronous=FULL`, `fsync=on`). One process has a core of its own; two share both"
            " cores with the load client and PostgreSQL, so that their requests a second say what crowding costs here,"
            " not what a second process brings. *Without the hash* means Argon2id at 64 KiB x 1.",
        ),
    )


def _row(
    name: str, store: str, workers: int, found: Mapping[tuple[str, int, str], Sequence[Load]]
) -> tuple[str | float | int | None, ...]:
    loads, floor = found[store, workers, name], found["SQLite", 1, name]

    def middle(figure: Callable[[Load], float]) -> float:
        return median(map(figure, loads))

    return (
        name,
        store,
        workers,
        middle(lambda result: result.cost),
        middle(lambda result: result.beside) if store == "PostgreSQL" else None,
        median(mine.cost / its.cost for mine, its in zip(loads, floor, strict=True)),
        middle(lambda result: result.rate),
        middle(lambda result: result.p99),
        sum(result.refusals for result in loads),
    )


def _contender(stack: ExitStack, store: str, workers: int, database: Database) -> _Contender:
    shared = store == "PostgreSQL"
    place: Callable[[Path], str] | None = database.with_people_of if shared else None
    server, people = stack.enter_context(
        populated_server(
            f"{store} {workers}", users=_USERS, sample=_USERS, place=place, WORKERS=str(workers), **_SETTINGS
        )
    )
    return _Contender(store, workers, server, _operations(server, people), database.pid if shared else None)


def _operations(server: Process, people: People) -> Mapping[str, Caller]:
    active = len(people.emails) - _BANNED
    logins = [request("POST", "/auth/login", login_body(email)) for email in people.emails[:active]]
    tokens = [log_in(server, email)["access_token"] for email in people.emails[:_LISTERS]]
    operator = log_in(server, ADMIN["ADMIN_EMAIL"], password=ADMIN["ADMIN_PASSWORD"], audience=server.url)
    ban = json.dumps({"reason": "measured"}).encode()
    bans = [
        request("POST", f"/admin/v1/users/{user}/ban", ban, bearer=operator["access_token"])
        for user in people.ids[active:]
    ]

    def refresh(token: str) -> bytes:
        return request("POST", "/auth/token", json.dumps({"refresh_token": token}).encode())

    return {
        "refresh": chain(list(people.refresh_tokens[:active]), refresh, b'"refresh_token":"'),
        "log-in without the hash": take_turns(logins),
        "list of sessions": take_turns([request("GET", "/auth/sessions", bearer=token) for token in tokens]),
        "ban": take_turns(bans),
    }
