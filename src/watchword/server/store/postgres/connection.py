"""PostgreSQL under the intentions: their SQL in its dialect, its errors in our words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import asyncpg

from watchword.errors import ConfigurationError
from watchword.server.store.sql.transaction import PRIMARY, Row, Taken

__all__ = [
    "CLEANING",
    "FAULTS",
    "FORGOTTEN",
    "PostgresConnection",
    "forgetful_pooler",
    "is_away",
    "is_collision",
    "is_standby",
    "standby",
    "unreachable",
]

CLEANING: Final = 0x7761746368_02
"""The advisory lock of whoever clears up."""

_PRIMARY: Final = "1 / (1 - pg_is_in_recovery()::INT) = 1"

_MARK: Final = re.compile(r"\?(\d*)")

_AWAY: Final = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)

_AWAY_STATES: Final = frozenset({
    "22012",  # the proof that this is the primary (``PRIMARY``) failed
    "25006",  # the database only reads
    "25P03", "25P04",  # a transaction that idled, or took, too long
    "26000", "42P05",  # a pooler mixes up prepared statements
    "40001", "40P01",  # tried again, and lost again
    "55P03",  # a lock that was not to be had in time
})  # fmt: skip
_AWAY_CLASSES: Final = frozenset({"08", "28", "53", "57", "58"})
"""Connection, authorisation, resources, an operator's intervention, the system below."""

FAULTS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    ValueError,
)
"""What may go wrong while a database is opened: it is away, it refuses us, its URL is none."""

FORGOTTEN: Final = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
"""What PostgreSQL says when a pooler hands a client's prepared statement to another connection."""


def standby() -> ConfigurationError:
    """What is told of a database that is none to write to."""
    return ConfigurationError(
        "database: the server it names is a standby, which only reads and may lag behind. Name the primary, or all "
        "hosts: postgresql://a.internal,b.internal/NAME finds the primary among them"
    )


def forgetful_pooler() -> ConfigurationError:
    """What is told of a pooler that hands a client's prepared statements to nobody, or to somebody else."""
    return ConfigurationError(
        "database: the pooler in front of it loses prepared statements. Use PgBouncer 1.21 or later with "
        "max_prepared_statements above 0, or pool_mode = session"
    )


def is_standby(connection: asyncpg.Connection) -> bool:
    """Whether the server has said that it is a standby; it says so unasked (``in_hot_standby``, PostgreSQL 14)."""
    return getattr(connection.get_settings(), "in_hot_standby", "off") == "on"


def unreachable(broken: BaseException) -> ConfigurationError:
    """What is told of a database that could not be opened.

    The driver's own faults are not quoted: they repeat parts of the URL, and a password that was not
    percent-encoded is among them wherever it was cut.
    """
    if isinstance(broken, asyncpg.TargetServerAttributeNotMatched):
        return standby()
    if isinstance(broken, FORGOTTEN):
        return forgetful_pooler()
    if isinstance(broken, asyncpg.InterfaceError | ValueError):
        return ConfigurationError("database: cannot open it: its URL cannot be read, or something in it")
    if isinstance(broken, TimeoutError):
        return ConfigurationError("database: cannot open it: it does not answer in time")
    return ConfigurationError(f"database: cannot open it: {str(broken) or type(broken).__name__}")


@dataclass(frozen=True, slots=True)
class PostgresConnection:
    """A connection as intentions speak to it (``transaction.Connection``)."""

    raw: asyncpg.Connection
    timeout: float | None = None
    """Seconds for each statement; without, as long as the connection is opened for."""

    async def run(self, sql: str, values: Sequence[Any]) -> int:
        """Execute one statement."""
        try:
            status: str = await self.raw.execute(
                _numbered(sql), *map(_storable, values), timeout=self.timeout
            )
        except asyncpg.UniqueViolationError as error:
            # users_email_key_key: the table, the column, and what PostgreSQL adds
            raise Taken(error.constraint_name or "") from None
        return int(status.rpartition(" ")[2])

    async def first(self, sql: str, values: Sequence[Any]) -> Row | None:
        """The first row."""
        row = await self.raw.fetchrow(_numbered(sql), *map(_storable, values), timeout=self.timeout)
        return None if row is None else tuple(row)

    async def all(self, sql: str, values: Sequence[Any]) -> list[Row]:
        """Every row."""
        rows = await self.raw.fetch(_numbered(sql), *map(_storable, values), timeout=self.timeout)
        return [tuple(row) for row in rows]

    async def hold(self, sql: str, values: Sequence[Any]) -> None:
        """Wait for the rows and keep them: READ COMMITTED reads what stands after that."""
        await self.raw.execute(_numbered(sql), *map(_storable, values), timeout=self.timeout)

    async def turn(self) -> bool:
        """Whether this node clears up now: the lock ends with the transaction."""
        taken: bool = await self.raw.fetchval("SELECT pg_try_advisory_xact_lock($1)", CLEANING)
        return taken


def is_away(error: BaseException) -> bool:
    """Whether the database cannot be used right now, as against a fault of ours."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state in _AWAY_STATES or state[:2] in _AWAY_CLASSES
    return isinstance(error, _AWAY) and not isinstance(error, ValueError)


def is_collision(error: BaseException) -> bool:
    """Whether the transaction lost against another one, and will be carried out when it is tried again."""
    return isinstance(
        error,
        asyncpg.DeadlockDetectedError | asyncpg.SerializationError | asyncpg.InvalidCachedStatementError,
    )


@lru_cache(512)
def _numbered(sql: str) -> str:
    """``?`` and ``?1`` as ``$1``, the one function that goes by another name, and whether this is the primary."""
    count = 0

    def number(mark: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"${mark[1] or count}"

    return _MARK.sub(number, sql).replace("group_concat(", "string_agg(").replace(PRIMARY, _PRIMARY)


def _storable(value: Any) -> Any:
    # PostgreSQL keeps no NUL in a text: in a log it is shown as what cannot be shown, in a name it finds nobody.
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value
