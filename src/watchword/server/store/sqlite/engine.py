"""SQLite in WAL mode with ``synchronous=FULL``: one writer with group commit, one reader."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from watchword.errors import ConfigurationError, ServerError, TemporarilyUnavailable
from watchword.server.store.engine import Intention, Shortcut, writes
from watchword.server.store.past import Past
from watchword.server.store.sql import invariants
from watchword.server.store.sql.transaction import LONGEST_LOG, Overlay, Transaction
from watchword.server.store.sqlite.connect import connect, connect_and_prepare, connect_to_read
from watchword.server.store.sqlite.connection import SqliteConnection, at_once
from watchword.server.store.sqlite.file import OpenedFile, check_past, learn_past
from watchword.server.store.sqlite.watch import FileWatch
from watchword.server.store.sqlite.writer import Writer, is_fault, unavailable

__all__ = ["SqliteEngine"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class SqliteEngine:
    """Intentions on a SQLite file: those that write share commits, those that read never wait for them."""

    path: str
    writer: Writer | None
    """``None`` where this process only reads."""
    reader: sqlite3.Connection
    now: Callable[[], datetime]
    overlay: Overlay
    longest_log: int = LONGEST_LOG
    _watchers: set[asyncio.Event] = field(default_factory=set)
    _closed: bool = False
    past: Past = field(default_factory=Past)
    _file: OpenedFile = field(init=False)

    def __post_init__(self) -> None:
        self._file = OpenedFile(self.path)

    @classmethod
    def reading(cls, path: str | Path, now: Callable[[], datetime], overlay: Overlay) -> Self:
        """Open a file that another process made and writes to.

        Raises:
            ConfigurationError: it cannot be opened.
        """
        try:
            return cls(str(path), None, connect_to_read(str(path)), now, overlay)
        except sqlite3.Error as broken:
            raise ConfigurationError(f"database: cannot open it: {broken}") from None

    @classmethod
    async def open(
        cls,
        path: str | Path,
        now: Callable[[], datetime],
        overlay: Overlay,
        longest_log: int,
        *,
        upgrade: bool,
    ) -> Self:
        """Connect, bring the schema up to date.

        Raises:
            ConfigurationError: the file cannot be opened, is no database, or is of another version.
        """
        name = str(path)
        watchers: set[asyncio.Event] = set()
        try:
            writing = await asyncio.to_thread(connect_and_prepare, name, now(), upgrade)
            reading = writing if name == ":memory:" else connect_to_read(name)
        except sqlite3.Error as broken:
            raise ConfigurationError(f"database: cannot open it: {broken}") from None

        def wake() -> None:
            for watcher in watchers:
                watcher.set()

        def committed(connection: sqlite3.Connection) -> None:
            if learn_past(connection, past):
                wake()

        past = Past(wake)
        writer = Writer(
            writing,
            begun=lambda connection: check_past(connection, past),
            committed=committed,
            reconnect=None if name == ":memory:" else lambda: connect(name),
            replaced=OpenedFile(name).was_replaced,
        )
        return cls(name, writer, reading, now, overlay, longest_log, watchers, past=past)

    @property
    def shortcut(self) -> Shortcut | None:
        """None: here a transaction costs no more than its statements."""
        return None

    @property
    def sweeps(self) -> bool:
        """Whether this process writes."""
        return self.writer is not None

    async def carry_out(self, door: writes[P, T], /, *args: P.args, **named: P.kwargs) -> T:
        """Run what writes; it is durable when this returns.

        Raises:
            ServerError: this process only reads.
            TemporarilyUnavailable: the database is not the one that was known.
        """
        return await self.write(door.bind(args, named), anew=door.anew)

    async def write(self, intention: Intention[T], *, anew: bool = False) -> T:
        """The same for any intention; *anew*: also on a database of another past."""

        def work(connection: sqlite3.Connection) -> T:
            if not anew:
                self.past.require()
            return at_once(intention(self._transaction(connection)))

        if self.writer is None:
            raise ServerError("this process only reads")
        return await self.writer.run(work)

    async def read(self, query: Intention[T]) -> T:
        """Answer from what is committed, each statement for itself; it takes microseconds, so no thread is asked.

        Raises:
            TemporarilyUnavailable: the file cannot be read.
        """
        return self._ask(query, self._read)

    async def snapshot(self, query: Intention[T]) -> T:
        """The same from one state.

        Raises:
            TemporarilyUnavailable: as ``read``.
        """
        if self._file.was_replaced():
            self._mend()
        return self._ask(query, self._read_one_state)

    async def scan(self, query: Intention[T]) -> T:
        """The same for a query that walks through many rows: it must not keep the loop."""
        if self.path == ":memory:":
            return await self.read(query)
        return await asyncio.to_thread(self.read_apart, query)

    def read_apart(self, query: Intention[T]) -> T:
        """The same on a connection of its own, so that any thread may ask."""
        try:
            with closing(connect_to_read(self.path)) as connection:
                return self._read_one_state(connection, query)
        except sqlite3.Error as broken:
            raise unavailable(broken) from broken

    async def watch(self) -> AsyncIterator[None]:
        """Yield after commits: of this process at once when they moved the log, after any within a poll."""
        moved, version = asyncio.Event(), self._data_version()

        def look() -> bool:
            nonlocal version
            before, version = version, self._data_version()
            if version != before:
                moved.set()
            return version != before

        others = FileWatch(self.path, look)
        if self.path != ":memory:":
            others.start()
        self._watchers.add(moved)
        try:
            while True:
                await moved.wait()
                moved.clear()
                version = self._data_version()
                yield
        finally:
            others.close()
            self._watchers.discard(moved)

    async def check(self) -> Sequence[str]:
        """Everything that is broken in the data, one line each."""
        return await self.scan(_broken)

    async def close(self) -> None:
        """Finish the writer's work and close both connections.

        The writer goes last, for only he can empty the write-ahead log: the file is whole then.
        """
        self._closed = True
        if self.writer is None or self.reader is not self.writer.connection:
            self.reader.close()
        if self.writer is not None:
            await self.writer.close()

    def _transaction(self, connection: sqlite3.Connection) -> Transaction:
        return Transaction(SqliteConnection(connection), self.now(), self.overlay, self.longest_log)

    def _ask(self, query: Intention[T], read: Callable[[sqlite3.Connection, Intention[T]], T]) -> T:
        if self._closed:
            raise TemporarilyUnavailable("the store is closed")
        try:
            return read(self.reader, query)
        except TemporarilyUnavailable:
            self._mend()
            raise
        except sqlite3.Error as broken:
            if not is_fault(broken):
                raise
            self._mend()
            raise unavailable(broken) from broken

    def _read(self, connection: sqlite3.Connection, query: Intention[T]) -> T:
        return at_once(query(self._transaction(connection)))

    def _read_one_state(self, connection: sqlite3.Connection, query: Intention[T]) -> T:
        if self.path == ":memory:":
            return self._read(connection, query)  # between two commits on the one connection there is
        connection.execute("BEGIN")
        try:
            return self._read(connection, query)
        finally:
            connection.execute("ROLLBACK")

    def _mend(self) -> None:
        """Open the file anew, so that a reader whose disk came back reads again."""
        if self.path == ":memory:":
            return
        with suppress(sqlite3.Error):
            fresh = connect_to_read(self.path)
            self.reader.close()
            self.reader = fresh

    def _data_version(self) -> int | None:
        # What fails here fails in ``read`` too, which tells its caller; a watcher only waits for better times.
        if self._file.was_replaced():
            self._mend()
            return None
        with suppress(sqlite3.Error):
            return int(self.reader.execute("PRAGMA data_version").fetchone()[0])
        return None


async def _broken(tx: Transaction) -> list[str]:
    found = [f"integrity: {row[0]}" for row in await tx.all("PRAGMA integrity_check(10)") if row[0] != "ok"]
    found += [f"foreign key: {row[0]} {row[1]}" for row in await tx.all("PRAGMA foreign_key_check")]
    return found + await invariants.broken(tx)
