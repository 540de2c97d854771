"""What SQLite adds to the exam: a file that may not be there, a writer that many share, and their batches."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.server.store.conformance import Clock, Exam
from tests.server.store.conformance.exam import ORIGIN, RULES
from watchword.errors import ConfigurationError, Conflict, EmailTaken, TemporarilyUnavailable
from watchword.server.store import open as opening
from watchword.server.store.sql.transaction import Transaction
from watchword.server.store.sqlite.open import open_sqlite

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def exam(file: Path) -> AsyncIterator[Exam]:
    clock = Clock()
    store = await open_sqlite(file, now=clock.now)
    yield Exam((store,), clock)
    await store.close()


class TestOpening:
    async def test_its_file_is_its_owner_s_alone(self, exam: Exam, file: Path) -> None:
        """From the first moment on; the files beside it, too."""
        await exam.user()
        for beside in file.parent.iterdir():
            assert beside.stat().st_mode & 0o077 == 0, beside

    async def test_it_is_as_durable_as_it_says(self, exam: Exam, file: Path) -> None:
        """A write-ahead log, and every commit waits for the disk."""
        engine = exam.store.engine  # type: ignore[attr-defined]
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert engine.writer.connection.execute(f"PRAGMA {pragma}").fetchone()[0] == value

    async def test_what_cannot_be_opened_is_told_in_one_line(self, tmp_path: Path) -> None:
        """A folder, a file elsewhere, a file of somebody else."""
        letter = tmp_path / "letter.db"
        letter.write_text("a letter home, long enough to be read as a header of something else " * 3)
        for place in (tmp_path, tmp_path / "nowhere" / "store.db", letter):
            with pytest.raises(ConfigurationError, match="database: cannot"):
                await opening.open_store(place)

    async def test_missing_steps_are_not_taken_unasked(self, file: Path) -> None:
        """``upgrade=False`` names the command; a step that fails leaves nothing."""
        sqlite3.connect(file).close()
        with pytest.raises(ConfigurationError, match="db upgrade"):
            await opening.open_store(file, upgrade=False)
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("CREATE TABLE roles (name TEXT)")
        with pytest.raises(ConfigurationError, match="already exists"):
            await opening.open_store(file)
        with closing(sqlite3.connect(file)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        assert tables == [("roles",)]

    async def test_names_from_before_are_searched_without_case(self, file: Path) -> None:
        """A database of the first version is brought up to date with its people."""
        clock = Clock()
        store = await open_sqlite(file, now=clock.now)
        ada = await Exam((store,), clock).user(name="Ada Ångström")
        await store.close()
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("ALTER TABLE users DROP COLUMN name_key")
            connection.execute("DELETE FROM schema_migrations WHERE number = 3")
        store = await open_sqlite(file, now=clock.now)
        assert [user.id for user in (await store.users.list(q="ÅNG")).items] == [ada.id]
        await store.close()


class TestWriter:
    async def test_many_share_a_commit_and_one_that_fails_fails_alone(self, exam: Exam) -> None:
        """Of a batch the refused intention leaves nothing, the others stand."""
        ada = await exam.user()
        outcomes = await asyncio.gather(
            *(exam.user() for _ in range(20)), exam.user(email=ada.email), return_exceptions=True
        )
        assert [type(o) for o in outcomes if isinstance(o, BaseException)] == [EmailTaken]
        assert await exam.store.users.count() == 21

    async def test_one_that_fails_after_it_wrote_leaves_nothing(self, exam: Exam) -> None:
        """What it wrote is undone; those before and after it stand, each once."""
        ada = await exam.user()

        async def late(tx: Transaction) -> None:
            await tx.run("UPDATE users SET name = 'half' WHERE id = ?", ada.id)
            raise Conflict

        adding = [exam.user() for _ in range(6)]
        outcomes = await asyncio.gather(
            *adding[:3],
            exam.store.engine.write(late),  # type: ignore[attr-defined]
            *adding[3:],
            return_exceptions=True,
        )
        assert [type(o) for o in outcomes if isinstance(o, BaseException)] == [Conflict]
        assert (await exam.store.users.get(ada.id)) == ada
        assert await exam.store.users.count() == 7
        assert len((await exam.store.events.list(type="user.created")).items) == 7

    async def test_who_gave_up_waiting_leaves_the_others_alone(self, exam: Exam) -> None:
        """A caller may be cancelled at any time, before his turn and while the disk is waited for."""
        ada = await exam.user()
        tasks = [
            asyncio.ensure_future(exam.store.sessions.open(exam.new_session(ada), RULES, ORIGIN))
            for _ in range(10)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(o, asyncio.CancelledError) for o in outcomes] == [True, False] * 5
        assert len(await exam.store.sessions.list(ada.id)) >= 5
        assert await exam.store.check() == []

    async def test_what_was_asked_for_is_finished_before_the_end(self, file: Path) -> None:
        """Closing waits for it; what comes later is turned away."""
        clock = Clock()
        store = await open_sqlite(file, now=clock.now)
        exam = Exam((store,), clock)
        asked = asyncio.ensure_future(exam.user())
        await asyncio.sleep(0)
        await store.close()
        added = await asked
        for attempt in (exam.user(), store.users.get(added.id)):
            with pytest.raises(TemporarilyUnavailable):
                await attempt
        store = await open_sqlite(file, now=clock.now)
        assert await store.users.get(added.id) is not None
        await store.close()

    async def test_somebody_else_who_writes_is_waited_for(self, exam: Exam, file: Path) -> None:
        """Another process holds the lock for a moment: no fault."""
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            adding = asyncio.ensure_future(exam.user())
            await asyncio.wait((adding,), timeout=0.05)
            assert not adding.done()
            other.execute("COMMIT")
            await adding

    async def test_a_connection_beyond_repair_is_made_anew(self, exam: Exam) -> None:
        """One caller is told to come again, the next one is served."""
        await exam.user()
        exam.store.engine.writer.connection.close()  # type: ignore[attr-defined]
        with pytest.raises(TemporarilyUnavailable):
            await exam.user()
        await exam.user()

    async def test_an_intention_that_waits_is_a_fault_of_ours(self, exam: Exam) -> None:
        """Others would see half of it; so it ends, and leaves nothing."""

        async def waits(tx: object) -> None:
            await asyncio.sleep(0)

        with pytest.raises(RuntimeError, match="waited"):
            await exam.store.engine.write(waits)  # type: ignore[attr-defined]
        await exam.user()
