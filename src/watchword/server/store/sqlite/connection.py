"""SQLite under the intentions: coroutines that never wait, carried out at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from watchword.server.store.sql.transaction import Row, Taken

__all__ = ["SqliteConnection", "at_once"]

T = TypeVar("T")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Carry *work* to its end. Over SQLite nothing in it waits, so nobody else gets a turn in between."""
    try:
        work.send(None)
    except StopIteration as done:
        outcome: T = done.value
        return outcome
    work.close()
    raise RuntimeError("an intention over SQLite waited for something else")


@dataclass(frozen=True, slots=True)
class SqliteConnection:
    """A connection as intentions speak to it (``transaction.Connection``)."""

    raw: sqlite3.Connection

    async def run(self, sql: str, values: Sequence[Any]) -> int:
        """Execute one statement."""
        try:
            return self.raw.execute(sql, values).rowcount
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname != "SQLITE_CONSTRAINT_UNIQUE":
                raise
            raise Taken(str(error).rpartition(".")[2]) from None

    async def first(self, sql: str, values: Sequence[Any]) -> Row | None:
        """The first row."""
        row: Row | None = self.raw.execute(sql, values).fetchone()
        return row

    async def all(self, sql: str, values: Sequence[Any]) -> list[Row]:
        """Every row."""
        return self.raw.execute(sql, values).fetchall()

    async def hold(self, sql: str, values: Sequence[Any]) -> None:
        """Nothing: whoever writes to SQLite holds all of it."""

    async def turn(self) -> bool:
        """Always: for the same reason."""
        return True
