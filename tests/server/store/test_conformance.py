"""Every back-end passes the same exam, on one node and on two."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.databases import Cluster
from tests.places import lent
from tests.server.store.conformance import CASES, RACES, Case, Clock, Exam
from watchword.server.store.postgres.open import open_postgres
from watchword.server.store.records import User
from watchword.server.store.sql.transaction import join
from watchword.server.store.sqlite.open import open_sqlite
from watchword.server.store.store import Store
from watchword.server.store.workers.client import open_remote
from watchword.server.store.workers.server import Desk, bind_desk

pytestmark = pytest.mark.anyio

LONGEST_LOG = 400


@pytest.fixture
def sit(request: pytest.FixtureRequest, kind: str, tmp_path: Path) -> Sit:
    """How a case is examined on a fresh database of this kind; ``+`` for a second node on it."""
    cluster: Cluster | None = request.getfixturevalue("postgres") if kind.startswith("postgres") else None
    return Sit(kind, tmp_path, cluster)


class Sit:
    def __init__(self, kind: str, folder: Path, cluster: Cluster | None) -> None:
        self.kind, self.folder, self.cluster = kind, folder, cluster

    async def __call__(self, case: Case, rounds: int) -> None:
        """What the case claims, and afterwards no rule of the data is broken."""
        async with self.exam(rounds) as exam:
            await case(exam)
            assert await exam.store.check() == []

    @asynccontextmanager
    async def exam(self, rounds: int) -> AsyncIterator[Exam]:
        clock = Clock()
        async with AsyncExitStack() as opened:
            place = await self.place(opened)
            stores: list[Store] = []
            for _ in range(2 if self.kind.endswith("+") else 1):
                store: Store
                if self.kind == "handed":
                    store = await self.handed(opened, place, clock)
                elif self.cluster is None:
                    store = await open_sqlite(place, now=clock.now, longest_log=LONGEST_LOG)
                else:
                    store = await open_postgres(place, now=clock.now, longest_log=LONGEST_LOG)
                opened.push_async_callback(store.close)
                stores.append(store)
            yield Exam(tuple(stores), clock, rounds, LONGEST_LOG)

    async def handed(self, opened: AsyncExitStack, place: str, clock: Clock) -> Store:
        """A store that hands its writing to another one, over a socket."""
        writing = await open_sqlite(place, now=clock.now, longest_log=LONGEST_LOG, overlay=roles_and_scope)
        opened.push_async_callback(writing.close)
        listener, path = bind_desk(self.folder)
        opened.enter_context(listener)
        await opened.enter_async_context(Desk.open(writing, listener, patience=5))
        return open_remote(place, path, now=clock.now, overlay=roles_and_scope)

    async def place(self, opened: AsyncExitStack) -> str:
        if self.cluster is not None:
            return await opened.enter_async_context(lent(self.cluster))
        return ":memory:" if self.kind == "memory" else str(self.folder / "store.db")


def roles_and_scope(user: User, granted: tuple[str, ...]) -> dict[str, Any]:
    """What an overlay shows."""
    return {"roles": list(user.roles), "scope": join(granted)}


def named(case: object) -> str:
    return getattr(case, "__name__", str(case))


class TestConformance:
    @pytest.mark.parametrize("case", CASES, ids=named)
    @pytest.mark.parametrize("kind", ["memory", "file", "handed", "postgres+"])
    async def test_every_case(self, case: Case, sit: Sit) -> None:
        """What the case claims; on PostgreSQL two nodes share the work of a race."""
        await sit(case, rounds=7)

    @pytest.mark.parametrize("case", RACES, ids=named)
    @pytest.mark.parametrize("kind", ["file+"])
    async def test_races_of_two_processes(self, case: Case, sit: Sit) -> None:
        """A command beside a running server writes to the same file."""
        await sit(case, rounds=2)

    @pytest.mark.long
    @pytest.mark.parametrize("case", RACES, ids=named)
    @pytest.mark.parametrize("kind", ["memory", "file", "postgres+"])
    async def test_r_03_r_04_races_many_times(self, case: Case, sit: Sit) -> None:
        """Two hundred rounds of each."""
        await sit(case, rounds=200)
