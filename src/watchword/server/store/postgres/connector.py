"""Connections to PostgreSQL: with the session settings we rely on, to a primary, and with an end to each wait."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from watchword.errors import ConfigurationError
from watchword.server.store.postgres.connection import FORGOTTEN, forgetful_pooler, standby

__all__ = ["TIMEOUT", "Connector", "part"]

TIMEOUT: Final = 5.0
"""Seconds to wait for a connection, and for the answer to a statement (setting ``DATABASE_TIMEOUT``)."""

_GRACE: Final = 1.0
"""Seconds by which the server gives up a statement before we stop waiting: an error costs no connection."""

_LOCK_TIMEOUT: Final = 2.0
_SCAN_TIMEOUT: Final = 30.0
_IDLE_TRANSACTION: Final = 30.0

_FAREWELL: Final = 1.0

_OLDEST: Final = 14
"""The oldest major version of PostgreSQL that has everything the statements use."""

_UNSUPPORTED: Final = "unsupported startup parameter"

_EXAMINE: Final = """
SELECT current_setting('server_version_num')::INT / 10000 AS version,
    current_setting('server_encoding') AS encoding,
    current_setting('client_encoding') AS spoken,
    current_setting('default_transaction_read_only') AS read_only,
    (SELECT setting FROM pg_settings WHERE name = 'lock_timeout') AS lock_timeout,
    current_schema() AS schema,
    current_database() AS name,
    current_user AS role,
    pg_is_in_recovery() AS standby
"""

_LACKING: Final = """
SELECT p.privilege || ' on table ' || c.relname FROM pg_class c,
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (privilege)
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::TEXT[])
    AND NOT has_table_privilege(c.oid, p.privilege)
