"""Turns at computations that take long: networks in turn, so that nobody's flood is everybody's wait.

What a stranger causes is seconds of the processor, and not tries. A network that asks for more than its turn waits
behind itself, and behind each network that hasn't had a turn yet; when the queue is full, the longest line gives way
to whoever has none.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Final, TypeVar

from watchword.errors import TemporarilyUnavailable
from watchword.server.threads import Threads

__all__ = ["Turns"]

T = TypeVar("T")
_Line = deque[asyncio.Future[None]]

_AHEAD: Final = 0.015
"""Seconds of work that threads are given beyond what they are at, so that none waits for the event loop."""
_LEAST: Final = 0.0005
"""Seconds that a computation is taken to last at least."""
_PASSED: Final = 4
"""Networks that may go before those that have had a turn; with many new ones the others would wait forever."""


@dataclass(slots=True, eq=False)
class Turns:
    """Threads, and the lines before them.

    Args:
        threads: what computes.
        span: seconds of work that may wait.
        least: computations that may wait in any case.
        cost: seconds that one computation is expected to take; measured from then on.
    """

    threads: Threads
    span: float
    least: int
    cost: float
    _begun: int = field(init=False, default=0)
    _waiting: int = field(init=False, default=0)
    _new: dict[str, _Line] = field(init=False, default_factory=dict, repr=False)
    """Of each network that has had no turn since it began to wait, those who wait; they come first, in this order."""
    _again: dict[str, _Line] = field(init=False, default_factory=dict, repr=False)
    """Of the others; the network that is next comes first."""
    _passed: int = field(init=False, default=0)
    """Turns of the former since one of the latter."""
    _at_work: Counter[str] = field(init=False, default_factory=Counter, repr=False)
    """Computations of each network that have begun."""

    @property
    def pending(self) -> int:
        """How many computations are asked for and not done."""
        return self._begun + self._waiting

    async def run(self, work: Callable[[], T], network: str) -> T:
        """Have *work* done when it is the turn of *network*.

        Raises:
            TemporarilyUnavailable: more waits than may, and no other network has a longer line.
        """
        if not self._waiting and self._begun < self._ahead():
            self._begin(network)
        else:
            await self._queue(network)
        try:
            return await self.threads.run(partial(self._timed, work))
        finally:
            self._end(network)

    def close(self) -> None:
        """Let the threads go, and whoever waits."""
        for line in (*self._new.values(), *self._again.values()):
            for turn in line:
                turn.cancel()
        self._new.clear()
        self._again.clear()
        self._waiting = 0
        self.threads.close()

    def _ahead(self) -> int:
        count = self.threads.count
        return count + int(_AHEAD * count / self.cost)

    def _begin(self, network: str) -> None:
        self._begun += 1
        self._at_work[network] += 1

    def _end(self, network: str) -> None:
        self._begun -= 1
        self._at_work[network] -= 1
        if not self._at_work[network]:
            del self._at_work[network]
        while self._waiting and self._begun < self._ahead():
            self._go_on()

    async def _queue(self, network: str) -> None:
        room = max(self.least, int(self.span * self.threads.count / self.cost))
        if self.pending >= room + self.threads.count and not self._give_way(network):
            raise TemporarilyUnavailable("too many log-ins at once", retry_after=1)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        had_a_turn = network in self._again or network in self._at_work
        (self._again if had_a_turn else self._new).setdefault(network, deque()).append(turn)
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # It was given the turn at the moment at which its client went away.
                self._end(network)
            raise

    def _give_way(self, network: str) -> bool:
        """Refuse the last of the longest line, if it is longer than that of *network* would be."""
        own = len(self._new.get(network) or self._again.get(network) or ())
        longest = max((*self._new.values(), *self._again.values()), key=len, default=None)
        if longest is None or len(longest) <= own + 1:
            return False
        turn = longest.pop()
        self._waiting -= 1
        if not turn.done():
            turn.set_exception(TemporarilyUnavailable("too many log-ins at once", retry_after=1))
        return True

    def _go_on(self) -> None:
        """Let the next one begin."""
        first = self._new and not (self._again and self._passed >= _PASSED)
        lines = self._new if first else self._again
        self._passed = self._passed + 1 if first else 0
        network = next(iter(lines))
        line = lines.pop(network)
        turn = line.popleft()
        if line:
            self._again[network] = line  # behind the others
        self._waiting -= 1
        if not turn.done():
            self._begin(network)
            turn.set_result(None)

    def _timed(self, work: Callable[[], T]) -> T:
        started = perf_counter()
        try:
            return work()
        finally:
            self.cost = 0.9 * self.cost + 0.1 * max(perf_counter() - started, _LEAST)
