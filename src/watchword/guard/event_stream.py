"""Server-sent events as a guard reads them: bounded, and of one kind (HTML standard 9.2)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from watchword.errors import TemporarilyUnavailable

__all__ = ["Event", "read_events"]

_CHUNK: Final = 65536


class Event(NamedTuple):
    """One server-sent event."""

    id: str | None
    data: str


def read_events(
    read: Callable[[int], bytes],
    *,
    limit: int,
    patience: float,
    silence: Callable[[], float] = lambda: math.inf,
    wait: Callable[[float], None] = lambda seconds: None,
) -> Iterator[Event]:
    """The events of a stream that are meant for a guard, until it ends.

    Args:
        read: gives the next bytes, at most so many; none at the end.
        limit: bytes that one event may have.
        patience: seconds until the next whole event.
        silence: seconds left for the next event to begin.
        wait: told before each read how many seconds it may take.

    Raises:
        TemporarilyUnavailable: one is larger, does not come or is long in coming, or is no UTF-8.
    """
    lines: list[str] = []
    rest = bytearray()
    size = 0
    deadline = time.monotonic() + patience
    while True:
        left = math.inf if lines or rest else silence()
        if left <= 0:
            raise TemporarilyUnavailable("the stream fell silent")
        wait(left)
        chunk = read(_CHUNK)
        if not chunk:
            return
        searched = len(rest)
        rest += chunk
        size += len(chunk)
        if size > limit:
            raise TemporarilyUnavailable(f"an event of more than {limit} bytes")
        start = 0
        while (end := rest.find(b"\n", max(searched, start))) >= 0:
            line = _text(rest[start:end].rstrip(b"\r"))
            start = end + 1
            if line:
                if not line.startswith(":"):  # a comment keeps the connection open and begins no event
                    lines.append(line)
                continue
            event = _event(lines)
            lines, size = [], len(rest) - start
            if event is not None:
                yield event
                deadline = time.monotonic() + patience
        del rest[:start]
        if time.monotonic() > deadline:
            raise TemporarilyUnavailable("the stream says nothing of worth")


def _text(line: bytearray) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise TemporarilyUnavailable("the stream is no UTF-8") from None


def _event(lines: list[str]) -> Event | None:
    event_id, name = None, ""
    data: list[str] = []
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value and value.isascii() and value.isprintable():
            event_id = value
    return Event(event_id, "\n".join(data)) if data and name == "revocations" else None
