"""A closed-loop HTTP/1.1 client: so many kept-alive connections, each with one request under way at any time."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from bench.cost import family_seconds
from bench.process import Process

__all__ = ["Caller", "Load", "chain", "load", "repeat", "request", "take_turns"]

Caller = Callable[[bytes], bytes]
"""One connection's mind: its last answer (empty at first) -> its next request."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a server did under load."""

    answers: int
    refusals: int
    """Answers that were not 2xx."""
    rate: float
    """Answers a second."""
    cost: float
    """CPU microseconds of the server an answer, of all its processes."""
    p50: float
    p99: float
    """Milliseconds."""
    beside: float = 0.0
    """CPU microseconds an answer of the process that was watched beside the server."""


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    caller: Caller
    received: bytes = b""
    sent_at: float = 0.0

    def send(self, answer: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(self.caller(answer))


def load(server: Process, callers: Sequence[Caller], seconds: float, *, beside: int | None = None) -> Load:
    """Let *callers* call *server* for *seconds*, after a fifth of that to warm up.

    Args:
        server: who is loaded.
        callers: a connection each.
        seconds: how long.
        beside: another process whose CPU time is taken, too: a database's.
    """
    watched = [server.pid] if beside is None else [server.pid, beside]
    with selectors.DefaultSelector() as selector:
        connections = []
        for caller in callers:
            connection = _Connection(socket.create_connection(("127.0.0.1", server.port)), caller)
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connections.append(connection)
        try:
            for connection in connections:
                connection.send(b"")
            _pass(selector, seconds / 5)
            before, began = [family_seconds(pid) for pid in watched], time.perf_counter()
            waits, refusals = _pass(selector, seconds)
            spent = time.perf_counter() - began
            cpu = [family_seconds(pid) - then for pid, then in zip(watched, before, strict=True)]
        finally:
            for connection in connections:
                connection.socket.close()
    waits.sort()
    answers = max(1, len(waits))
    return Load(
        answers=len(waits),
        refusals=refusals,
        rate=len(waits) / spent,
        cost=cpu[0] / answers * 1e6,
        p50=waits[len(waits) // 2] * 1000 if waits else 0.0,
        p99=waits[len(waits) * 99 // 100] * 1000 if waits else 0.0,
        beside=sum(cpu[1:]) / answers * 1e6,
    )


def request(
    method: str, path: str, body: bytes | None = None, *, bearer: str | None = None, host: str = "localhost"
) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Accept: application/json"]
    if bearer is not None:
        lines.append(f"Authorization: Bearer {bearer}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def repeat(wire: bytes) -> Caller:
    """The same request again and again."""
    return lambda answer: wire


def take_turns(wires: Sequence[bytes]) -> Caller:
    """Each of *wires* in turn; give one such caller to every connection, and they share the turns."""
    upcoming: Iterator[bytes] = cycle(wires)
    return lambda answer: next(upcoming)


def chain(pool: list[str], wire: Callable[[str], bytes], marker: bytes) -> Caller:
    """Spend a value that is in *pool* and put back the one that the answer holds behind *marker*.

    With several connections over one pool, a value is with one of them at a time.
    """

    def call(answer: bytes) -> bytes:
        if answer:
            _, found, rest = answer.partition(marker)
            if found:
                pool.append(rest[: rest.index(b'"')].decode())
        return wire(pool.pop(0))

    return call


def _pass(selector: selectors.BaseSelector, seconds: float) -> tuple[list[float], int]:
    """Answer answers with requests until the time is over: how long each took, and how many were refusals."""
    waits: list[float] = []
    refusals = 0
    until = time.perf_counter() + seconds
    while (now := time.perf_counter()) < until:
        for key, _ in selector.select(timeout=until - now):
            connection: _Connection = key.data
            received = connection.socket.recv(65_536)
            if not received:
                raise ConnectionError("the server closed a connection")
            connection.received += received
            answer = connection.received
            if not _is_whole(answer):
                continue
            waits.append(time.perf_counter() - connection.sent_at)
            if answer[9:10] != b"2":
                refusals += 1
            connection.send(answer)
    return waits, refusals


def _is_whole(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    at = answer.find(b"content-length: ", 0, head)
    if at < 0:
        return True  # 204
    return len(answer) - head - 4 >= int(answer[at + 16 : answer.index(b"\r\n", at)])
