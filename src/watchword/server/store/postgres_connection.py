"""PostgreSQL under the intentions: their SQL in its dialect, its errors in our words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import asyncpg

from watchword.errors import ConfigurationError
from watchword.server.store.sql.transaction import Row, Taken

__all__ = [
    "CLEANING",
    "CONNECTING",
    "FAULTS",
    "PATIENCE",
    "PostgresConnection",
    "connect",
    "is_away",
    "is_collision",
    "unreachable",
]

PATIENCE: Final = 5.0
"""Seconds to wait for a connection, before the caller is told to come again."""

CONNECTING: Final[dict[str, Any]] = {
    "timeout": PATIENCE,
    "command_timeout": 30.0,
    "server_settings": {"application_name": "watchword"},
}

CLEANING: Final = 0x7761746368_02
"""The advisory lock of whoever clears up."""

_MARK: Final = re.compile(r"\?(\d*)")

_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.ReadOnlySQLTransactionError,
)

FAULTS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ValueError)
"""What may go wrong while a database is opened: it is away, it refuses us, its URL is none."""


async def connect(url: str) -> asyncpg.Connection:
    """A connection of its own, beside the pool."""
    return await asyncpg.connect(url, **CONNECTING)


def unreachable(broken: BaseException) -> ConfigurationError:
    """What is told of a database that could not be opened.

    The driver's own faults are not quoted: they repeat parts of the URL, and a password that was not
    percent-encoded is among them wherever it was cut.
    """
    if isinstance(broken, asyncpg.InterfaceError | ValueError):
        return ConfigurationError("database: cannot open it: its URL cannot be read, or something in it")
    return ConfigurationError(f"database: cannot open it: {str(broken) or type(broken).__name__}")


@dataclass(frozen=True, slots=True)
class PostgresConnection:
    """A connection as intentions speak to it (``transaction.Connection``)."""

    raw: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

    async def run(self, sql: str, values: Sequence[Any]) -> int:
        """Execute one statement."""
        try:
            status: str = await self.raw.execute(_numbered(sql), *map(_storable, values))
        except asyncpg.UniqueViolationError as error:
            # users_email_key_key: the table, the column, and what PostgreSQL adds
            raise Taken(error.constraint_name or "") from None
        return int(status.rpartition(" ")[2])

    async def first(self, sql: str, values: Sequence[Any]) -> Row | None:
        """The first row."""
        row = await self.raw.fetchrow(_numbered(sql), *map(_storable, values))
        return None if row is None else tuple(row)

    async def all(self, sql: str, values: Sequence[Any]) -> list[Row]:
        """Every row."""
        return [tuple(row) for row in await self.raw.fetch(_numbered(sql), *map(_storable, values))]

    async def hold(self, sql: str, values: Sequence[Any]) -> None:
        """Wait for the rows and keep them: READ COMMITTED reads what stands after that."""
        await self.raw.execute(_numbered(sql), *map(_storable, values))

    async def turn(self) -> bool:
        """Whether this node clears up now: the lock ends with the transaction."""
        taken: bool = await self.raw.fetchval("SELECT pg_try_advisory_xact_lock($1)", CLEANING)
        return taken


def is_away(error: BaseException) -> bool:
    """Whether the database cannot be used right now, as against a fault of ours."""
    return isinstance(error, _AWAY) and not isinstance(error, ValueError)


def is_collision(error: BaseException) -> bool:
    """Whether the transaction lost against another one, and will be carried out when it is tried again."""
    return isinstance(
        error,
        asyncpg.DeadlockDetectedError | asyncpg.SerializationError | asyncpg.InvalidCachedStatementError,
    )


@lru_cache(512)
def _numbered(sql: str) -> str:
    """``?`` and ``?1`` as ``$1``, and the one function that goes by another name."""
    count = 0

    def number(mark: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"${mark[1] or count}"

    return _MARK.sub(number, sql).replace("group_concat(", "string_agg(")


def _storable(value: Any) -> Any:
    # PostgreSQL keeps no NUL in a text: in a log it is shown as what cannot be shown, in a name it finds nobody.
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value