ORDER BY 1 LIMIT 1
"""


@dataclass(slots=True)
class Connector:
    """Opens connections to one database.

    Args:
        url: as libpq reads it. What it says itself, ``target_session_attrs`` or a server setting, counts.
        timeout: seconds to wait for a connection, and for the answer to a statement.
    """

    url: str
    timeout: float = TIMEOUT
    pooled: bool = False
    """A pooler stands between us and the server and keeps our session settings from it."""

    async def open(self, *, patient: bool = False) -> asyncpg.Connection:
        """Open a connection.

        Args:
            patient: for migrations and copies, whose statements take as long as they take.

        Raises:
            OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError,
            ValueError: it cannot be opened.
        """
        if not self.pooled:
            try:
                return await self._open(patient, self._settings(patient))
            except asyncpg.PostgresError as refused:
                if _UNSUPPORTED not in str(refused):
                    raise
            self.pooled = True
        return await self._open(patient, {})

    async def examine(self, connection: asyncpg.Connection) -> None:
        """Check what we rely on, and find out whether a pooler is in between.

        Raises:
            ConfigurationError: the database cannot serve us; it says why, and what helps.
        """
        found = await self.examine_database(connection)
        self.pooled = self.pooled or (
            "lock_timeout" not in self._said() and found["lock_timeout"] != _milliseconds(self._lock_timeout)
        )
        if self.pooled:
            if found["read_only"] == "on":
                raise ConfigurationError(
                    f'database: default_transaction_read_only is on for role "{found["role"]}" in'
                    f' database "{found["name"]}". Turn it off for this role'
                )
            await self._examine_pooler(connection)

    async def examine_database(self, connection: asyncpg.Connection) -> asyncpg.Record:
        """Check what a move relies on, too; what was found.

        Raises:
            ConfigurationError: as for ``examine``.
        """
        found = await connection.fetchrow(_EXAMINE)
        database = f'database "{found["name"]}"'
        if found["standby"]:
            raise standby()
        if found["version"] < _OLDEST:
            raise ConfigurationError(
                f"database: PostgreSQL {found['version']} is too old: {_OLDEST} or later is needed"
            )
        if found["encoding"] != "UTF8":
            raise ConfigurationError(
                f"database: the encoding of {database} is {found['encoding']}, and names and addresses need UTF8. "
                "Create a database with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0 and use that one"
            )
        if found["spoken"].upper().replace("-", "") != "UTF8":
            raise ConfigurationError(
                f"database: client_encoding is {found['spoken']} and must be UTF8. Remove it from the URL"
            )
        if found["schema"] is None:
            raise ConfigurationError(
                f'database: role "{found["role"]}" has no schema to use in {database}. '
                "Create one that its search_path names, or add ?search_path=NAME to the URL"
            )
        return found

    async def examine_rights(self, connection: asyncpg.Connection, tables: list[str]) -> None:
        """Check that our role may read and write *tables*.

        Raises:
            ConfigurationError: it may not; it names the first privilege that is missing.
        """
        if lacking := await connection.fetchval(_LACKING, tables):
            role = await connection.fetchval("SELECT current_user")
            raise ConfigurationError(
                f'database: role "{role}" lacks {lacking}. Grant it, or use the tables\' owner'
            )

    def begin(self, *, scan: bool = False) -> str:
        """The statement that begins a transaction.

        A scan sees one state of the database. It asks for the right to write all the same: a standby, which may
        lag behind, refuses that.
        """
        statement_timeout = _SCAN_TIMEOUT if scan else self.timeout
        level = "REPEATABLE READ, READ WRITE" if scan else "READ COMMITTED"
        begin = f"BEGIN ISOLATION LEVEL {level}"
        if scan or self.pooled:
            begin += f"; SET LOCAL statement_timeout = {_milliseconds(statement_timeout)}"
        if self.pooled:
            begin += f"; SET LOCAL lock_timeout = {_milliseconds(self._lock_timeout)}"
        return begin

    @property
    def scan_timeout(self) -> float:
        """Seconds to wait for the answer to one statement of a scan."""
        return _SCAN_TIMEOUT + _GRACE

    @property
    def _lock_timeout(self) -> float:
        return min(self.timeout, _LOCK_TIMEOUT)

    def _said(self) -> frozenset[str]:
        """What the URL itself sets."""
        with suppress(ValueError):
            return frozenset(parse_qs(urlsplit(self.url).query, keep_blank_values=True))
        return frozenset()

    def _settings(self, patient: bool) -> dict[str, str]:
        """Session settings: they win over those of the role and of the database, whoever made them for what."""
        ours = {
            "default_transaction_isolation": "read committed",
            "default_transaction_read_only": "off",
            "lock_timeout": "0" if patient else _milliseconds(self._lock_timeout),
            "statement_timeout": "0" if patient else _milliseconds(self.timeout),
            "idle_in_transaction_session_timeout": "0" if patient else _milliseconds(_IDLE_TRANSACTION),
        }
        said = self._said()
        return {name: value for name, value in ours.items() if name not in said}

    async def _open(self, patient: bool, settings: dict[str, str]) -> asyncpg.Connection:
        options: dict[str, Any] = {
            "timeout": self.timeout,
            "command_timeout": None if patient else self.timeout + _GRACE,
            "server_settings": {"application_name": "watchword", **settings},
        }
        if "target_session_attrs" not in self._said() and "PGTARGETSESSIONATTRS" not in os.environ:
            options["target_session_attrs"] = "primary"
        # A connect that is called off in its middle leaves an error that nobody reads: it is let end by itself.
        opening = asyncio.ensure_future(asyncpg.connect(self.url, **options))
        try:
            connection = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_hang_up)
            raise
        _watch_path(connection, self.timeout)
        return connection

    async def _examine_pooler(self, connection: asyncpg.Connection) -> None:
        """Use one prepared statement on two connections of the pooler to the server."""
        other = await self._open(False, {})
        try:
            await connection.fetchval("SELECT $1::INT", 1)
            async with other.transaction():
                await other.fetchval("SELECT $1::BIGINT", 1)
                await connection.fetchval("SELECT $1::INT", 2)
        except FORGOTTEN:
            raise forgetful_pooler() from None
        finally:
            other.terminate()


async def part(connection: asyncpg.Connection) -> None:
    """Close a connection, and wait for the server to hear of it, but not for long."""
    try:
        await connection.close(timeout=_FAREWELL)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        connection.terminate()


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


def _watch_path(connection: asyncpg.Connection, timeout: float) -> None:
    """Have the kernel notice that the other side is gone: a machine that lost its power says no farewell."""
    found = connection._transport.get_extra_info("socket")
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return
    options = (
        ("TCP_KEEPIDLE", round(timeout)),
        ("TCP_KEEPINTVL", 2),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", round(timeout * 1000)),
    )
    with suppress(OSError), socket.socket(fileno=os.dup(found.fileno())) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options:
            if number := getattr(socket, name, None):
                own.setsockopt(socket.IPPROTO_TCP, number, value)


def _hang_up(opening: asyncio.Future[asyncpg.Connection]) -> None:
    """End a connection that nobody waits for any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().terminate()
