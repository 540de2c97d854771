"""The store of a process that reads a SQLite file itself and hands what it would write to the one that writes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import msgspec

from watchword.errors import TemporarilyUnavailable
from watchword.server.ephemeral.counters import Count, Verdict
from watchword.server.store.engine import Intention, Shortcut, writes
from watchword.server.store.past import Past
from watchword.server.store.sql.transaction import Overlay
from watchword.server.store.sqlite.engine import SqliteEngine
from watchword.server.store.store import Store
from watchword.server.store.workers.messages import COUNTERS, Answer, asking, frame, outcome

__all__ = ["open_remote"]

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE: Final = 10.0
"""Seconds to wait for an outcome: longer than the writer itself waits for its file."""


@dataclass(slots=True)
class RemoteEngine:
    """Reads the file itself, and has what writes carried out by another process."""

    local: SqliteEngine
    line: Line

    @property
    def past(self) -> Past:
        """What this process knows of the log."""
        return self.local.past

    @property
    def shortcut(self) -> Shortcut | None:
        """None, as of the engine that writes."""
        return None

    @property
    def sweeps(self) -> bool:
        """False: the process that writes does."""
        return False

    def now(self) -> datetime:
        """The clock."""
        return self.local.now()

    async def carry_out(self, door: writes[P, T], /, *args: P.args, **named: P.kwargs) -> T:
        """Have it carried out.

        Raises:
            TemporarilyUnavailable: nobody writes right now; it may have been carried out if they left meanwhile.
            WatchwordError: what the intention raised.
        """
        outcome: T = await self.line.call(door.topic, door.name, *args, **named)
        return outcome

    async def read(self, query: Intention[T]) -> T:
        """A look-up by key."""
        return await self.local.read(query)

    async def snapshot(self, query: Intention[T]) -> T:
        """A look-up whose statements see one state."""
        return await self.local.snapshot(query)

    async def scan(self, query: Intention[T]) -> T:
        """A look-up that walks through many rows."""
        return await self.local.scan(query)

    def watch(self) -> AsyncIterator[None]:
        """After each commit."""
        return self.local.watch()

    async def check(self) -> Sequence[str]:
        """Everything that is broken in the data."""
        return await self.local.check()

    async def close(self) -> None:
        """Hang up, and let the file go."""
        await self.line.close()
        await self.local.close()


@dataclass(frozen=True, slots=True)
class RemoteCounters:
    """The counters of the process that writes."""

    line: Line

    async def look(self, counts: Sequence[Count]) -> Verdict:
        """How long to wait."""
        return Verdict(*await self.line.call(COUNTERS, "look", counts))

    async def settle(self, counts: Sequence[Count], matched: bool) -> Verdict:
        """Count or forget."""
        return Verdict(*await self.line.call(COUNTERS, "settle", counts, matched))

    async def sweep(self, limit: int) -> int:
        """Nothing to do: that process forgets what is old."""
        return 0

    async def close(self) -> None:
        """The store hangs up."""


def open_remote(path: str | Path, desk: Path, *, now: Callable[[], datetime], overlay: Overlay) -> Store:
    """Read the database at *path*, and write by way of *desk*.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    line = Line(desk)
    return Store(RemoteEngine(SqliteEngine.reading(path, now, overlay), line), RemoteCounters(line))


@dataclass(slots=True)
class Line:
    """One connection to the desk, made when it is needed and again when it broke."""

    desk: Path
    _writer: asyncio.StreamWriter | None = None
    _hearing: asyncio.Task[None] | None = None
    _waiting: dict[int, asyncio.Future[Answer]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _calling: asyncio.Lock = field(default_factory=asyncio.Lock)
    _closed: bool = False

    async def call(self, topic: str, name: str, *args: Any, **named: Any) -> Any:
        """Have an intention carried out.

        Raises:
            TemporarilyUnavailable: nobody writes right now; it may have been carried out if he left meanwhile.
            WatchwordError: what the intention raised.
        """
        ask = asking(next(self._numbers), topic, name, *args, **named)
        writer = await self._connect()
        told: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[ask.number] = told
        try:
            writer.write(frame(ask))
            async with asyncio.timeout(_PATIENCE):
                answer = await told
        except TimeoutError:
            raise _away() from None
        finally:
            self._waiting.pop(ask.number, None)
        return outcome(answer)

    async def close(self) -> None:
        """End it; who still waits is told to come again."""
        self._closed = True
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)

    async def _connect(self) -> asyncio.StreamWriter:
        async with self._calling:
            if self._closed:
                raise TemporarilyUnavailable("the store is closed")
            if self._writer is None:
                try:
                    reader, self._writer = await asyncio.open_unix_connection(str(self.desk))
                except OSError:
                    raise _away() from None
                self._hearing = asyncio.create_task(self._hear(reader, self._writer))
            return self._writer

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                answer = msgspec.msgpack.decode(await reader.readexactly(size), type=Answer)
                told = self._waiting.get(answer.number)
                if told is not None and not told.done():
                    told.set_result(answer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._writer = None
            writer.close()
            for told in self._waiting.values():
                if not told.done():
                    told.set_exception(_away())


def _away() -> TemporarilyUnavailable:
    return TemporarilyUnavailable("the process that writes is away", retry_after=1)
