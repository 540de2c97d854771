"""Writes without end, several hundred a second from a part of a core: refreshes in packets, now and then a log-out."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from tests.mission.stage import Server, User

CONNECTIONS = 2
SESSIONS = 8
"""Those of one connection, which are refreshed in one packet."""
LEAVERS = 60
APART = 100
"""Refreshes between two log-outs."""
ENOUGH = 100
"""Writes a second that are load."""
TRIES = 5


@dataclass
class Span:
    """What was acknowledged while something was done, and how long that took."""

    acknowledged: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Writes a second."""
        return self.acknowledged / self.seconds


@dataclass
class Writers:
    """Everybody who writes, for as long as the block of :func:`writers` lasts."""

    server: Server
    statuses: list[int] = field(default_factory=list)
    """What each refresh was answered."""
    left: list[User] = field(default_factory=list)
    """Whose log-out was acknowledged, in that order."""
    done: threading.Event = field(default_factory=threading.Event)
    ends: list[Future[None]] = field(default_factory=list)

    @contextmanager
    def measured(self) -> Iterator[Span]:
        """Count what is acknowledged while the block runs."""
        span, before, began = Span(), len(self.statuses), time.monotonic()
        yield span
        span.seconds = time.monotonic() - began
        span.acknowledged = self.statuses[before:].count(200)

    def go_on(self, made: int, steps: int) -> None:
        """The progress of a backup that is paced: writes fall between any two of its steps, and a log-out beside it."""
        if made == steps:
            self.wait_for_one_to_leave()
        enough = len(self.statuses) + APART // 2
        while len(self.statuses) < enough:
            self._wait()

    def under_load(self, make: Callable[[], None]) -> Span:
        """Do it while a hundred writes a second and more are acknowledged, or not at all."""
        for _ in range(TRIES):
            with self.measured() as span:
                make()
            if span.rate >= ENOUGH:
                return span
        raise AssertionError(f"the machine has no time for the load: {span}")

    def wait_for_one_to_leave(self) -> None:
        """Come back when one more log-out has been acknowledged, and so many refreshes as lie between two."""
        before = len(self.left)
        while len(self.left) == before:
            self._wait()

    def _wait(self) -> None:
        for end in self.ends:
            assert not end.done(), end.exception()
        self.done.wait(0.002)

    def refresh(self, users: list[User]) -> None:
        """Refresh these sessions, each in every packet."""
        with connected(self.server) as (connection, answers):
            while not self.done.is_set():
                bodies = [{"refresh_token": user.tokens["refresh_token"]} for user in users]
                connection.sendall(b"".join(request("/auth/token", body) for body in bodies))
                for user in users:
                    status, answer = read_answer(answers)
                    if status == 200:
                        user.tokens = answer
                    self.statuses.append(status)

    def leave(self, users: list[User]) -> None:
        """Log out one after the other."""
        with connected(self.server) as (connection, answers):
            for user in users:
                due = len(self.statuses) + APART
                while len(self.statuses) < due:
                    if self.done.wait(0.002):
                        return
                connection.sendall(request("/auth/logout", {"refresh_token": user.tokens["refresh_token"]}))
                status, _ = read_answer(answers)
                if status == 204:
                    self.left.append(user)


@contextmanager
def writers(server: Server) -> Iterator[Writers]:
    """Let them write while the block runs, and from the second log-out before it."""
    writing = Writers(server)
    crowds = [[server.newcomer() for _ in range(SESSIONS)] for _ in range(CONNECTIONS)]
    leavers = [server.newcomer() for _ in range(LEAVERS)]
    with ThreadPoolExecutor() as pool:
        try:
            writing.ends = [pool.submit(writing.refresh, crowd) for crowd in crowds]
            writing.ends.append(pool.submit(writing.leave, leavers))
            writing.wait_for_one_to_leave()
            writing.wait_for_one_to_leave()
            yield writing
        finally:
            writing.done.set()
    for end in writing.ends:
        end.result()


@contextmanager
def connected(server: Server) -> Iterator[tuple[socket.socket, BinaryIO]]:
    """One connection, and what comes from it."""
    address = urlsplit(server.url)
    with (
        socket.create_connection((address.hostname, address.port), timeout=30) as connection,
        connection.makefile("rb") as answers,
    ):
        yield connection, answers


def request(path: str, body: dict[str, str]) -> bytes:
    """A POST as it goes over the wire."""
    text = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(text)}"
    return head.encode() + b"\r\n\r\n" + text


def read_answer(answers: BinaryIO) -> tuple[int, Any]:
    """The next answer: status and body."""
    status, length = int(answers.readline().split()[1]), 0
    while (line := answers.readline().strip()) != b"":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = answers.read(length)
    return status, json.loads(body) if body else None
