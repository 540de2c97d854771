"""Group commit: many intentions, one COMMIT, nobody answered before it is durable.

An fsync costs more than a hundred intentions. So they run one after the other inside one
transaction and share the COMMIT, which waits for the disk in a thread. While it does, the next
batch gathers. An intention asks before it writes, so one that fails has seldom written; where one
has, all that the batch wrote is undone and carried out again, each in a SAVEPOINT of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.server.threads import Threads

__all__ = ["Writer", "is_fault", "unavailable"]

T = TypeVar("T")
Intention = Callable[[sqlite3.Connection], Any]

_BATCH: Final = 256
_SLICE: Final = 0.001
"""Seconds a batch may keep the loop before others get their turn."""

_GATHERING: Final = 0.003
"""Seconds that a batch may wait while each turn of the loop brings more: a commit takes about as long."""

_LOCK_WAIT: Final = 5.0
"""Seconds to wait for another process that writes, before the caller is told to come again."""

_LOCK_POLL: Final = 0.002


class _TransactionLost(Exception):
    """SQLite gave up the whole transaction, not one intention: nothing of this batch stands."""


class _HalfDone(Exception):
    """An intention failed after it had written, and with it in them the batch's writes cannot stand."""


@dataclass(slots=True)
class _Asked:
    """An intention, who waits for it, and what it came to."""

    intention: Intention
    future: asyncio.Future[Any]
    outcome: Any = None
    fault: Exception | None = None


@dataclass(slots=True)
class Writer:
    """The one connection that writes.

    Args:
        connection: in autocommit mode, usable from other threads.
        begun: called at the start of each transaction, before anything is written in it.
        committed: called on the loop after each durable commit, with the connection that made it.
        reconnect: opens the file anew when the connection is beyond repair; ``None`` for a database
            in memory, which would be lost with it and waits for no disk: it commits at once, so that
            reads over the same connection never see half a transaction.
        replaced: whether another file took the place of the one that was opened.
    """

    connection: sqlite3.Connection
    begun: Callable[[sqlite3.Connection], None]
    committed: Callable[[sqlite3.Connection], None]
    reconnect: Callable[[], sqlite3.Connection] | None
    replaced: Callable[[], bool]
    _waiting: deque[_Asked] = field(default_factory=deque)
    _task: asyncio.Task[None] | None = None
    _closed: bool = False
    _disk: Threads = field(default_factory=lambda: Threads(1, "sqlite-commit"))

    async def run(self, intention: Callable[[sqlite3.Connection], T]) -> T:
        """Carry out *intention* and return its outcome once it is on the disk.

        Raises:
            TemporarilyUnavailable: the database is locked, full, read-only or gone; nothing was written.
            WatchwordError: whatever the intention raised; it alone was rolled back.
        """
        if self._closed:
            raise TemporarilyUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Asked(intention, future))
        if self._task is None:
            self._task = loop.create_task(self._work())
        return await future

    async def close(self) -> None:
        """Finish what was asked for and close the connection."""
        self._closed = True
        if self._task is not None:
            await asyncio.shield(self._task)
        await self._disk.run(self.connection.close)
        self._disk.close()

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._batch()
        finally:
            self._task = None

    async def _batch(self) -> None:
        await self._gather()
        try:
            await self._begin()
        except sqlite3.Error as error:
            self._mend()
            self._fail_waiting(error)
            return
        taken: list[_Asked] = []
        failure: Exception | None = None
        try:
            try:
                await self._carry_out(self._turns(taken), self._one)
            except _HalfDone:
                self.connection.execute("ROLLBACK")
                await self._begin()
                await self._carry_out(iter(taken), self._one_apart)
            await self._commit()
        except (sqlite3.Error, _TransactionLost) as error:
            failure = error
            self._mend()
        else:
            self.committed(self.connection)
        for asked in taken:
            if asked.future.cancelled():
                continue
            if failure is not None:
                asked.future.set_exception(unavailable(failure))
            elif asked.fault is not None:
                asked.future.set_exception(asked.fault)
            else:
                asked.future.set_result(asked.outcome)

    async def _gather(self) -> None:
        """Wait while each turn of the loop brings more to do, for a short while: they share what a commit costs."""
        loop = asyncio.get_running_loop()
        until, known = loop.time() + _GATHERING, 0
        while known < len(self._waiting) < _BATCH and loop.time() < until:
            known = len(self._waiting)
            await asyncio.sleep(0)

    async def _begin(self) -> None:
        if self.replaced():
            self._reopen()
        # Waiting for the lock inside SQLite would hold the loop; so it is asked again and again.
        loop = asyncio.get_running_loop()
        until = loop.time() + _LOCK_WAIT
        while True:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or loop.time() > until:
                    raise
            else:
                self.begun(self.connection)
                return
            await asyncio.sleep(_LOCK_POLL)

    def _turns(self, taken: list[_Asked]) -> Iterator[_Asked]:
        while self._waiting and len(taken) < _BATCH:
            asked = self._waiting.popleft()
            if not asked.future.cancelled():
                taken.append(asked)
                yield asked

    async def _carry_out(self, turns: Iterator[_Asked], one: Callable[[_Asked], None]) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _SLICE
        for asked in turns:
            one(asked)
            if self.reconnect is not None and loop.time() > until:
                await asyncio.sleep(0)
                until = loop.time() + _SLICE

    def _one(self, asked: _Asked) -> None:
        before = self.connection.total_changes
        try:
            asked.outcome = asked.intention(self.connection)
        except Exception as error:
            self._check_transaction(error)
            if self.connection.total_changes != before:
                raise _HalfDone from error
            asked.fault = _told(error)

    def _one_apart(self, asked: _Asked) -> None:
        execute = self.connection.execute
        execute("SAVEPOINT intention")
        asked.outcome = asked.fault = None
        try:
            asked.outcome = asked.intention(self.connection)
        except Exception as error:
            self._check_transaction(error)
            execute("ROLLBACK TO intention")
            asked.fault = _told(error)
        execute("RELEASE intention")

    def _check_transaction(self, error: Exception) -> None:
        # On a full disk SQLite may have rolled back everything. To go on then would commit each of
        # the next intentions by itself, behind the callers' backs.
        if not self.connection.in_transaction:
            raise _TransactionLost from error

    async def _commit(self) -> None:
        if self.reconnect is None:
            self.connection.execute("COMMIT")
        else:
            await self._disk.run(partial(self.connection.execute, "COMMIT"))

    def _mend(self) -> None:
        """Leave no transaction behind; open the file anew where even that fails."""
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._reopen()

    def _reopen(self) -> None:
        if self.reconnect is None:
            return
        with suppress(sqlite3.Error):
            self.connection.close()
        # Where it cannot be opened, the next batch finds a closed connection and comes here again.
        with suppress(sqlite3.Error, ConfigurationError):
            self.connection = self.reconnect()

    def _fail_waiting(self, error: sqlite3.Error) -> None:
        while self._waiting:
            future = self._waiting.popleft().future
            if not future.cancelled():
                future.set_exception(unavailable(error))


def is_fault(error: BaseException) -> bool:
    """Whether the database failed, as against somebody who asked it for what may not be."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def _told(error: Exception) -> Exception:
    return unavailable(error) if is_fault(error) else error


def unavailable(error: BaseException) -> TemporarilyUnavailable:
    """What the caller is told of a database that fails."""
    fault = TemporarilyUnavailable("the database cannot be used right now", retry_after=1)
    fault.__cause__ = error
    return fault


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
