"""The schema of a PostgreSQL database: brought up to date by one node while the others wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from watchword.server.store import migrations
from watchword.server.store.migrations import Migration
from watchword.server.store.postgres.connection import FAULTS, PostgresConnection, unreachable
from watchword.server.store.postgres.connector import Connector
from watchword.server.store.sql.seed import seed
from watchword.server.store.sql.transaction import LONGEST_LOG, Transaction, milliseconds

__all__ = ["apply", "lacking", "pending", "upgrade"]

_UPGRADING: Final = 0x7761746368_01
"""The advisory lock of whoever brings the schema up to date."""


_APPLIED: Final = (
    "SELECT number, word, coalesce(to_jsonb(m) ->> 'digest', '') AS digest FROM schema_migrations m"
)
"""The digest has no column in a database of an earlier version."""


async def lacking(url: str) -> Sequence[Migration]:
    """The steps the database at *url* lacks.

    Raises:
        ConfigurationError: it cannot be reached, or belongs to a newer program.
    """
    try:
        connector = Connector(url)
        connection = await connector.open()
        try:
            await connector.examine_database(connection)
            return await pending(connection)
        finally:
            await connection.close()
    except FAULTS as broken:
        raise unreachable(broken) from None


async def pending(connection: asyncpg.Connection) -> Sequence[Migration]:
    """The steps this database lacks.

    Raises:
        ConfigurationError: it belongs to a newer program.
    """
    applied = {}
    if await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL"):
        rows = await connection.fetch(_APPLIED)
        applied = {row["number"]: (row["word"], row["digest"]) for row in rows}
    return migrations.missing("postgres", applied)


async def upgrade(connector: Connector, now: datetime) -> Sequence[Migration]:
    """Apply what is missing, on a connection that waits as long as it takes."""
    connection = await connector.open(patient=True)
    try:
        return await apply(connection, now)
    finally:
        await connection.close()


async def apply(connection: asyncpg.Connection, now: datetime) -> Sequence[Migration]:
    """Apply what is missing, all or nothing. Nodes that start together queue at an advisory lock."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _UPGRADING)
        steps = await pending(connection)
        if steps:
            await connection.execute(migrations.TABLE)
        for step in steps:
            await connection.execute(step.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (number, word, applied_at) VALUES ($1, $2, $3)",
                step.number,
                step.word,
                milliseconds(now),
            )
            if step.number == 1:
                begin = Transaction(PostgresConnection(connection), now, lambda user, scope: {}, LONGEST_LOG)
                await seed(begin)
        if steps:
            for step in migrations.known("postgres"):
                await connection.execute(migrations.SIGN.format("$1", "$2"), step.digest, step.number)
    return steps
