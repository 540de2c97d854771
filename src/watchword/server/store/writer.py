"""Group commit: many intentions, one COMMIT, nobody answered before it is durable.

An fsync costs more than a hundred intentions. So they run one after the other inside one
transaction, each in a SAVEPOINT of its own, and share the COMMIT, which waits for the disk in a
thread. While it does, the next batch gathers.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from watchword.errors import TemporarilyUnavailable

__all__ = ["Writer"]

T = TypeVar("T")
Intention = Callable[[sqlite3.Connection], Any]

_BATCH: Final = 256
_LOCK_WAIT: Final = 5.0
"""Seconds to wait for another process that writes, before the caller is told to come again."""


@dataclass(slots=True)
class Writer:
    """The one connection that writes.

    Args:
        connection: in autocommit mode, usable from other threads.
        committed: called on the loop after each durable commit.
    """

    connection: sqlite3.Connection
    committed: Callable[[], None]
    _waiting: deque[tuple[Intention, asyncio.Future[Any]]] = field(default_factory=deque)
    _task: asyncio.Task[None] | None = None
    _closed: bool = False
    _disk: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="sqlite-commit")
    )

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
        self._waiting.append((intention, future))
        if self._task is None:
            self._task = loop.create_task(self._work())
        return await future

    async def close(self) -> None:
        """Finish what was asked for and close the connection."""
        self._closed = True
        if self._task is not None:
            await asyncio.shield(self._task)
        await asyncio.get_running_loop().run_in_executor(self._disk, self.connection.close)
        self._disk.shutdown()

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._batch()
        finally:
            self._task = None

    async def _batch(self) -> None:
        try:
            await self._begin()
        except sqlite3.Error as error:
            self._fail_waiting(error)
            return
        done: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        while self._waiting and len(done) < _BATCH:
            intention, future = self._waiting.popleft()
            if future.cancelled():
                continue
            done.append((future, *self._one(intention)))
        try:
            await asyncio.get_running_loop().run_in_executor(self._disk, self.connection.execute, "COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            done = [(future, None, _unavailable(error)) for future, _, _ in done]
        else:
            self.committed()
        for future, outcome, fault in done:
            if future.cancelled():
                continue
            if fault is not None:
                future.set_exception(fault)
            else:
                future.set_result(outcome)

    async def _begin(self) -> None:
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
                return
            await asyncio.sleep(0.002)

    def _one(self, intention: Intention) -> tuple[Any, BaseException | None]:
        execute = self.connection.execute
        try:
            execute("SAVEPOINT intention")
            outcome = intention(self.connection)
            execute("RELEASE intention")
        except Exception as error:
            try:
                execute("ROLLBACK TO intention")
                execute("RELEASE intention")
            except sqlite3.Error:
                # The whole transaction is gone (the disk is full): the COMMIT below fails for all.
                pass
            return None, _unavailable(error) if isinstance(error, sqlite3.OperationalError) else error
        return outcome, None

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def _fail_waiting(self, error: sqlite3.Error) -> None:
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.cancelled():
                future.set_exception(_unavailable(error))


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _unavailable(error: BaseException) -> TemporarilyUnavailable:
    fault = TemporarilyUnavailable("the database cannot be written right now", retry_after=1)
    fault.__cause__ = error
    return fault
