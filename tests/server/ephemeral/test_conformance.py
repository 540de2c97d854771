"""Counters of every kind pass the same exam, each as two nodes see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.databases import Cluster
from tests.places import lent
from tests.server.ephemeral.conformance import CASES, Case, Clock, Exam
from watchword.server.ephemeral.counters import Counters
from watchword.server.ephemeral.memory import MemoryCounters
from watchword.server.ephemeral.redis import RedisCounters
from watchword.server.store.postgres.open import open_postgres
from watchword.server.store.sqlite.open import open_sqlite
from watchword.server.store.workers.client import open_remote
from watchword.server.store.workers.server import Desk, bind_desk

pytestmark = pytest.mark.anyio

NODES = 2


def now() -> datetime:
    return datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def sit(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Sit:
    """How a case is examined on fresh counters of this kind."""
    return Sit(kind, request, tmp_path)


class Sit:
    def __init__(self, kind: str, request: pytest.FixtureRequest, folder: Path) -> None:
        self.kind, self.request, self.folder = kind, request, folder

    @asynccontextmanager
    async def exam(self) -> AsyncIterator[Exam]:
        clock = Clock()
        async with AsyncExitStack() as opened:
            yield Exam(await getattr(self, self.kind)(clock, opened), clock)

    async def memory(self, clock: Clock, opened: AsyncExitStack) -> Sequence[Counters]:
        """One process, which is all its nodes."""
        return [MemoryCounters(clock.monotonic)]

    async def handed(self, clock: Clock, opened: AsyncExitStack) -> Sequence[Counters]:
        """Workers over one SQLite file."""
        place = self.folder / "store.db"
        writing = await open_sqlite(place, now=now, monotonic=clock.monotonic)
        opened.push_async_callback(writing.close)
        listener, path = bind_desk(self.folder)
        opened.enter_context(listener)
        await opened.enter_async_context(Desk.open(writing, listener, patience=5))
        nodes = []
        for _ in range(NODES):
            store = open_remote(place, path, now=now, overlay=lambda user, granted: {})
            opened.push_async_callback(store.close)
            nodes.append(store.counters)
        return nodes

    async def valkey(self, clock: Clock, opened: AsyncExitStack) -> Sequence[Counters]:
        """Nodes with one Valkey."""
        place, nodes = await self.request.getfixturevalue("valkey").place(), []
        for _ in range(NODES):
            counters = RedisCounters.open(place.replace("valkey:", "redis:"), str.encode, clock.monotonic)
            opened.push_async_callback(counters.close)
            nodes.append(counters)
        return nodes

    async def postgres(self, clock: Clock, opened: AsyncExitStack) -> Sequence[Counters]:
        """Nodes with one PostgreSQL."""
        cluster: Cluster = self.request.getfixturevalue("postgres")
        place, nodes = await opened.enter_async_context(lent(cluster)), []
        for _ in range(NODES):
            store = await open_postgres(place, monotonic=clock.monotonic)
            opened.push_async_callback(store.close)
            nodes.append(store.counters)
        return nodes


def named(case: Case) -> str:
    return case.__name__


class TestConformance:
    @pytest.mark.parametrize("case", CASES, ids=named)
    @pytest.mark.parametrize("kind", ["memory", "handed", "valkey", "postgres"])
    async def test_every_case(self, case: Case, sit: Sit) -> None:
        """What the case claims."""
        async with sit.exam() as exam:
            await case(exam)
