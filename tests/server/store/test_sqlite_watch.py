"""Who watches a SQLite file hears of commits by other processes, and looks at nothing while nobody writes."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from watchword.server.store.sqlite.watch import FileWatch

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not sys.platform.startswith("linux"),
        reason="inotify(7) is an interface of Linux; on other systems the file is looked at every 25 ms",
    ),
]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[str]:
    """A database that somebody has open, so that its log is there."""
    path = str(tmp_path / "watched.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (n)")
        yield path


class Watched:
    """A watch that counts its looks."""

    def __init__(self, path: str, awake: float = 0.0) -> None:
        self.reader = sqlite3.connect(path)
        self.version = self._version()
        self.looks = 0
        self.looked = asyncio.Event()
        self.changed = asyncio.Event()
        self.watch = FileWatch(path, self._look, awake)
        self.watch.start()

    def _version(self) -> int:
        return int(self.reader.execute("PRAGMA data_version").fetchone()[0])

    def _look(self) -> bool:
        self.looks += 1
        self.looked.set()
        before, self.version = self.version, self._version()
        if self.version != before:
            self.changed.set()
        return self.version != before

    async def rest(self) -> None:
        """Come back when it waits for the kernel."""
        await self.until(lambda: self.watch.rests)

    async def until(self, met: Callable[[], bool]) -> None:
        """Come back after the look that meets it."""
        async with asyncio.timeout(10):
            while not met():
                self.looked.clear()
                await self.looked.wait()

    async def hear(self) -> None:
        """Come back when it has seen a commit."""
        async with asyncio.timeout(10):
            await self.changed.wait()
        self.changed.clear()

    def close(self) -> None:
        self.watch.close()
        self.reader.close()


def insert(path: str) -> None:
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('INSERT INTO t VALUES (1)'); c.commit()"
    subprocess.run([sys.executable, "-c", code, path], check=True)


async def test_a_commit_of_another_process_ends_the_rest(file: str) -> None:
    """And while nobody writes there is no look."""
    watched = Watched(file)
    await watched.rest()
    for _ in range(3):
        looks = watched.looks
        await asyncio.to_thread(lambda: None)
        assert watched.looks == looks
        assert watched.watch.rests
        await asyncio.to_thread(insert, file)
        await watched.hear()
        await watched.rest()
    watched.close()


async def test_a_commit_long_after_its_last_write_is_seen(file: str) -> None:
    """As where the disk is slow: the write was told of, and there was nothing to see yet."""
    watched = Watched(file, awake=60)
    with closing(sqlite3.connect(file, isolation_level=None)) as slow:
        slow.execute("PRAGMA cache_size = 1")
        slow.execute("BEGIN")
        slow.executemany("INSERT INTO t VALUES (?)", [("x" * 4000,)] * 100)
        looks = watched.looks
        await watched.until(lambda: watched.looks >= looks + 3)
        assert not watched.changed.is_set()
        slow.execute("COMMIT")
        await watched.hear()
    watched.close()


async def test_f_n1_another_file_in_its_place_is_looked_at(file: str, tmp_path: Path) -> None:
    """A restore moves one there; nothing is written into the one that was open."""
    watched = Watched(file)
    await watched.rest()
    looks = watched.looks
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE t (n)")
    os.replace(tmp_path / "other.db", file)
    await watched.until(lambda: watched.looks > looks)
    watched.close()


async def test_without_a_log_it_never_rests(tmp_path: Path) -> None:
    """There is nothing yet that the kernel could tell of."""
    path = str(tmp_path / "plain.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (n)")
    watched = Watched(path)
    await watched.until(lambda: watched.looks >= 3)
    insert(path)
    await watched.hear()
    assert not watched.watch.rests
    watched.close()


async def test_nothing_is_left_open(file: str) -> None:
    """Each watch holds one descriptor, and gives it back."""
    held = []
    for _ in range(20):
        watched = Watched(file)
        await watched.rest()
        watched.close()
        held.append(len(os.listdir("/proc/self/fd")))
    assert held[0] == held[-1]
