"""What a node hears from PostgreSQL beside its queries: that the log moved, and what time it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

__all__ = ["DatabaseClock", "News"]

CHANNEL: Final = "watchword_log"

_POLL: Final = 1.0
"""Seconds after which the log is read though nobody called: a pooler between us may swallow what is notified."""

_MEASURE: Final = 5.0
"""Seconds between two looks at the database's clock, which also prove that the connection still listens."""

_PAUSE: Final = 0.25
"""Seconds before the next attempt to connect."""


@dataclass(slots=True)
class DatabaseClock:
    """The database's time, carried on by a monotonic clock: all nodes agree, whatever their own clocks say."""

    monotonic: Callable[[], float] = time.monotonic
    _at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    _read: float = 0

    def now(self) -> datetime:
        """The time; milliseconds apart from the other nodes'."""
        return self._at + timedelta(seconds=self.monotonic() - self._read)

    async def measure(self, connection: asyncpg.Connection) -> None:
        """Ask the database; the answer is as old as half the way."""
        began = self.monotonic()
        at = await connection.fetchval("SELECT clock_timestamp()")
        self._at, self._read = at, (began + self.monotonic()) / 2


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
