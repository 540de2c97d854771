"""A long day in short: people of every kind at work on one server, and what its process holds meanwhile."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx2

from tests.mission.stage import PASSWORD, Server
from watchword import Guard
from watchword.errors import InvalidToken

PEOPLE = 6
EVERY = 1.5
"""Seconds from one life to the next: what is held follows the pace, so that the pace must not follow the machine."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Sample:
    """What the process held at one moment."""

    at: float
    memory: int
    """Bytes in RAM."""
    descriptors: int
    threads: int
    p99: float
    """Milliseconds, of the answers since the sample before."""

    def __str__(self) -> str:
        return f"{self.memory / 1e6:.1f} MB, {self.descriptors} descriptors, {self.threads} threads"


@dataclass
class Town:
    """Threads that do what people, operators and APIs do, until they are let go."""

    server: Server
    answers: int = 0
    unexpected: list[str] = field(default_factory=list)
    _took: list[float] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """They live while the block does what it does."""
        with ThreadPoolExecutor(PEOPLE + 3) as threads:
            each = [*[self._live] * PEOPLE, self._operate, self._listen]
            lives = [threads.submit(self._again_and_again, live, n) for n, live in enumerate(each)]
            lives.append(threads.submit(self._protect))
            for life in lives:
                life.add_done_callback(lambda _: self._done.set())
            try:
                yield
            finally:
                self._done.set()
        for life in lives:
            life.result()

    def sample(self, began: float) -> Sample:
        """Look at the server's process."""
        child = self.server.process.child
        assert child is not None
        took, self._took = self._took, []
        return Sample(
            time.monotonic() - began,
            memory_of(child.pid),
            len(os.listdir(f"/proc/{child.pid}/fd")),
            len(os.listdir(f"/proc/{child.pid}/task")),
            quantiles(took, n=100)[98] * 1000 if len(took) > 1 else 0.0,
        )

    def goes_on(self, seconds: float) -> bool:
        """Whether nothing has gone wrong for so long."""
        return not self._done.wait(seconds)

    def _again_and_again(self, live: Any, seed: int) -> None:
        chance, begins_at = random.Random(seed), time.monotonic()
        while not self._done.wait(max(0.0, begins_at - time.monotonic())):
            begins_at = max(begins_at + EVERY, time.monotonic())
            # A new connection for each: what a server keeps of the old ones would be seen.
            with httpx2.Client(base_url=self.server.url, timeout=60) as http:
                live(http, chance)

    def _live(self, http: httpx2.Client, chance: random.Random) -> None:
        email = f"soak{next(_numbers)}.{os.getpid()}@example.com"
        body = {"email": email, "password": PASSWORD}
        self._ask(http, "POST", "/auth/register", 201, body)
        tokens = self._ask(http, "POST", "/auth/login", 200, body)
        other = self._ask(http, "POST", "/auth/login", 200, body)
        self._ask(http, "POST", "/auth/login", 401, {**body, "password": "wrong"})
        for _ in range(chance.randint(1, 8)):
            spent = {"refresh_token": tokens["refresh_token"]}
            tokens = self._ask(http, "POST", "/auth/token", 200, spent)
            self._ask(http, "GET", "/auth/me", 200, bearer=tokens)
        self._ask(http, "GET", "/auth/sessions", 200, bearer=tokens)
        self._ask(http, "POST", "/auth/logout", 204, bearer=other)
        self._ask(http, "GET", "/auth/me", 401, bearer=other)
        self._ask(http, "DELETE", "/auth/me", 204, {"current_password": PASSWORD}, bearer=tokens)

    def _operate(self, http: httpx2.Client, chance: random.Random) -> None:
        tokens = self.server.administrator(audience=self.server.url).tokens
        users = "/admin/v1/users"
        email = f"banned{next(_numbers)}.{os.getpid()}@example.com"
        made = self._ask(http, "POST", users, 201, {"email": email, "password": PASSWORD}, bearer=tokens)
        victim = self._ask(http, "POST", "/auth/login", 200, {"email": email, "password": PASSWORD})
        page = self._ask(http, "GET", f"{users}?q=soak&limit=50", 200, bearer=tokens)
        assert isinstance(page["items"], list)
        one = f"{users}/{made['id']}"
        self._ask(http, "POST", f"{one}/ban", 200, {"reason": "soak"}, bearer=tokens)
        self._ask(http, "GET", "/auth/me", 401, bearer=victim)
        self._ask(http, "POST", f"{one}/unban", 200, bearer=tokens)
        self._ask(http, "PATCH", one, 200, {"roles": ["user", "admin"]}, bearer=tokens)
        self._ask(http, "GET", "/admin/v1/events?limit=50", 200, bearer=tokens)
        self._ask(http, "DELETE", one, 204, bearer=tokens)
        self._ask(http, "POST", "/auth/logout", 204, bearer=tokens)

    def _listen(self, http: httpx2.Client, chance: random.Random) -> None:
        """An API that comes and goes."""
        until = time.monotonic() + chance.uniform(0.5, 5)
        with http.stream("GET", "/revocations/stream") as stream:
            for _ in stream.iter_raw():
                if time.monotonic() > until or self._done.is_set():
                    return

    def _protect(self) -> None:
        """An API that stays."""
        guard, user = Guard(self.server.url), self.server.register()
        try:
            while not self._done.is_set():
                self.server.login(user)
                guard.verify(user.tokens["access_token"])
                self.server.http.post("/auth/logout", headers=user.bearer)
                until = time.monotonic() + 60
                while not _refuses(guard, user.tokens["access_token"]):
                    assert time.monotonic() < until, "the log-out never arrived"
                    self._done.wait(0.02)
                self._done.wait(1)
        finally:
            guard.close()

    def _ask(
        self, http: httpx2.Client, method: str, path: str, status: int, body: Any = None, bearer: Any = None
    ) -> Any:
        headers = {"Authorization": f"Bearer {bearer['access_token']}"} if bearer else {}
        began = time.monotonic()
        answer = http.request(method, path, json=body, headers=headers)
        self._took.append(time.monotonic() - began)
        self.answers += 1
        if answer.status_code != status:
            self.unexpected.append(f"{method} {path}: {answer.status_code} {answer.text}")
        assert answer.status_code == status, self.unexpected[-1]
        return answer.json() if answer.content else None


def growth(samples: Sequence[Sample]) -> float:
    """By how much memory grew from the third fifth to the last one: 0.01 is a hundredth."""
    fifth = len(samples) // 5
    early, late = samples[2 * fifth : 3 * fifth], samples[-fifth:]
    return median(s.memory for s in late) / median(s.memory for s in early) - 1


def memory_of(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def _refuses(guard: Guard, token: str) -> bool:
    try:
        guard.verify(token)
    except InvalidToken:
        return True
    return False
