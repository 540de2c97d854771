"""Databases whose schema stands already: making it costs more than most tests that want an empty one.

Whoever is lent a place finds what the first opening leaves there, to the row and to the next number. A place whose
schema somebody touched, or that somebody still holds, is not lent again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from tests.databases import Cluster
from watchword.server.store.open import open_store

BEGIN = datetime(2030, 1, 1, 12, tzinfo=UTC)
"""Where the clocks of tests begin: the seed carries this date."""

TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    " ORDER BY oid DESC"
)
"""Whatever refers to another table was made after it."""

SCHEMA = """
WITH known AS (SELECT oid, xmin FROM pg_class WHERE relnamespace = current_schema()::regnamespace), parts AS (
  SELECT 'class', oid::text, xmin::text FROM known
  UNION ALL SELECT 'column', attrelid || '.' || attnum, xmin::text FROM pg_attribute
    WHERE attrelid IN (SELECT oid FROM known)
  UNION ALL SELECT 'trigger', oid::text, xmin::text FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM known)
  UNION ALL SELECT 'constraint', oid::text, xmin::text FROM pg_constraint WHERE conrelid IN (SELECT oid FROM known)
  UNION ALL SELECT 'function', oid::text, xmin::text FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace
) SELECT md5(string_agg(parts::text, ' ' ORDER BY parts)) FROM parts
"""
"""A digest of who wrote each part of the schema: any change of it gives another one."""

NUMBERS = "SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema()"


@dataclass(frozen=True)
class Place:
    """A database that was opened once, and the statements that bring back what stood in it."""

    url: str
    schema: str
    reset: str

    async def clear(self) -> bool:
        """Make it what it was; ``False``: it cannot be had."""
        connection = await asyncpg.connect(self.url)
        try:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '300ms'")
                if await connection.fetchval(SCHEMA) != self.schema:
                    return False
                await connection.execute(self.reset)
        except asyncpg.LockNotAvailableError:
            return False
        finally:
            await connection.close()
        return True


@asynccontextmanager
async def lent(cluster: Cluster) -> AsyncIterator[str]:
    """The URL of a database that holds the schema and its seed, until the end of the block."""
    place = None
    while place is None and cluster.places:
        found = cluster.places.pop()
        place = found if await found.clear() else None
    place = place or await _make(cluster)
    yield place.url
    cluster.places.append(place)


async def _make(cluster: Cluster) -> Place:
    url = await cluster.place()
    store = await open_store(url, now=lambda: BEGIN)
    await store.close()
    connection = await asyncpg.connect(url)
    try:
        tables = [row[0] for row in await connection.fetch(TABLES)]
        reset = [f"DELETE FROM {table}" for table in tables]
        for table in reversed(tables):
            if rows := await connection.fetchval(f"SELECT jsonb_agg(t) FROM {table} t"):
                literal = rows.replace("'", "''")
                values = f"NULL::{table}, '{literal}'"
                reset.append(f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset({values})")
        numbers = [row[0] for row in await connection.fetch(NUMBERS)]
        reset += [f"SELECT setval('{name}', 1, false)" for name in numbers]
        return Place(url, await connection.fetchval(SCHEMA), ";".join(reset))
    finally:
        await connection.close()
