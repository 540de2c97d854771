"""The store of a process that reads a SQLite file itself and hands what it would write to the one that writes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from watchword.errors import TemporarilyUnavailable
from watchword.server.store.sql.transaction import Overlay
from watchword.server.store.sqlite.store import SqliteStore
from watchword.server.store.workers.messages import WRITING, Answer, asking, frame, outcome

__all__ = ["RemoteStore"]

_PATIENCE: Final = 10.0
"""Seconds to wait for an outcome: longer than the writer itself waits for its file."""


@dataclass(slots=True)
class RemoteStore:
    """A store whose reads are its own and whose writes are another process's; use ``open``."""

    users: Any
    sessions: Any
    clients: Any
    roles: Any
    apis: Any
    keys: Any
    events: Any
    revocations: Any
    one_time: Any
    password_resets: Any
    email_changes: Any
    meta: Any
    counters: Any
    local: SqliteStore
    line: Line

    @classmethod
    def open(cls, path: str | Path, desk: Path, *, now: Callable[[], datetime], overlay: Overlay) -> Self:
        """Read the database at *path*, and write by way of *desk*.

        Raises:
            ConfigurationError: the file cannot be read.
        """
        local, line = SqliteStore.reading(path, now=now, overlay=overlay), Line(desk)
        protocols = {name: _Divided(name, getattr(local, name), line) for name in WRITING}
        return cls(**protocols, local=local, line=line)

    def now(self) -> datetime:
        """The time, by the clock it was opened with."""
        return self.local.now()

    async def ready(self) -> None:
        """Prove that reading works."""
        await self.local.ready()

    async def check(self) -> Sequence[str]:
        """Every broken rule of the data, one line each; empty when all is well."""
        return await self.local.check()

    async def close(self) -> None:
        """Hang up, and let the file go."""
        await self.line.close()
        await self.local.close()


class _Divided:
    """One protocol: the methods that write go out, the others stay here."""

    def __init__(self, name: str, local: Any, line: Line) -> None:
        self._local = local
        for method in WRITING[name][1]:
            setattr(self, method, partial(line.hand, name, method))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._local, name)


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

    async def hand(self, protocol: str, method: str, *args: Any, **named: Any) -> Any:
        """Have an intention carried out.

        Raises:
            TemporarilyUnavailable: nobody writes right now; it may have been carried out if he left meanwhile.
            WatchwordError: what the intention raised.
        """
        ask = asking(next(self._numbers), protocol, method, *args, **named)
        writer = await self._call()
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

    async def _call(self) -> asyncio.StreamWriter:
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
