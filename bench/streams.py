"""A thousand guards on one server process: from the administrator's answer to the bytes on every stream."""

from __future__ import annotations

import resource
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx2

from bench.cost import cpu_seconds, resident_megabytes
from bench.process import ADMIN, Process, started_server
from bench.reach import Office
from bench.table import Table

__all__ = ["measure"]

_REQUEST: Final = b"GET /revocations/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
_PATIENCE: Final = 30.0
GOAL: Final = 500.0


def measure(*, listeners: int, changes: int) -> Table:
    """The table: reach over all streams, and what the server pays for them."""
    with started_server(PASSWORD_HASH="test", **ADMIN) as server, _listening(server, listeners) as streams:
        memory = resident_megabytes(server.pid)
        with httpx2.Client(base_url=server.url, timeout=30) as http:
            office = Office(http)
            sequence = streams.hear()
            samples: list[float] = []
            spent = 0.0
            for _ in range(changes):
                for _, _, make in office.someone():
                    before = cpu_seconds(server.pid)
                    answered_at = make()
                    moments, sequence = streams.heard_after(sequence)
                    spent += cpu_seconds(server.pid) - before
                    samples += [max(moment - answered_at, 0) * 1000 for moment in moments]
    samples.sort()
    count = len(samples)
    rows = (
        ("p50", samples[count // 2], "ms", None),
        ("p99", samples[count * 99 // 100], "ms", GOAL),
        ("max", samples[-1], "ms", None),
        ("server CPU a change", spent / changes / 3 * 1000, "ms", None),
        ("server memory with all of them", memory, "MB", None),
    )
    return Table(
        f"{listeners} streams on one server process",
        ("what", "measured", "unit", "goal, at most"),
        rows,
        (
            f"{count} arrivals: from the administrator's answer to the event on each stream, all of them read by one"
            " process, which shares the machine with the server.",
        ),
    )  # fmt: skip


class _Streams:
    """Open streams, and the sequence that each has heard of."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._selector = selectors.DefaultSelector()
        self._rest = dict.fromkeys(sockets, b"")
        self._sequence = dict.fromkeys(sockets, -1)
        for one in sockets:
            one.setblocking(False)
            self._selector.register(one, selectors.EVENT_READ)

    def hear(self) -> int:
        """Read until every stream has said something; the sequence they are at."""
        self._until(0)
        return max(self._sequence.values())

    def heard_after(self, sequence: int) -> tuple[list[float], int]:
        """When each stream first told of something past *sequence*, and where they are now."""
        return list(self._until(sequence + 1).values()), max(self._sequence.values())

    def close(self) -> None:
        self._selector.close()
        for one in self._rest:
            one.close()

    def _until(self, sequence: int) -> dict[socket.socket, float]:
        moments: dict[socket.socket, float] = {}
        deadline = time.monotonic() + _PATIENCE
        while len(moments) < len(self._rest):
            assert time.monotonic() < deadline, f"{len(self._rest) - len(moments)} streams heard nothing"
            for key, _ in self._selector.select(1):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                received = one.recv(262_144)
                now = time.monotonic()
                assert received, "the server ended a stream"
                self._take(one, received)
                if self._sequence[one] >= sequence:
                    moments.setdefault(one, now)
            for one, heard in self._sequence.items():
                if heard >= sequence:
                    moments.setdefault(one, time.monotonic())
        return moments

    def _take(self, one: socket.socket, received: bytes) -> None:
        """Note the last ``id: epoch.sequence.mac`` of what came."""
        text = self._rest[one] + received
        at = text.rfind(b"\nid: ")
        end = text.find(b"\n", at + 1)
        if at >= 0 and end > at:
            self._sequence[one] = max(self._sequence[one], int(text[at + 5 : end].split(b".")[1]))
            self._rest[one] = b""
        else:
            self._rest[one] = text[-400:]


@contextmanager
def _listening(server: Process, listeners: int) -> Iterator[_Streams]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, listeners + 200), hard), hard))
    sockets = []
    for _ in range(listeners):
        one = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        one.sendall(_REQUEST)
        sockets.append(one)
    streams = _Streams(sockets)
    try:
        yield streams
    finally:
        streams.close()
