"""Turns at computations that take long: networks in turn, so that nobody's flood is everybody's wait.

What a stranger causes is seconds of the processor, and not tries. A network that asks for more than its turn waits
behind itself; when the queue is full, the longest line gives way to whoever has none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Final, TypeVar

from watchword.errors import TemporarilyUnavailable
from watchword.server.beside import Threads

__all__ = ["Turns"]

T = TypeVar("T")

_AHEAD: Final = 0.05
"""Seconds of work that threads are given beyond what they are at, so that none waits for the event loop."""
_LEAST: Final = 0.0005
"""Seconds that a computation is taken to last at least."""


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
    _lines: dict[str, deque[asyncio.Future[None]]] = field(init=False, default_factory=dict, repr=False)
    """Of each network, those who wait; the network that is next comes first."""

    @property
    def pending(self) -> int:
        """How many computations are asked for and not done."""
        return self._begun + self._waiting

    async def run(self, work: Callable[[], T], network: str) -> T:
        """Have *work* done when it is the turn of *network*.

        Raises:
            TemporarilyUnavailable: more waits than may, and no other network has a longer line.
        """
        if not self._lines and self._begun < self._ahead():
            self._begun += 1
        else:
            await self._queue(network)
        try:
            return await self.threads.run(partial(self._timed, work))
        finally:
            self._begun -= 1
            self._go_on()

    def close(self) -> None:
        """Let the threads go, and whoever waits."""
        for line in self._lines.values():
            for turn in line:
                turn.cancel()
        self._lines.clear()
        self.threads.close()

    def _ahead(self) -> int:
        count = self.threads.count
        return count + int(_AHEAD * count / self.cost)

    async def _queue(self, network: str) -> None:
        room = max(self.least, int(self.span * self.threads.count / self.cost))
        if self.pending >= room + self.threads.count and not self._give_way(network):
            raise TemporarilyUnavailable("too many log-ins at once", retry_after=1)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(network, deque()).append(turn)
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was given the turn at the moment at which its client went away.
                self._begun -= 1
                self._go_on()
            raise

    def _give_way(self, network: str) -> bool:
        """Refuse the last of the longest line, if it is longer than that of *network* would be."""
        longest = max(self._lines.values(), key=len, default=None)
        if longest is None or len(longest) <= len(self._lines.get(network, ())) + 1:
            return False
        turn = longest.pop()
        self._waiting -= 1
        if not turn.done():
            turn.set_exception(TemporarilyUnavailable("too many log-ins at once", retry_after=1))
        return True

    def _go_on(self) -> None:
        while self._lines and self._begun < self._ahead():
            network = next(iter(self._lines))
            line = self._lines.pop(network)
            turn = line.popleft()
            if line:
                self._lines[network] = line  # behind the others
            self._waiting -= 1
            if not turn.done():
                self._begun += 1
                turn.set_result(None)

    def _timed(self, work: Callable[[], T]) -> T:
        started = perf_counter()
        try:
            return work()
        finally:
            self.cost = 0.9 * self.cost + 0.1 * max(perf_counter() - started, _LEAST)
