"""What a node hears from PostgreSQL beside its queries: that the log moved, and what time it is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Final

import asyncpg

__all__ = ["DatabaseClock", "News"]

_log = logging.getLogger("watchword.server")

CHANNEL: Final = "watchword_log"

_POLL: Final = 1.0
"""Seconds after which the log is read though nobody called: a pooler between us may swallow what is notified."""

_MEASURE: Final = 5.0
"""Seconds between two looks at the database's clock, which also prove that the connection still listens."""

_PAUSE: Final = 0.25
"""Seconds before the next attempt to connect."""


_GOOD: Final = 0.1
"""Seconds a question about the time may take, there and back, to be believed whatever came before."""

_DRIFT: Final = 1e-4
"""By how much two clocks may drift apart, a second."""

_SMALL: Final = 1.0
"""Seconds up to which a difference is made up for little by little, so that the time neither jumps nor stands."""

_SLEW: Final = 0.1
"""Seconds that are made up for in one."""


@dataclass(slots=True)
class DatabaseClock:
    """The database's time, carried on by a monotonic clock: all nodes agree, whatever their own clocks say."""

    monotonic: Callable[[], float] = time.monotonic
    _at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    _read: float = 0
    _owed: float = 0
    """Seconds by which we were wrong at ``_read``, and which are made up for since."""
    _error: float = inf
    """Seconds by which that may be wrong: half of what the answer took."""

    def now(self) -> datetime:
        """The time; milliseconds apart from the other nodes'."""
        return self._at + timedelta(seconds=self._passed(self.monotonic()))

    async def measure(self, connection: asyncpg.Connection) -> None:
        """Ask the database. An answer that was long under way is no news, unless we know nothing better."""
        began = self.monotonic()
        at = await connection.fetchval("SELECT clock_timestamp()")
        ended = self.monotonic()
        error = (ended - began) / 2
        if ended - began > _GOOD and error >= self._error + (ended - self._read) * _DRIFT:
            return
        measured, ours = at + timedelta(seconds=error), self._at + timedelta(seconds=self._passed(ended))
        self._owed = (measured - ours).total_seconds()
        if self._error < inf and abs(self._owed) > _SMALL:
            _log.warning("the database's clock jumped by %+.1f s; the node follows it", self._owed)
        if self._error == inf or abs(self._owed) > _SMALL:
            ours, self._owed = measured, 0
        self._at, self._read, self._error = ours, ended, error

    def _passed(self, monotonic: float) -> float:
        passed = monotonic - self._read
        most = passed * _SLEW
        return passed + max(-most, min(most, self._owed))


@dataclass(slots=True)
class News:
    """One connection that listens, begun anew whenever it breaks.

    Args:
        connect: opens a connection of its own.
        measure: what to do with it from time to time.
        answered: told when it has answered.
    """

    connect: Callable[[], Awaitable[asyncpg.Connection]]
    measure: Callable[[asyncpg.Connection], Awaitable[None]]
    answered: Callable[[], None]
    _watchers: set[asyncio.Event] = field(default_factory=set)
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop, and let the connection go."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def watch(self) -> AsyncIterator[None]:
        """Yield when the log moved, and now and then in vain."""
        moved = asyncio.Event()
        self._watchers.add(moved)
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL):
                        await moved.wait()
                moved.clear()
                yield
        finally:
            self._watchers.discard(moved)

    def wake(self, *_: object) -> None:
        """Have everybody read the log."""
        for watcher in self._watchers:
            watcher.set()

    async def _run(self) -> None:
        while True:
            # Whatever fails here fails in queries, too, which tell their callers; the listener comes again.
            with suppress(Exception):
                await self._listen(await self.connect())
            await asyncio.sleep(_PAUSE)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        try:
            await connection.add_listener(CHANNEL, self.wake)
            self.wake()  # for what was said while nobody listened
            while True:
                await self.measure(connection)
                self.answered()
                await asyncio.sleep(_MEASURE)
        finally:
            connection.terminate()
