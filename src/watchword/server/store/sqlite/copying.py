"""A SQLite file as one end of a move."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from watchword.errors import ConfigurationError
from watchword.server.store.copying import BATCH, MARK, NEW_INSTANCE, TABLES, Table
from watchword.server.store.scratch import remove_scratch, scratch_beside
from watchword.server.store.sql.seed import new_instance
from watchword.server.store.sqlite import schema

__all__ = ["reading", "writing"]


@dataclass(frozen=True, slots=True)
class SqliteSource:
    """A file, read in one transaction (``copying.Source``)."""

    path: Path
    connection: sqlite3.Connection

    async def count(self, table: Table) -> int:
        """How many."""
        return int(self.connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0])

    async def columns(self, table: Table) -> Sequence[str]:
        """Which."""
        found = [row[1] for row in self.connection.execute(f"PRAGMA table_info({table.name})")]
        return [name for name in found if not (table.numbered and name == table.order)]

    async def rows(self, table: Table, columns: Sequence[str]) -> AsyncIterator[Sequence[Sequence[Any]]]:
        """In batches."""
        cursor = self.connection.execute(
            f"SELECT {', '.join(map(_quoted, columns))} FROM {table.name} ORDER BY {table.order}"
        )
        while batch := cursor.fetchmany(BATCH):
            yield batch

    async def mark(self) -> Sequence[Any]:
        """Seen by another connection."""
        with closing(_connect(self.path)) as now:
            return tuple(now.execute(MARK).fetchone())

    async def marked(self) -> Sequence[Any]:
        """Seen by this one."""
        return tuple(self.connection.execute(MARK).fetchone())

    async def silence(self) -> float | None:
        """By this machine's clock."""
        with closing(_connect(self.path)) as now:
            (seen,) = now.execute("SELECT max(seen_at) FROM nodes").fetchone()
        return None if seen is None else time.time() - seen / 1000


@dataclass(frozen=True, slots=True)
class SqliteTarget:
    """A new file, filled in one transaction (``copying.Target``)."""

    connection: sqlite3.Connection

    async def put(self, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add."""
        marks = ", ".join("?" * len(columns))
        self.connection.executemany(
            f"INSERT INTO {table.name} ({', '.join(map(_quoted, columns))}) VALUES ({marks})", rows
        )

    async def rename(self) -> None:
        """Another instance id."""
        self.connection.execute(NEW_INSTANCE.format("?"), (new_instance(),))


@asynccontextmanager
async def reading(path: Path) -> AsyncIterator[SqliteSource]:
    """The file at *path*, which may be written to meanwhile.

    Raises:
        ConfigurationError: it is no database of this version.
    """
    try:
        with closing(_connect(path)) as connection:
            if schema.pending(connection):
                raise ConfigurationError(f"{path} lacks migrations; run `watchword db upgrade`")
            connection.execute("BEGIN")
            yield SqliteSource(path, connection)
    except sqlite3.Error as broken:
        raise ConfigurationError(f"{path} cannot be read: {broken}") from None


@asynccontextmanager
async def writing(path: Path, now: datetime) -> AsyncIterator[SqliteTarget]:
    """A new file at *path*, mode 0600, which is there when all of it is.

    Raises:
        ConfigurationError: there is one already, or it cannot be made.
    """
    part: Path | None = None
    try:
        part = await asyncio.to_thread(_begin, path)
        await asyncio.to_thread(_fill, part, now)
        with closing(_connect(part)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in reversed(TABLES):
                connection.execute(f"DELETE FROM {table.name}")
            yield SqliteTarget(connection)
            connection.execute("COMMIT")
        os.link(part, path)
    except FileExistsError:
        raise ConfigurationError(f"{path} is there already, and nothing is overwritten") from None
    except (OSError, sqlite3.Error) as broken:
        raise ConfigurationError(f"{path} cannot be made: {broken}") from None
    finally:
        if part is not None:
            await asyncio.to_thread(remove_scratch, part)


def _begin(path: Path) -> Path:
    if os.path.lexists(path):
        raise FileExistsError(path)
    return scratch_beside(path)


def _fill(part: Path, now: datetime) -> None:
    with closing(_connect(part)) as connection:
        schema.apply(connection, now)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=10)


def _quoted(name: str) -> str:
    return f'"{name}"'
