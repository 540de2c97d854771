"""Every back-end passes the same exam, on one node and on two."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from watchword.server.store.conformance import CASES, RACES, Case, Clock, Exam
from watchword.server.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

LONGEST_LOG = 400


@asynccontextmanager
async def open_exam(kind: str, folder: Path, rounds: int) -> AsyncIterator[Exam]:
    """A fresh database of this kind; ``+`` for a second node on it."""
    clock = Clock()
    path = ":memory:" if kind == "memory" else folder / "store.db"
    async with AsyncExitStack() as opened:
        stores = []
        for _ in range(2 if kind.endswith("+") else 1):
            store = await SqliteStore.open(path, now=clock.now, longest_log=LONGEST_LOG)
            opened.push_async_callback(store.close)
            stores.append(store)
        yield Exam(tuple(stores), clock, rounds, LONGEST_LOG)


def named(case: object) -> str:
    return getattr(case, "__name__", str(case))


class TestConformance:
    @pytest.mark.parametrize("case", CASES, ids=named)
    @pytest.mark.parametrize("kind", ["memory", "file"])
    async def test_every_case(self, case: Case, kind: str, tmp_path: Path) -> None:
        """What the case claims, and afterwards no rule of the data is broken."""
        await sit(case, kind, tmp_path, rounds=7)

    @pytest.mark.parametrize("case", RACES, ids=named)
    async def test_races_of_two_processes(self, case: Case, tmp_path: Path) -> None:
        """A command beside a running server writes to the same file."""
        await sit(case, "file+", tmp_path, rounds=2)

    @pytest.mark.long
    @pytest.mark.parametrize("case", RACES, ids=named)
    @pytest.mark.parametrize("kind", ["memory", "file"])
    async def test_r_03_r_04_races_many_times(self, case: Case, kind: str, tmp_path: Path) -> None:
        """Two hundred rounds of each."""
        await sit(case, kind, tmp_path, rounds=200)


async def sit(case: Case, kind: str, folder: Path, rounds: int) -> None:
    async with open_exam(kind, folder, rounds) as exam:
        await case(exam)
        assert await exam.store.check() == []
