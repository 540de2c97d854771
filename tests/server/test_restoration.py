"""A restore beside servers that write: what they acknowledged is in the new data, or in the copy of the old."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.stage import PASSWORD, ground_of, open_stage
from watchword.errors import TemporarilyUnavailable
from watchword.server.restoration import back_up, restore
from watchword.server.store.records import Origin
from watchword.server.store.store import Store

pytestmark = pytest.mark.anyio

WRITERS = 8
PEOPLE = 200


def quiet(done: int, total: int) -> None:
    """Say nothing of the progress."""


async def settings_of(request: pytest.FixtureRequest, kind: str, folder: Path) -> dict[str, str]:
    if kind == "sqlite":
        return {"database": f"sqlite:///{folder / 'live.db'}", "data_dir": str(folder)}
    return {**await ground_of(request, kind), "data_dir": str(folder)}


class Writers:
    """Everybody who writes events, and which of them were acknowledged."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.acknowledged: list[str] = []
        self.ended = False

    async def write(self, number: int) -> None:
        count = 0
        while not self.ended:
            name = f"written.{number}.{count}"
            count += 1
            try:
                await self.store.events.add(name, Origin())
            except TemporarilyUnavailable:
                await asyncio.sleep(0.005)
            else:
                self.acknowledged.append(name)

    async def more(self, count: int) -> None:
        enough = len(self.acknowledged) + count
        async with asyncio.timeout(20):
            while True:
                if len(self.acknowledged) >= enough:
                    return
                await asyncio.sleep(0.005)


def events_of(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {row[0] for row in connection.execute("SELECT type FROM events")}


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_f_n14_what_was_acknowledged_is_in_one_of_the_two(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """Three restores under load: not one acknowledged write is lost."""
    async with open_stage(**await settings_of(request, kind, tmp_path)) as stage:
        users = stage.services.users
        for number in range(PEOPLE):
            email = f"user{number}@example.com"
            await users.create(email, PASSWORD, roles=("user",), origin=Origin())
        place, copy = stage.settings.database_path, tmp_path / "copy.db"
        assert await back_up(place, copy, progress=quiet) == []
        writers = Writers(stage.services.store)
        tasks = [asyncio.create_task(writers.write(number)) for number in range(WRITERS)]
        kept: set[str] = set()
        for _ in range(3):
            await writers.more(50)
            done = await restore(stage.settings, copy, keep_sessions=False, origin=Origin(), progress=quiet)
            assert done.replaced is not None
            kept |= await asyncio.to_thread(events_of, done.replaced)
        await writers.more(50)
        writers.ended = True
        await asyncio.gather(*tasks)
        await back_up(place, tmp_path / "end.db", progress=quiet)
        lost = set(writers.acknowledged) - kept - events_of(tmp_path / "end.db")
        assert (len(lost), len(writers.acknowledged) > 200) == (0, True)
        assert await stage.services.store.check() == []


@pytest.mark.slow
async def test_f_n14_a_restore_that_fails_keeps_no_copy(tmp_path: Path) -> None:
    """Somebody writes and does not let go: nothing is changed, and nothing is left beside the data."""
    live, copy = tmp_path / "live.db", tmp_path / "copy.db"
    async with open_stage(database=f"sqlite:///{live}", data_dir=str(tmp_path)) as stage:
        await back_up(live, copy, progress=quiet)
        before = files(tmp_path)
        with closing(sqlite3.connect(live, isolation_level=None)) as stranger:
            stranger.execute("BEGIN IMMEDIATE")
            with pytest.raises(TemporarilyUnavailable):
                await restore(stage.settings, copy, keep_sessions=False, origin=Origin(), progress=quiet)
            stranger.execute("ROLLBACK")
        assert files(tmp_path) == before
