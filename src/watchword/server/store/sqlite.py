"""The embedded store: SQLite in WAL with ``synchronous=FULL``, one writer with group commit, one reader."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Self, TypeVar

from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.server.store import migrations
from watchword.server.store.intentions import (
    SqlApis,
    SqlClients,
    SqlEvents,
    SqlKeys,
    SqlMeta,
    SqlOneTime,
    SqlRevocations,
    SqlRoles,
    SqlSessions,
    SqlUsers,
)
from watchword.server.store.sql import invariants
from watchword.server.store.sql.transaction import Overlay, Transaction, join, milliseconds
from watchword.server.store.writer import Writer

__all__ = ["SqliteStore"]

T = TypeVar("T")

_POLL: Final = 0.025
"""Seconds between two looks at ``PRAGMA data_version``, which tells of commits by other processes."""


@dataclass(slots=True)
class SqliteStore:
    """A store in one file, or in memory for tests; use ``open``."""

    users: SqlUsers
    sessions: SqlSessions
    clients: SqlClients
    roles: SqlRoles
    apis: SqlApis
    keys: SqlKeys
    events: SqlEvents
    revocations: SqlRevocations
    one_time: SqlOneTime
    meta: SqlMeta
    engine: Engine

    @classmethod
    async def open(
        cls,
        path: str | Path,
        *,
        now: Callable[[], datetime],
        overlay: Overlay = lambda user, granted: {"roles": list(user.roles), "scope": join(granted)},
        upgrade: bool = True,
    ) -> Self:
        """Open the database at *path* (``:memory:`` for one that lives as long as the store).

        Args:
            path: the file; made with mode 0600 when missing.
            now: the clock, aware and in UTC.
            overlay: what issued tokens show after a change of their user's roles.
            upgrade: apply missing migrations; without, a database that lacks some is refused.

        Raises:
            ConfigurationError: the file cannot be opened, is no database, or is of another version.
        """
        engine = await Engine.open(path, now, overlay, upgrade=upgrade)
        return cls(
            users=SqlUsers(engine),
            sessions=SqlSessions(engine),
            clients=SqlClients(engine),
            roles=SqlRoles(engine),
            apis=SqlApis(engine),
            keys=SqlKeys(engine),
            events=SqlEvents(engine),
            revocations=SqlRevocations(engine),
            one_time=SqlOneTime(engine),
            meta=SqlMeta(engine),
            engine=engine,
        )

    async def ready(self) -> None:
        """Prove that reading works."""
        self.engine.read(lambda tx: tx.one("SELECT 1 FROM head"))

    async def check(self) -> Sequence[str]:
        """Every broken rule of the data; runs in a thread, for it reads everything."""
        return await asyncio.to_thread(self.engine.read_apart, invariants.broken)

    async def close(self) -> None:
        """Finish what was acknowledged and let go."""
        await self.engine.close()


@dataclass(slots=True)
class Engine:
    """The connections under the protocols: ``write`` shares commits, ``read`` never waits for them."""

    path: str
    writer: Writer
    reader: sqlite3.Connection
    now: Callable[[], datetime]
    overlay: Overlay
    _watchers: set[asyncio.Event] = field(default_factory=set)

    @classmethod
    async def open(
        cls, path: str | Path, now: Callable[[], datetime], overlay: Overlay, *, upgrade: bool
    ) -> Self:
        """Connect, bring the schema up to date."""
        name = str(path)
        watchers: set[asyncio.Event] = set()
        try:
            writing = await asyncio.to_thread(_connect, name)
            await asyncio.to_thread(_prepare, writing, milliseconds(now()), upgrade)
            reading = writing if name == ":memory:" else _connect(name, read_only=True)
        except sqlite3.Error as broken:
            raise ConfigurationError(f"database: cannot open it: {broken}") from None

        def committed() -> None:
            for watcher in watchers:
                watcher.set()

        return cls(name, Writer(writing, committed), reading, now, overlay, watchers)

    async def write(self, intention: Callable[[Transaction], T]) -> T:
        """Carry out an intention; it is durable when this returns."""
        return await self.writer.run(
            lambda connection: intention(Transaction(connection, self.now(), self.overlay))
        )

    def read(self, query: Callable[[Transaction], T]) -> T:
        """Answer from one snapshot of what is committed; point look-ups take microseconds, so no thread is asked.

        Raises:
            TemporarilyUnavailable: the file cannot be read.
        """
        return self._read(self.reader, query)

    def read_apart(self, query: Callable[[Transaction], T]) -> T:
        """The same on a connection of its own, for a query long enough to be run in a thread."""
        if self.path == ":memory:":
            return self._read(self.reader, query)
        connection = _connect(self.path, read_only=True)
        try:
            return self._read(connection, query)
        finally:
            connection.close()

    async def watch(self) -> AsyncIterator[None]:
        """Yield after commits, of this process at once, of others within a poll."""
        moved = asyncio.Event()
        self._watchers.add(moved)
        try:
            version = self._data_version()
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL):
                        await moved.wait()
                now = self._data_version()
                if moved.is_set() or now != version:
                    moved.clear()
                    version = now
                    yield
        finally:
            self._watchers.discard(moved)

    async def close(self) -> None:
        """Finish the writer's work and close both connections."""
        await self.writer.close()
        if self.reader is not self.writer.connection:
            self.reader.close()

    def _read(self, connection: sqlite3.Connection, query: Callable[[Transaction], T]) -> T:
        alone = connection is not self.writer.connection
        try:
            if alone:
                connection.execute("BEGIN")
            try:
                return query(Transaction(connection, self.now(), self.overlay))
            finally:
                if alone:
                    connection.execute("COMMIT")
        except sqlite3.OperationalError as broken:
            raise TemporarilyUnavailable("the database cannot be read right now") from broken

    def _data_version(self) -> int:
        try:
            return int(self.reader.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as broken:
            raise TemporarilyUnavailable("the database cannot be read right now") from broken


def _connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    if path != ":memory:" and not read_only:
        # Made here first, so that nobody else can read it for a moment; -wal and -shm take its mode.
        with suppress(FileExistsError):
            try:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            except FileExistsError:
                raise
            except OSError as broken:
                raise ConfigurationError(f"database: cannot make it: {broken.strerror}") from None
    target = (
        "file:" + path.replace("?", "%3f").replace("#", "%23") + ("?mode=ro" if read_only else "?mode=rw")
    )
    connection = sqlite3.connect(
        path if path == ":memory:" else target,
        uri=path != ":memory:",
        isolation_level=None,
        check_same_thread=False,
        timeout=0.2 if read_only else 0,
        cached_statements=256,
    )
    if not read_only:
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -8192")
    return connection


def _prepare(connection: sqlite3.Connection, now_ms: int, upgrade: bool) -> None:
    if upgrade:
        migrations.apply(connection, now_ms)
    elif migrations.pending(connection):
        raise ConfigurationError("database: it lacks migrations; run `watchword db upgrade`")
    connection.execute("PRAGMA busy_timeout = 0")
