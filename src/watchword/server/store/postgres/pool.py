"""Connection pool: opened on demand, emptied as a whole when one connection goes silent, with a reserve for reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

import asyncpg

from watchword.errors import TemporarilyUnavailable
from watchword.server.store.postgres.connection import is_standby
from watchword.server.store.postgres.connector import part

__all__ = ["Pool", "Use"]

T = TypeVar("T")

Use = Literal["read", "write", "scan"]
"""A statement that waits for no lock, a transaction that may, a walk through many rows."""

_SIZE: Final = 10
_RESERVE: Final = 3
"""Connections that transactions never take: while they all wait for one lock, reads and sign-ins go on."""


@dataclass(slots=True)
class Pool:
    """The connections of one node.

    Args:
        connect: opens a connection, within its own time limit.
        timeout: seconds to wait for a free connection.
    """

    connect: Callable[[], Awaitable[asyncpg.Connection]]
    timeout: float
    _idle: list[asyncpg.Connection] = field(default_factory=list)
    _lent: dict[asyncpg.Connection, Use] = field(default_factory=dict)
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SIZE))
    _for_writes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SIZE - _RESERVE))
    _silent: bool = False
    """The last answer did not come in time: one connection at a time is tried until one answers."""
    _trying: bool = False
    _closed: bool = False

    async def run(self, use: Use, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Do *work* on a connection that nobody else uses meanwhile.

        Raises:
            TemporarilyUnavailable: none is free or can be opened in time, or the pool is closed.
        """
        if self._closed:
            raise TemporarilyUnavailable("the store is closed")
        if use == "write":
            await self._enter(self._for_writes)
        try:
            await self._enter(self._free)
            try:
                return await self._run(use, work)
            finally:
                self._free.release()
        finally:
            if use == "write":
                self._for_writes.release()

    async def close(self) -> None:
        """Close every connection: idle ones now, the others when their work ends, at the latest after *timeout*."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*map(part, idle))
        with suppress(TimeoutError):
            async with asyncio.timeout(self.timeout):
                for _ in range(_SIZE):
                    await self._free.acquire()
        for connection in list(self._lent):
            connection.terminate()

    def distrust(self) -> None:
        """Drop the idle connections and those that only read: where one stays silent, the others are suspect."""
        self._silent = True
        for connection in self._idle:
            connection.terminate()
        self._idle.clear()
        for connection, use in self._lent.items():
            if use != "write":  # a transaction has its own time limits, and may be about to commit
                connection.terminate()

    def trust(self) -> None:
        """The database answers: open connections freely again."""
        self._silent = False

    async def _enter(self, places: asyncio.Semaphore) -> None:
        if not places.locked():
            await places.acquire()
            return
        try:
            async with asyncio.timeout(self.timeout):
                await places.acquire()
        except TimeoutError:
            raise TemporarilyUnavailable(
                "the database is busy: no connection is free", retry_after=1
            ) from None

    async def _run(self, use: Use, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        connection = await self._take()
        self._lent[connection] = use
        try:
            outcome = await work(connection)
        except (
            TimeoutError,
            asyncio.CancelledError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ) as broken:
            # Whatever was asked may still be under way there.
            connection.terminate()
            if isinstance(broken, TimeoutError):
                self.distrust()
            raise
        except BaseException:
            self._give_back(connection)
            raise
        else:
            self._give_back(connection)
            return outcome
        finally:
            del self._lent[connection]

    async def _take(self) -> asyncpg.Connection:
        if self._closed:
            raise TemporarilyUnavailable("the store is closed")
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                if not is_standby(connection):
                    return connection
                connection.terminate()
        connection = await self._open()
        if is_standby(connection):
            connection.terminate()
            raise TemporarilyUnavailable("the database is a standby, which may lag behind", retry_after=1)
        return connection

    async def _open(self) -> asyncpg.Connection:
        if not self._silent:
            return await self._try()
        if self._trying:
            raise TemporarilyUnavailable("the database does not answer", retry_after=1)
        self._trying = True
        try:
            return await self._try()
        finally:
            self._trying = False

    async def _try(self) -> asyncpg.Connection:
        try:
            connection = await self.connect()
        except TimeoutError:
            self.distrust()
            raise
        self._silent = False
        return connection

    def _give_back(self, connection: asyncpg.Connection) -> None:
        if connection.is_closed():
            return
        if self._closed or self._silent or connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append(connection)
