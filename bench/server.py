"""What the server costs under load, beside hello-world on the same HTTP server, loop and parser."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final
from urllib.request import Request, urlopen

from bench.cost import pin, resident_megabytes
from bench.load import Caller, Load, chain, load, repeat, request, take_turns
from bench.people import HASH, PASSWORD, People, populated_server
from bench.process import Process, environment, free_port, start
from bench.table import Table

__all__ = ["application", "log_in", "login_body", "measure", "refreshes"]

HELLO: Final = "hello-world (raw ASGI)"
_USERS: Final = 5_000
_HASHING_CONNECTIONS: Final = 4


@dataclass(frozen=True, slots=True)
class Operation:
    """One row: what is asked of whom, and what share of hello-world it should reach."""

    name: str
    server: Process
    callers: Sequence[Caller]
    goal: str = ""


def measure(*, rounds: int, seconds: float, connections: int) -> list[Table]:
    """The tables: every operation beside hello-world, and log-ins with the real hash beside the hash alone."""
    cores = os.sched_getaffinity(0)
    try:
        with ExitStack() as stack:
            hello = stack.enter_context(application("hello"))
            server, people = stack.enter_context(populated_server("watchword", users=_USERS, sample=_USERS))
            hashing, hashed = stack.enter_context(
                populated_server("hashing", users=100, sample=100, profile="standard")
            )
            logged, _ = stack.enter_context(
                populated_server("logging", users=100, sample=100, LOG_REQUESTS="true")
            )
            token = log_in(server, people.emails[0])["access_token"]
            guarded = stack.enter_context(application("guarded", server.url))
            pin(0, 1)
            operations = _operations(hello, server, logged, people, guarded, token, connections)
            results = _in_turns(operations, rounds, seconds)
            sizes = [(process.name, resident_megabytes(process.pid)) for process in (hello, guarded, server)]
            hashes = _hashes(hashing, hashed, rounds, seconds * 2)
    finally:
        os.sched_setaffinity(0, cores)
    return [_costs(operations, results, connections), _with_hash(hashes), _memory(sizes)]


@contextmanager
def application(name: str, *arguments: str) -> Iterator[Process]:
    """One of ``bench.apps``."""
    port = free_port()
    with TemporaryDirectory(prefix="watchword-bench-") as folder:
        program = ["-m", "bench.apps", name, str(port), *arguments]
        with start(name, program, port=port, ready="/", folder=Path(folder), env=environment()) as process:
            yield process


def login_body(email: str, **more: str) -> bytes:
    """The body of a log-in."""
    return json.dumps({"email": email, "password": PASSWORD, **more}).encode()


def log_in(server: Process, email: str, **more: str) -> dict[str, str]:
    """The token set of a log-in."""
    asked = Request(
        f"{server.url}/auth/login", login_body(email, **more), {"Content-Type": "application/json"}
    )
    with urlopen(asked) as answer:
        tokens: dict[str, str] = json.load(answer)
    return tokens


def refreshes(people: People) -> Caller:
    """Refreshes of one session after the other, each with the token that its last refresh gave."""

    def wire(refresh_token: str) -> bytes:
        return request("POST", "/auth/token", json.dumps({"refresh_token": refresh_token}).encode())

    return chain(list(people.refresh_tokens), wire, b'"refresh_token":"')


def _operations(
    hello: Process,
    server: Process,
    logged: Process,
    people: People,
    guarded: Process,
    token: str,
    connections: int,
) -> list[Operation]:
    logins = take_turns([request("POST", "/auth/login", login_body(email)) for email in people.emails])

    def shared(caller: Caller) -> Sequence[Caller]:
        return [caller] * connections

    def get(path: str, bearer: str | None = None) -> Sequence[Caller]:
        return shared(repeat(request("GET", path, bearer=bearer)))

    return [
        Operation(HELLO, hello, get("/")),
        Operation("guarded GET, cached token", guarded, get("/", token), "≥ 70 %"),
        Operation("GET /.well-known/jwks.json", server, get("/.well-known/jwks.json"), "≥ 80 %"),
        Operation("the same, each a line of the log", logged, get("/.well-known/jwks.json")),
        Operation("the same, one connection", server, get("/.well-known/jwks.json")[:1]),
        Operation("GET /revocations", server, get("/revocations")),
        Operation("GET /healthz", server, get("/healthz")),
        Operation("GET /auth/me", server, get("/auth/me", token)),
        Operation("POST /auth/token (durable refresh)", server, shared(refreshes(people)), "≥ 20 %"),
        Operation("POST /auth/login without the hash", server, shared(logins)),
    ]


def _in_turns(operations: Sequence[Operation], rounds: int, seconds: float) -> dict[str, list[Load]]:
    found: dict[str, list[Load]] = {operation.name: [] for operation in operations}
    for _ in range(rounds):
        for operation in operations:
            found[operation.name].append(load(operation.server, operation.callers, seconds))
    return found


def _costs(operations: Sequence[Operation], results: dict[str, list[Load]], connections: int) -> Table:
    floor = _median(results[HELLO], lambda result: result.cost)
    rows = []
    for operation in operations:
        found = results[operation.name]
        cost = _median(found, lambda result: result.cost)
        rows.append(
            (
                operation.name,
                cost,
                _median(found, lambda result: result.rate),
                _median(found, lambda result: result.p50),
                _median(found, lambda result: result.p99),
                floor / cost * 100,
                operation.goal,
                sum(result.refusals for result in found),
            )
        )
    return Table(
        "The server under load",
        ("operation", "CPU µs", "req/s", "p50 ms", "p99 ms", "% of hello-world", "goal", "refused"),
        rows,
        (
            f"{connections} kept-alive connections from the other core, each with one request under way; medians of"
            " alternated turns. *CPU µs* is what the server's process used for an answer, all its threads together."
            " The guarded application is hello-world behind `watchword.frameworks.asgi.protect` with a live feed."
            " Refresh and log-in write to SQLite with `synchronous=FULL` and are answered after the commit is"
            f" durable; they go over {_USERS} sessions and users. *Without the hash* means Argon2id at 8 KiB x 1"
            " instead of 19 MiB x 2: what a log-in costs beside its hash. Request log lines are off on both sides.",
        ),
    )


def _hashes(
    server: Process, people: People, rounds: int, seconds: float
) -> list[tuple[float, float, float, float, int]]:
    """Of each turn: hashes a second and CPU µs of one, log-ins a second and CPU µs of one; refusals."""
    wires = [request("POST", "/auth/login", login_body(email)) for email in people.emails]
    callers = [take_turns(wires)] * _HASHING_CONNECTIONS
    digest = HASH["standard"].hash(PASSWORD)
    found = []
    for _ in range(rounds):
        pin(0, 0)
        began, cpu, hashes = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - began < seconds:
            HASH["standard"].verify(digest, PASSWORD)
            hashes += 1
        spent, cpu = time.perf_counter() - began, time.process_time() - cpu
        pin(0, 1)
        result = load(server, callers, seconds)
        found.append((hashes / spent, cpu / hashes * 1e6, result.rate, result.cost, result.refusals))
    return found


def _with_hash(found: Sequence[tuple[float, float, float, float, int]]) -> Table:
    rate, cost, logins, login, refused = (list(column) for column in zip(*found, strict=True))
    rows = [
        ("Argon2id alone, 19 MiB x 2", median(cost), median(rate), None, "", None),
        (
            "POST /auth/login",
            median(login),
            median(logins),
            median(cost) / median(login) * 100,
            "≥ 90 %",
            sum(refused),
        ),
    ]
    return Table(
        "Log-ins with the hash",
        ("what", "CPU µs", "a second", "% of the hash alone", "goal", "refused"),
        rows,
        (
            f"{_HASHING_CONNECTIONS} connections, one hashing thread; hash and server on the same core in turns."
            " The share is by CPU time.",
        ),
    )


def _memory(sizes: Sequence[tuple[str, float]]) -> Table:
    return Table("Memory after the load", ("process", "RSS MB"), [*sizes])


def _median(results: Sequence[Load], figure: Callable[[Load], float]) -> float:
    return median(figure(result) for result in results)
