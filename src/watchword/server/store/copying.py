"""All the data of one database into another, of the same kind or not: a move, or a backup of a shared one.

Both schemas have the same tables and columns, so rows travel as they are; only numbers that a database
gives itself are given anew, in the same order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from watchword.errors import Conflict, TemporarilyUnavailable
from watchword.server.store.sql.nodes import LIFE

__all__ = ["BATCH", "MARK", "NEW_INSTANCE", "TABLES", "Source", "Table", "Target", "move"]

BATCH: Final = 2000
"""Rows that travel together."""

MARK: Final = (
    "SELECT (SELECT epoch FROM head), (SELECT sequence FROM head), (SELECT mark FROM head),"
    " (SELECT coalesce(max(id), 0) FROM events),"
    " (SELECT coalesce(max(last_used_at), 0) FROM sessions)"
)
"""What moves when somebody writes."""

NEW_INSTANCE: Final = (
    "UPDATE head SET former_instances = trim(former_instances || ' ' || instance), instance = {}"
)
"""Sessions go on after a move, so refresh tokens of the instance before still count."""

Row = Sequence[Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name, the column it is read in the order of, and whether the database numbers its rows in it."""

    name: str
    order: str
    numbered: bool = False


TABLES: Final = (
    Table("meta", "name"),
    Table("head", "epoch"),
    Table("log_marks", "sequence"),
    Table("roles", "name"),
    Table("apis", "audience"),
    Table("clients", "id"),
    Table("users", "n", numbered=True),
    Table("sessions", "n", numbered=True),
    Table("signing_keys", "kid"),
    Table("revocations", "sequence"),
    Table("events", "id", numbered=True),
    Table("one_time", "digest"),
    Table("password_resets", "user_id"),
    Table("email_changes", "user_id"),
)
"""In an order in which each row finds what it refers to."""


class Source(Protocol):
    """A database that is read, as it stood at one moment."""

    async def count(self, table: Table) -> int:
        """How many rows there are."""

    async def columns(self, table: Table) -> Sequence[str]:
        """Its columns, but for the one the database numbers."""

    def rows(self, table: Table, columns: Sequence[str]) -> AsyncIterator[Sequence[Row]]:
        """Its rows, in batches."""

    async def mark(self) -> Row:
        """What stands under ``MARK`` now, not at that moment."""

    async def marked(self) -> Row:
        """What stood there at that moment."""

    async def silence(self) -> float | None:
        """Seconds since a server last said that it runs on this database; ``None``: each has said that it left."""


class Target(Protocol):
    """A database that is filled, all at once: what was put is there when its context ends well, or never was."""

    async def put(self, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Add rows."""

    async def rename(self) -> None:
        """Give the database an instance id of its own (``NEW_INSTANCE``)."""


async def move(
    source: AbstractAsyncContextManager[Source],
    target: AbstractAsyncContextManager[Target],
    progress: Progress,
    *,
    at_rest: bool,
) -> int:
    """Fill *target* with what is in *source*; how many rows that were.

    Args:
        source, target: from the back-ends.
        progress: told the rows that are done and how many there are.
        at_rest: whether nobody may write to the source meanwhile, because it is left for good.

    Raises:
        Conflict: somebody did; the target is as it was.
        ConfigurationError: one of the two cannot be used, or the target is not empty.
    """
    async with source as reading, target as writing:
        if at_rest:
            await _require_rest(reading)
        total = sum([await reading.count(table) for table in TABLES])
        done = 0
        for table in TABLES:
            columns = await reading.columns(table)
            async for batch in reading.rows(table, columns):
                await writing.put(table, columns, batch)
                done += len(batch)
                progress(done, total)
        if done != total:
            raise TemporarilyUnavailable("the data moved while it was read")
        if at_rest:
            await writing.rename()
        if at_rest and await reading.mark() != await reading.marked():
            raise Conflict("somebody writes to the database that is left; stop its server and move again")
        if at_rest:
            await _require_rest(reading)
    return done


async def _require_rest(source: Source) -> None:
    """Check that no server runs on *source*: what an idle one writes later would go to data that nobody reads.

    Raises:
        Conflict: one does.
    """
    silence = await source.silence()
    if silence is not None and silence < LIFE.total_seconds():
        raise Conflict(
            f"a server runs on the database that is left, seen {max(round(silence), 0)} seconds ago; stop it and move "
            f"again. One that was killed counts for {LIFE.total_seconds():.0f} seconds"
        )
