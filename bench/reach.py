"""From the administrator's answer to the first refusal: eight processes of an API, and every way a live token dies."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx2

from bench.process import ADMIN, Process, environment, free_port, started_server, wait_until_ready
from bench.table import Table
from bench.watched import GuardProcess, HttpProcess, Watched

__all__ = ["CHANGES", "GOALS", "Office", "Reach", "measure", "tables"]

CHANGES: Final = ("demotion", "log-out", "ban", "compromised key")
FRAMEWORKS: Final = ("asgi", "starlette", "fastapi")
GOALS: Final = {"p50": 50.0, "p99": 250.0, "max": 1000.0}
"""Milliseconds, on a quiet machine."""
_PASSWORD: Final = "nine-slow-lanterns"
_SETTINGS: Final = {"PASSWORD_HASH": "test", "ACCESS_TOKEN_TTL": "1h", **ADMIN}


@dataclass
class Reach:
    """Milliseconds by change and by process; never less than nothing."""

    samples: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, change: str, process: str, seconds: float) -> None:
        self.samples.setdefault((change, process), []).append(max(seconds * 1000, 0.0))

    def of(self, *, change: str | None = None, process: str | None = None) -> list[float]:
        """All that fit, sorted."""
        return sorted(
            sample
            for (one, other), found in self.samples.items()
            for sample in found
            if change in (None, one) and process in (None, other)
        )


def measure(*, changes: int, guards: int = 5, nodes: int = 1) -> Reach:
    """Let each of *changes* reach *guards* plain processes and one of each framework.

    With two *nodes*, over one PostgreSQL, changes are made at the one and all processes hear the other.
    """
    found = Reach()
    with ExitStack() as stack:
        server, desk = _nodes(stack, nodes)
        watched = [stack.enter_context(_guard(n, server.url)) for n in range(1, guards + 1)]
        watched += [stack.enter_context(_application(name, server.url)) for name in FRAMEWORKS]
        pool = stack.enter_context(ThreadPoolExecutor(len(watched)))
        http = stack.enter_context(httpx2.Client(base_url=desk.url, timeout=30))
        office = Office(http, server.url)
        for _ in range(changes):
            for change, token, make in office.someone():
                _one(found, pool, watched, change, token, make)
        # Each takes half a second of making keys, and nothing depends on how often it is done.
        for _ in range(max(1, changes // 50)):
            _one(found, pool, watched, "compromised key", *office.key())
    return found


def tables(found: Reach, nodes: int = 1) -> list[Table]:
    """What was measured, by change and by process."""
    columns = ("n", "p50 ms", "p95 ms", "p99 ms", "max ms")
    by_change = [(change, *_figures(found.of(change=change))) for change in CHANGES]
    by_change.append(("all", *_figures(found.of())))
    processes = list(dict.fromkeys(process for _, process in found.samples))
    goals = ", ".join(f"{name} {limit:.0f} ms" for name, limit in GOALS.items())
    return [
        Table(
            "How fast a live token dies" if nodes == 1 else "How fast a live token dies, from node to node",
            ("change", *columns),
            by_change,
            (
                f"{len(processes)} API processes. From the moment the administrator has his answer to the first"
                " refusal (for a demotion: the first answer without the role) at each process, which looks every"
                f" millisecond. Goal on a quiet machine: {goals}."
                + (
                    " Changes are made at one node, processes hear the other; both share a PostgreSQL."
                    * (nodes - 1)
                ),
            ),
        ),
        Table(
            "The same by process",
            ("process", *columns),
            [(process, *_figures(found.of(process=process))) for process in processes],
        ),
    ]


def _figures(samples: Sequence[float]) -> tuple[int, float, float, float, float]:
    return (
        len(samples), *(samples[int(len(samples) * share / 100)] for share in (50, 95, 99)), samples[-1]
    )  # fmt: skip


def _one(
    found: Reach,
    pool: ThreadPoolExecutor,
    watched: Sequence[Watched],
    change: str,
    token: str,
    make: Callable[[], float],
) -> None:
    for process in watched:
        process.arm(change, token)
    moments = [pool.submit(process.reached) for process in watched]
    answered_at = make()
    for process, moment in zip(watched, moments, strict=True):
        found.add(change, process.name, moment.result() - answered_at)


@dataclass
class Office:
    """The administrator, and people who come and go."""

    http: httpx2.Client
    issuer: str = ""
    """Where it is not whom the client speaks to."""
    numbers: Iterator[int] = field(default_factory=count)
    _token: str = ""

    def someone(self) -> Iterator[tuple[str, str, Callable[[], float]]]:
        """A new administrator is demoted, logs out of one of his sessions, and is banned with the other."""
        email, user = self._newcomer()
        first, second = (self._log_in(email) for _ in range(2))
        path = f"/admin/v1/users/{user}"
        yield "demotion", first, lambda: self._do("PATCH", path, {"roles": ["user"]})
        yield "log-out", second, lambda: self._do("POST", "/auth/logout", None, second)
        yield "ban", first, lambda: self._do("POST", f"{path}/ban", {"reason": "measured"})

    def key(self) -> tuple[str, Callable[[], float]]:
        """A token under the active key, and the end of that key."""
        email, _ = self._newcomer()
        keys = self._ask("GET", "/admin/v1/keys")["items"]
        active = next(key["kid"] for key in keys if key["state"] == "active")

        def compromise() -> float:
            answered_at = self._do("POST", f"/admin/v1/keys/{active}/compromise", {})
            self._token = ""  # it died with the key
            return answered_at

        return self._log_in(email), compromise

    def token(self) -> str:
        """An access token of somebody new, under the key that is active now."""
        return self._log_in(self._newcomer()[0])

    def rotate(self) -> None:
        """Have the waiting key sign from now on."""
        self._ask("POST", "/admin/v1/keys/rotate", {"now": True})

    def _do(self, method: str, path: str, body: Any, token: str | None = None) -> float:
        self._ask(method, path, body, token)
        return time.monotonic()

    def _ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {token or self._operator()}"}
        answer = self.http.request(method, path, json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def _newcomer(self) -> tuple[str, str]:
        email = f"someone{next(self.numbers)}@example.com"
        body = {"email": email, "password": _PASSWORD, "roles": ["user", "admin"]}
        return email, self._ask("POST", "/admin/v1/users", body)["id"]

    def _operator(self) -> str:
        if not self._token:
            email, password = ADMIN["ADMIN_EMAIL"], ADMIN["ADMIN_PASSWORD"]
            self._token = self._log_in(
                email, password, audience=self.issuer or str(self.http.base_url).rstrip("/")
            )
        return self._token

    def _log_in(self, email: str, password: str = _PASSWORD, **more: str) -> str:
        answer = self.http.post("/auth/login", json={"email": email, "password": password, **more})
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token


def _nodes(stack: ExitStack, nodes: int) -> tuple[Process, Process]:
    """Whom processes hear, and where changes are made."""
    if nodes == 1:
        server = stack.enter_context(started_server(**_SETTINGS))
        return server, server
    from bench.postgres import durable

    place = asyncio.run(stack.enter_context(durable()).cluster.place())
    shared = {"DATABASE": place, "SECRET": "two nodes of a measurement have no secret", **_SETTINGS}
    issuer = stack.enter_context(started_server("issuer", **shared))
    return issuer, stack.enter_context(started_server("beside", ISSUER=issuer.url, **shared))


@contextmanager
def _guard(number: int, issuer: str) -> Iterator[Watched]:
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.watched", "guard", issuer],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield GuardProcess(f"guard {number}", child)
    finally:
        child.communicate()


@contextmanager
def _application(name: str, issuer: str) -> Iterator[Watched]:
    port = free_port()
    with TemporaryDirectory(prefix="watchword-bench-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "bench.watched", name, issuer, str(port)],
                env=environment(),
                stdout=output,
                stderr=output,
            )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/read", child, log)
            yield HttpProcess(name, HTTPConnection("127.0.0.1", port, timeout=30))
        finally:
            child.terminate()
            child.wait()
