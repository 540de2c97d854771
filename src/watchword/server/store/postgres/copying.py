"""A PostgreSQL database as one end of a move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import asyncpg

from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.server.store.copying import BATCH, MARK, NEW_INSTANCE, TABLES, Table
from watchword.server.store.postgres import schema
from watchword.server.store.postgres.connection import FAULTS, unreachable
from watchword.server.store.postgres.connector import Connector
from watchword.server.store.sql.seed import new_instance

__all__ = ["reading", "writing"]

_COLUMNS: Final = (
    "SELECT column_name, data_type FROM information_schema.columns"
    " WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
)
_SILENCE: Final = "SELECT extract(epoch FROM clock_timestamp()) - max(seen_at) / 1000.0 FROM nodes"
_WAKE: Final = "UPDATE head SET epoch = epoch"
"""Tells the nodes to read the log again; the trigger is on updates."""
_LAST: Final = ("signing_keys", "revocations", "log_marks", "head")
_LOCK: Final = "LOCK TABLE {} IN {{}} MODE".format(
    ", ".join((*(table.name for table in TABLES if table.name not in _LAST), *_LAST))
)
"""In the order in which intentions lock, so that those under way end while we wait for the next table."""
_TRIES: Final = 50
_WAIT: Final = 0.2
"""Seconds a table is waited for: PostgreSQL looks for deadlocks after a second, and ends one of the two."""
_LONG_WAIT: Final = 1.5
"""Seconds of every fourth try: only who has waited for a second makes PostgreSQL call off its own vacuum."""


@dataclass(frozen=True, slots=True)
class PostgresSource:
    """A database, read in one snapshot (``copying.Source``)."""

    url: str
    connection: asyncpg.Connection

    async def count(self, table: Table) -> int:
        """How many."""
        return int(await self.connection.fetchval(f"SELECT count(*) FROM {table.name}"))

    async def columns(self, table: Table) -> Sequence[str]:
        """Which."""
        found = [row[0] for row in await self.connection.fetch(_COLUMNS, table.name)]
        return [name for name in found if not (table.numbered and name == table.order)]

    async def rows(self, table: Table, columns: Sequence[str]) -> AsyncIterator[Sequence[Sequence[Any]]]:
        """In batches."""
        names = ", ".join(map(_quoted, columns))
        cursor = await self.connection.cursor(f"SELECT {names} FROM {table.name} ORDER BY {table.order}")
        while batch := await cursor.fetch(BATCH):
            yield [tuple(row) for row in batch]

    async def mark(self) -> Sequence[Any]:
        """Seen by another connection."""
        now = await Connector(self.url).open()
        try:
            return tuple(await now.fetchrow(MARK))
        finally:
            await now.close()

    async def marked(self) -> Sequence[Any]:
        """Seen by this one."""
        return tuple(await self.connection.fetchrow(MARK))

    async def silence(self) -> float | None:
        """By the database's clock."""
        now = await Connector(self.url).open()
        try:
            found = await now.fetchval(_SILENCE)
            return None if found is None else float(found)
        finally:
            await now.close()


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """A database, filled in one transaction (``copying.Target``)."""

    connection: asyncpg.Connection
    _booleans: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)

    async def put(self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add."""
        if table.name not in self._booleans:
            found = await self.connection.fetch(_COLUMNS, table.name)
            self._booleans[table.name] = frozenset(name for name, kind in found if kind == "boolean")
        # SQLite keeps a truth as a number, and a text may hold what PostgreSQL's never do.
        truths = [name in self._booleans[table.name] for name in columns]
        records = [tuple(map(_storable, row, truths)) for row in rows]
        await self.connection.copy_records_to_table(table.name, records=records, columns=list(columns))

    async def rename(self) -> None:
        """Another instance id."""
        await self.connection.execute(NEW_INSTANCE.format("$1"), new_instance())


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[PostgresSource]:
    """The database at *url*, which may be written to meanwhile.

    Raises:
        ConfigurationError: it cannot be reached, or is of another version.
    """
    try:
        connector = Connector(url)
        connection = await connector.open(patient=True)
        try:
            await connector.examine_database(connection)
            if await schema.pending(connection):
                raise ConfigurationError("the database lacks migrations; run `watchword db upgrade`")
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield PostgresSource(url, connection)
        finally:
            await connection.close()
    except FAULTS as broken:
        raise unreachable(broken) from None


@asynccontextmanager
async def writing(
    url: str,
    now: datetime,
    *,
    replace: bool = False,
    keep: Callable[[PostgresSource], Awaitable[None]] | None = None,
) -> AsyncIterator[PostgresTarget]:
    """The database at *url*, whose schema is made when missing.

    Args:
        url: where it is.
        now: the time, for the schema.
        replace: whether what is in it goes; without, it must be empty.
        keep: given what is in it, when nobody else can write to it any more; reads go on meanwhile.

    Raises:
        ConfigurationError: it cannot be reached, or is not empty.
        TemporarilyUnavailable: somebody writes and does not let go.
    """
    try:
        connector = Connector(url)
        connection = await connector.open(patient=True)
        try:
            await connector.examine_database(connection)
            await schema.apply(connection, now)
            async with connection.transaction():
                if keep is not None:
                    await _hold(connection, "EXCLUSIVE")
                    await keep(PostgresSource(url, connection))
                await _hold(connection, "ACCESS EXCLUSIVE")
                if not replace and await connection.fetchval("SELECT EXISTS (SELECT 1 FROM users)"):
                    raise ConfigurationError("the database has users already, and nothing is overwritten")
                for table in reversed(TABLES):
                    await connection.execute(f"DELETE FROM {table.name}")
                yield PostgresTarget(connection)
                await connection.execute(_WAKE)
        finally:
            await connection.close()
    except FAULTS as broken:
        raise unreachable(broken) from None


async def _hold(connection: asyncpg.Connection, mode: str) -> None:
    """Keep others out until the transaction ends; who has one table and waits for another goes first."""
    for number in range(_TRIES):
        wait = _LONG_WAIT if number % 4 == 3 else _WAIT
        await connection.execute(f"SET LOCAL lock_timeout = '{round(wait * 1000)}ms'")
        try:
            async with connection.transaction():
                await connection.execute(_LOCK.format(mode))
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await asyncio.sleep(_WAIT)
        else:
            await connection.execute("SET LOCAL lock_timeout = DEFAULT")
            return
    raise TemporarilyUnavailable("the database is written to and cannot be replaced now")


def _storable(value: Any, truth: bool) -> Any:
    if truth:
        return bool(value)
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


def _quoted(name: str) -> str:
    return f'"{name}"'
