"""A write-ahead log that a killed server left, and a file of another time beside it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.store.conformance import Clock, Exam
from tests.server.store.conformance.exam import ORIGIN
from watchword.errors import ConfigurationError
from watchword.server.store.sqlite.open import open_sqlite

pytestmark = pytest.mark.anyio

LONG_AGO = 60
"""Seconds: more than SQLite may need to copy its log into the file."""


async def leave(place: Path) -> tuple[Path, Path]:
    """What a killed server leaves, and a backup from before somebody was banned; the log holds only what came later."""
    clock, live, backup = Clock(), place / "live.db", place / "backup.db"
    store = await open_sqlite(live, now=clock.now)
    exam = Exam((store,), clock)
    people = [await exam.user() for _ in range(200)]
    with closing(sqlite3.connect(live)) as reading, closing(sqlite3.connect(backup)) as writing:
        reading.backup(writing)
        for person in people[:100]:
            await store.users.ban(person.id, "spam", None, ORIGIN)
        reading.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    for _ in range(3):
        await exam.user()
    killed = place / "killed.db"
    for suffix in ("", "-wal"):
        shutil.copy(f"{live}{suffix}", f"{killed}{suffix}")
    await store.close()
    past = (killed.stat().st_ctime - LONG_AGO,) * 2
    os.utime(f"{killed}-wal", past)
    return killed, backup


async def test_f_n1_a_log_beside_an_older_file_is_refused(tmp_path: Path) -> None:
    """It would bring back who was banned in between, under the newest position of the log."""
    killed, backup = await leave(tmp_path)
    shutil.copy(backup, killed)
    for _ in range(2):  # whatever starts it again gets no further
        with pytest.raises(ConfigurationError, match=r"different times.*db restore"):
            await open_sqlite(killed, now=Clock().now)


async def test_f_n1_a_log_beside_its_own_file_is_taken(tmp_path: Path) -> None:
    """Files that were copied or touched together after a crash open as they always did."""
    killed, _ = await leave(tmp_path)
    store = await open_sqlite(killed, now=Clock().now)
    assert await store.users.count() == 203
    assert await store.check() == []
    await store.close()
