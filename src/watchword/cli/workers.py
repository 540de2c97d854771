"""``serve --workers N``: processes that share one socket, and the parent that starts, replaces and ends them.

The parent serves nobody. It has no thread and no event loop, so that it may fork at any time, and it
touches no database, so that nothing but a signal ends it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from watchword.cli.listener import turn_away
from watchword.errors import WatchwordError

__all__ = ["Crew", "Worker"]

_SHORTEST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 30.0
"""Seconds before a process that died is replaced: doubled with each death, until one has lived this long."""

_PATIENCE: Final = 5.0
"""Seconds beyond the time to drain after which a process that does not end is killed."""

_HURRIED: Final = 2.0
"""The same after a second signal."""

_SIGNALS: Final = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Worker:
    """What a process that serves knows of the others: its number, and the pipes to and from its parent."""

    number: int
    first: bool
    """Whether it begins before the others: it makes what is made once."""
    ready: int
    life: int
    """Readable when the parent is gone."""

    def tell_ready(self) -> None:
        """Let the parent know that we answer."""
        with suppress(OSError):  # no parent, nobody to tell
            os.write(self.ready, bytes((self.number,)))


@dataclass(slots=True)
class _Place:
    """One of the *n* processes: who holds the place, or when it is filled again."""

    number: int
    pid: int | None = None
    since: float = 0.0
    due: float | None = None
    pause: float = _SHORTEST_PAUSE


@dataclass(slots=True)
class Crew:
    """The processes of one server.

    Args:
        size: how many.
        listener: the socket they share, bound.
        drain: seconds a process may take to finish what is under way.
        logger: is told of each that begins and each that dies.
        announce: called once, when all of them answer.
    """

    size: int
    listener: socket.socket
    drain: float
    logger: Any
    announce: Callable[[], None]
    _places: list[_Place] = field(init=False)
    _ready: set[int] = field(default_factory=set)
    _announced: bool = False
    _stopping: bool = False
    _kill_at: float | None = None
    _code: int | None = None
    """What a process ended with that never served: so ends the parent."""

    def __post_init__(self) -> None:
        self._places = [_Place(number) for number in range(1, self.size + 1)]

    def run(self) -> Worker | None:
        """Keep them alive until a signal ends them. It comes back in each of them, too, with what that one is.

        Raises:
            SystemExit: one of them could not begin, and has said why.
            WatchwordError: one of them was killed before it served.
        """
        with _pipe() as (hear, ready), _pipe() as (life, _), _signals() as signals:
            place = self._supervise(signals, hear)
            if place is not None:
                worker = Worker(place.number, not self._ready, os.dup(ready), os.dup(life))
        if place is not None:
            # A terminal sends SIGINT to everybody; the parent is the one who acts on it.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            return worker
        if self._code is not None and self._code < 0:
            raise WatchwordError(f"workers: one was ended by signal {-self._code} before it served")
        if self._code is not None:
            raise SystemExit(self._code)
        return None

    def _supervise(self, signals: int, hear: int) -> _Place | None:
        """Look after the places until all are empty; in a child, which one it fills."""
        self._places[0].due = time.monotonic()
        while True:
            for place in self._places:
                if place.due is not None and place.due <= time.monotonic() and self._is_child(place):
                    return place
            heard, _, _ = select.select([signals, hear], [], [], self._wait())
            if hear in heard:
                self._note_ready(os.read(hear, 64))
            if signals in heard:
                for number in os.read(signals, 64):
                    if number != signal.SIGCHLD:
                        self._stop()
            for place in self._places:
                self._look_after(place)
            if self._stopping and all(place.pid is None for place in self._places):
                return None
            if self._kill_at is not None and time.monotonic() > self._kill_at:
                self._kill_at = None
                self._signal(signal.SIGKILL)

    def _is_child(self, place: _Place) -> bool:
        """Fork. The child's signals wait until it can take them."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        place.due, place.since = None, time.monotonic()
        place.pid = os.fork()
        if place.pid == 0:
            return True
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self.logger.info("worker begins", worker=place.number, pid=place.pid)
        return False

    def _note_ready(self, numbers: bytes) -> None:
        if not self._ready and not self._stopping:
            for place in self._places[1:]:
                place.due = time.monotonic()
        self._ready.update(numbers)
        if len(self._ready) == self.size and not self._announced:
            self._announced = True
            self.announce()

    def _look_after(self, place: _Place) -> None:
        """Take note of a death, and when somebody else comes."""
        if place.pid is None:
            return
        pid, status = os.waitpid(place.pid, os.WNOHANG)
        if pid == 0:
            return
        place.pid, code = None, os.waitstatus_to_exitcode(status)
        if self._stopping:
            return
        if place.number not in self._ready:
            self._code = code or 1
            self._stop()
            return
        now = time.monotonic()
        if now - place.since > _LONGEST_PAUSE:
            place.pause = _SHORTEST_PAUSE
        self.logger.error("worker died", worker=place.number, pid=pid, status=code, pause=place.pause)
        place.due = now + place.pause
        place.pause = min(place.pause * 2, _LONGEST_PAUSE)

    def _stop(self) -> None:
        """Let all of them drain; asked a second time, they stop waiting."""
        if self._stopping:
            self._signal(signal.SIGQUIT)
            self._kill_at = time.monotonic() + _HURRIED
            return
        self._stopping = True
        # Those who hold it, too, take in whoever is connected by now.
        turn_away(self.listener)
        self.listener.close()
        self._kill_at = time.monotonic() + self.drain + _PATIENCE
        for place in self._places:
            place.due = None
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        for place in self._places:
            if place.pid is not None:
                os.kill(place.pid, number)

    def _wait(self) -> float | None:
        """Seconds until something is to be done by ourselves."""
        times = [place.due for place in self._places if place.due is not None]
        if self._kill_at is not None:
            times.append(self._kill_at)
        return max(0.0, min(times) - time.monotonic()) if times else None


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


@contextmanager
def _signals() -> Iterator[int]:
    """A pipe that tells the numbers of signals, in place of what they do."""
    with _pipe() as (hear, tell):
        os.set_blocking(tell, False)
        before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        told = signal.set_wakeup_fd(tell)
        try:
            yield hear
        finally:
            signal.set_wakeup_fd(told)
            for number, handler in before.items():
                signal.signal(number, handler)
