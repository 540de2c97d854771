"""The log of requests: a line for each, written many at a time.

Other lines of the log are few and go through ``structlog``. This one is written for every request, so it is made
by one f-string, and the lines of one turn of the event loop go to the stream together.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TextIO

from watchword.server.web.log_text import printable, told

__all__ = ["RequestLog"]

_TOGETHER: Final = 12
"""Lines of one write: below the 4096 bytes that a pipe takes whole, as processes share the stream (POSIX PIPE_BUF)."""


class _Answer(NamedTuple):
    """What a line tells."""

    at: str
    request_id: str
    method: str
    route: str
    status: int
    ms: float
    address: str | None
    user: str | None


class RequestLog:
    """Request lines on one stream.

    Args:
        form: ``console`` for people, ``json`` for machines.
        stream: takes them; ``sys.stderr`` of most processes.
        colors: whether ``console`` lines are colored.
        wall: Unix time in seconds.
    """

    __slots__ = ("_day", "_line", "_rows", "_second", "_stream", "_wall")

    def __init__(
        self,
        form: Literal["console", "json"],
        stream: TextIO,
        *,
        colors: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._line = _json_line if form == "json" else _colored_line if colors else _line
        self._stream = stream
        self._wall = wall
        self._rows: list[str] = []
        self._second = -1
        self._day = ""

    def add(
        self,
        request_id: str,
        method: str,
        route: str,
        status: int,
        ms: float,
        address: str | None,
        user: str | None,
    ) -> None:
        """Add a line, which is written when the event loop has gone through what is ready now."""
        now = self._wall()
        second = int(now)
        if second != self._second:
            self._second = second
            self._day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        at = f"{self._day}.{int((now - second) * 1_000_000):06d}Z"
        rows = self._rows
        rows.append(self._line(_Answer(at, request_id, method, route, status, ms, address, user)))
        if len(rows) == 1:
            asyncio.get_running_loop().call_soon(self.flush)
        elif len(rows) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait."""
        if self._rows:
            text = "".join(self._rows)
            self._rows.clear()
            # A full disk or a reader that went away must not end the answers.
            with suppress(OSError, ValueError):
                self._stream.write(text)
                self._stream.flush()


@lru_cache(4096)
def _told(value: str | None) -> str:
    return told(None if value is None else printable(value))


@lru_cache(4096)
def _json(value: str | None) -> str:
    return json.dumps(None if value is None else printable(value))


def _line(a: _Answer) -> str:
    return (
        f"{a.at} [info     ] request                        address={_told(a.address)} id={a.request_id}"
        f" method={a.method} ms={a.ms:.1f} route={_told(a.route)} status={a.status} user={_told(a.user)}\n"
    )


def _colored_line(a: _Answer) -> str:
    color = 32 if a.status < 400 else 33 if a.status < 500 else 31
    return (
        f"\x1b[2m{a.at}\x1b[0m [\x1b[32m\x1b[1minfo     \x1b[0m] \x1b[1mrequest                       \x1b[0m"
        f" {_pair('address', _told(a.address))} {_pair('id', a.request_id)} {_pair('method', a.method)}"
        f" {_pair('ms', f'{a.ms:.1f}')} {_pair('route', _told(a.route))} {_pair('status', str(a.status), color)}"
        f" {_pair('user', _told(a.user))}\n"
    )


def _pair(name: str, value: str, color: int = 35) -> str:
    return f"\x1b[36m{name}\x1b[0m=\x1b[{color}m{value}\x1b[0m"


def _json_line(a: _Answer) -> str:
    return (
        f'{{"id": "{a.request_id}", "method": "{a.method}", "route": {_json(a.route)}, "status": {a.status},'
        f' "ms": {a.ms:.1f}, "address": {_json(a.address)}, "user": {_json(a.user)},'
        f' "event": "request", "level": "info", "timestamp": "{a.at}"}}\n'
    )
