"""Threads of one's own for work that would hold the loop: hashes, and commits that wait for the disk.

To wake a thread, and to be woken by one, costs as much as a hundred lines of Python. So what is asked for in one
turn of the loop is handed over together, and what is done in short order is handed back together.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread, get_native_id
from time import perf_counter
from typing import Any, Final, TypeVar

__all__ = ["Threads"]

T = TypeVar("T")

_SHORT: Final = 0.001
"""Seconds: what was done within them waits for the next, as far as there is one, to be handed back with it."""


@dataclass(slots=True, eq=False)
class _Asked:
    """A piece of work, who waits for it, and what it came to."""

    work: Callable[[], Any]
    future: asyncio.Future[Any]
    outcome: Any = None
    fault: BaseException | None = None


@dataclass(slots=True, eq=False)
class Threads:
    """So many threads for one loop, begun when there is something to do.

    Args:
        count: how many.
        name: what they are called.
        clock: seconds.
        nice: by how much they step back for the others of this machine, as ``nice`` does; on Linux alone.
    """

    count: int
    name: str
    clock: Callable[[], float] = field(default=perf_counter, repr=False)
    nice: int = 0
    _asked: list[_Asked] = field(default_factory=list, repr=False)
    _waiting: deque[_Asked] = field(default_factory=deque, repr=False)
    _done: deque[_Asked] = field(default_factory=deque, repr=False)
    _calls: SimpleQueue[bool] = field(default_factory=SimpleQueue, repr=False)
    _threads: list[Thread] = field(default_factory=list, repr=False)
    _told: bool = False
    _closed: bool = False

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Have *work* done, and await what it comes to; whoever stops waiting before it has begun calls it off."""
        if self._closed:
            raise RuntimeError(f"the threads {self.name} are closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._hand_over, loop)
        self._asked.append(_Asked(work, future))
        return future

    def close(self) -> None:
        """Let the threads go when they are done with what they are at; nothing else is begun."""
        self._closed = True
        for asked in self._asked:
            asked.future.cancel()
        self._asked.clear()
        while self._waiting:
            with suppress(IndexError):  # a thread has taken the last
                self._waiting.popleft().future.cancel()
        for _ in self._threads:
            self._calls.put(False)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        asked, self._asked = self._asked, []
        self._waiting.extend(asked)
        for _ in range(min(self.count, len(asked))):
            self._calls.put(True)
        while len(self._threads) < min(self.count, len(self._waiting)):
            self._threads.append(Thread(target=self._serve, args=(loop,), name=self.name, daemon=True))
            self._threads[-1].start()

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.nice and sys.platform == "linux":  # where a thread's number is good for this, too
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, get_native_id(), self.nice)
        while self._calls.get():
            told_at = self.clock()
            while self._waiting:
                with suppress(IndexError):  # another thread has taken the last
                    self._one(self._waiting.popleft())
                if not self._waiting or self.clock() - told_at >= _SHORT:
                    self._tell(loop)
                    told_at = self.clock()

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._told:
            self._told = True
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(self._hand_back)

    def _one(self, asked: _Asked) -> None:
        if asked.future.cancelled():
            return
        try:
            asked.outcome = asked.work()
        except BaseException as fault:
            asked.fault = fault
        self._done.append(asked)

    def _hand_back(self) -> None:
        self._told = False
        while self._done:
            asked = self._done.popleft()
            if asked.future.cancelled():
                continue
            if asked.fault is not None:
                asked.future.set_exception(asked.fault)
            else:
                asked.future.set_result(asked.outcome)
