"""The stores under examination."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.databases import Cluster

# The exam states its claims with ``assert``; a failed one shows both sides, as in a test.
pytest.register_assert_rewrite("tests.server.store.conformance")

from tests.server.store.conformance import Clock, Exam  # noqa: E402 - after the line above
from watchword.server.store.postgres.open import open_postgres  # noqa: E402 - the same


@pytest.fixture
async def place(postgres: Cluster) -> str:
    return await postgres.place()


@pytest.fixture
async def exam(place: str) -> AsyncIterator[Exam]:
    clock = Clock()
    store = await open_postgres(place, now=clock.now)
    yield Exam((store,), clock)
    await store.close()


@pytest.fixture
async def operator(place: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else at the same database."""
    connection = await asyncpg.connect(place)
    yield connection
    await connection.close()


async def waits(operator: asyncpg.Connection) -> None:
    """Somebody stands in line for a lock."""
    await until(operator, "SELECT count(*) FROM pg_locks WHERE NOT granted")


async def until(operator: asyncpg.Connection, count: str) -> None:
    """The query counts something."""
    async with asyncio.timeout(20):
        while True:
            if await operator.fetchval(count):
                return
            await asyncio.sleep(0.02)
