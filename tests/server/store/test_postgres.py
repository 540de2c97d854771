"""What PostgreSQL adds to the exam: it may go away, other programs speak to it, and its clock is everybody's."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests import databases
from tests.server.store.conformance import Clock, Exam
from tests.server.store.conformance.exam import ORIGIN
from tests.server.store.conftest import until, waits
from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.server.store import migrations
from watchword.server.store import open as opening
from watchword.server.store.postgres.connection import CLEANING
from watchword.server.store.postgres.open import open_postgres

pytestmark = pytest.mark.anyio

NOBODY_LISTENS = "postgresql://postgres@127.0.0.1:1/postgres"


@pytest.fixture(scope="module")
def server() -> Iterator[databases.Server]:
    """A PostgreSQL that a test may stop; it leaves it running."""
    with databases.server() as own:
        yield own


async def comes_back(exam: Exam) -> None:
    """The store works again within seconds, by itself."""
    async with asyncio.timeout(20):
        while True:
            try:
                await exam.user()
            except TemporarilyUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


async def everything(exam: Exam) -> list[BaseException | None]:
    """What each way to the database answers: a look-up, a list, a change, the log, readiness."""
    store = exam.store
    ways = (
        store.users.get("usr_1"), store.users.list(), exam.user(), store.sessions.live("ses_1"),
        store.revocations.since(0), store.ready(), store.revocations.sweep(10), exam.advance("ses_1", 0),
    )  # fmt: skip
    outcomes = await asyncio.gather(*ways, return_exceptions=True)
    return [outcome if isinstance(outcome, BaseException) else None for outcome in outcomes]


class TestAway:
    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
    async def test_r_05_a_restart_is_503_and_then_nothing(
        self, server: databases.Server, how: signal.Signals
    ) -> None:
        """Everything that needs it says "come again" and when; back, it needs no restart of ours, and lost nothing."""
        clock = Clock()
        store = await open_postgres(await server.cluster.place(), now=clock.now)
        exam = Exam((store,), clock)
        ada = await exam.user()
        session = await exam.session(ada)
        for _ in range(2):
            server.stop(how)
            for outcome in await everything(exam):
                assert isinstance(outcome, TemporarilyUnavailable)
                assert outcome.retry_after is not None
            server.start()
            await comes_back(exam)
            await exam.counter(session, (await store.sessions.get(session)).counter)  # type: ignore[union-attr]
        assert await store.check() == []
        await store.close()

    async def test_news_come_again_after_a_restart(self, server: databases.Server) -> None:
        """The listener finds its way back, and reads what was said meanwhile."""
        store = await open_postgres(await server.cluster.place())
        watcher = store.revocations.watch()
        server.stop()
        server.start()
        listener = await asyncpg.connect(server.cluster.url)
        await until(
            listener,
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%clock_timestamp%' AND pid <> pg_backend_pid()",
        )
        async with asyncio.timeout(10):
            await anext(watcher)
        await listener.close()
        await store.close()

    async def test_a_broken_connection_costs_one_answer(
        self, exam: Exam, operator: asyncpg.Connection
    ) -> None:
        """An operator, or a proxy, may end connections at any time."""
        await exam.user()
        await operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND application_name = 'watchword'"
        )
        await comes_back(exam)

    async def test_a_database_that_only_reads_is_away_for_writers(
        self, place: str, operator: asyncpg.Connection
    ) -> None:
        """A standby answers reads; a change says "come again" until the primary is found."""
        await (await open_postgres(place)).close()
        store = await open_postgres(f"{place}&default_transaction_read_only=on", upgrade=False)
        exam = Exam((store,), Clock())
        with pytest.raises(TemporarilyUnavailable):
            await exam.user()
        assert await store.users.count() == 0
        await store.close()

    async def test_a_closed_store_says_so(self, place: str) -> None:
        """What comes after the end is turned away."""
        store = await open_postgres(place)
        await store.close()
        with pytest.raises(TemporarilyUnavailable):
            await store.ready()

    async def test_a_fault_of_ours_is_none_of_the_database(
        self, exam: Exam, operator: asyncpg.Connection
    ) -> None:
        """A table that is gone is not "come again": somebody must look."""
        await operator.execute("ALTER TABLE events RENAME TO elsewhere")
        with pytest.raises(asyncpg.UndefinedTableError):
            await exam.store.events.list()


class TestOpening:
    async def test_a_database_that_cannot_be_reached_is_told_in_one_line(self) -> None:
        """And without the password."""
        for url in (NOBODY_LISTENS, NOBODY_LISTENS.replace("postgres@", "postgres:geheim@")):
            for attempt in (opening.open_store(url), opening.pending(url)):
                with pytest.raises(ConfigurationError) as refused:
                    await attempt
                assert refused.value.description.startswith("database: cannot open it:")
                assert "geheim" not in str(refused.value)

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://h:geheim/name",
            "postgresql://h/name?sslmode=geheim",
            "postgresql://w:geheim\u2100@h/name",
            "postgresql://w:[geheim]@h/name",
        ],
    )
    async def test_a_url_that_is_none(self, url: str) -> None:
        """A configuration error, not a trace, and nothing of the URL in it: any part may be of the password."""
        for attempt in (opening.open_store(url), opening.pending(url)):
            with pytest.raises(ConfigurationError, match="database: cannot open it: its URL") as refused:
                await attempt
            assert "geheim" not in str(refused.value)

    async def test_without_its_driver_it_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One pip line."""
        monkeypatch.setitem(sys.modules, "asyncpg", None)
        for attempt in (opening.open_store(NOBODY_LISTENS), opening.pending(NOBODY_LISTENS)):
            with pytest.raises(ConfigurationError, match=r"pip install 'watchword\[postgres\]'"):
                await attempt

    async def test_nodes_that_start_together_make_one_schema(self, place: str) -> None:
        """One makes it, the others wait for it."""
        stores = await asyncio.gather(*(open_postgres(place) for _ in range(5)))
        heads = await asyncio.gather(*(store.revocations.head() for store in stores))
        assert len(set(heads)) == 1
        await asyncio.gather(*(store.close() for store in stores))

    async def test_missing_steps_are_named_and_not_taken_unasked(self, place: str) -> None:
        """``upgrade=False`` changes nothing."""
        steps = await opening.pending(place)
        assert [step.number for step in steps] == [step.number for step in migrations.known("postgres")]
        with pytest.raises(ConfigurationError, match="db upgrade"):
            await opening.open_store(place, upgrade=False)
        assert await opening.pending(place) == steps
        await (await opening.open_store(place)).close()
        assert await opening.pending(place) == []

    async def test_a_newer_schema_is_left_alone(self, place: str, operator: asyncpg.Connection) -> None:
        """Its steps are not known here."""
        await (await open_postgres(place)).close()
        await operator.execute(
            "INSERT INTO schema_migrations (number, word, applied_at) VALUES (9999, 'later', 0)"
        )
        with pytest.raises(ConfigurationError, match="newer"):
            await open_postgres(place)

    def test_both_dialects_count_alike(self) -> None:
        """A step of one number makes the same of both databases."""
        assert [(step.number, step.word) for step in migrations.known("sqlite")] == [
            (step.number, step.word) for step in migrations.known("postgres")
        ]


class TestTogether:
    async def test_a_deadlock_is_tried_again(self, exam: Exam, operator: asyncpg.Connection) -> None:
        """Whoever is broken off is carried out after the other one."""
        ada = await exam.user()
        transaction = operator.transaction()
        await transaction.start()
        await operator.execute("SELECT 1 FROM head FOR UPDATE")
        ban = asyncio.ensure_future(exam.store.users.ban(ada.id, None, None, ORIGIN))
        await waits(operator)
        # Held the other way round: head first, then the user. Whom PostgreSQL breaks off is its choice.
        try:
            await operator.execute("SELECT 1 FROM users FOR UPDATE")
        except asyncpg.DeadlockDetectedError:
            await transaction.rollback()
        else:
            await transaction.commit()
        banned = await ban
        assert banned is not None
        assert banned.banned
        assert len(await exam.entries("user")) == 1

    async def test_the_commit_notifies(self, exam: Exam, operator: asyncpg.Connection) -> None:
        """Every node that listens hears of it, after it stands, and nothing but that."""
        heard: asyncio.Queue[Any] = asyncio.Queue()
        await operator.add_listener("watchword_log", lambda *said: heard.put_nowait(said[3]))
        ada = await exam.user()
        session = await exam.session(ada)
        await exam.counter(session, 0)
        assert heard.empty()
        await exam.store.users.ban(ada.id, None, None, ORIGIN)
        async with asyncio.timeout(10):
            assert await heard.get() == ""
        assert await operator.fetchval("SELECT sequence FROM head") == 1

    async def test_one_node_clears_up_at_a_time(self, exam: Exam, operator: asyncpg.Connection) -> None:
        """While another one does, there is nothing to do; the lock ends with its transaction."""
        await exam.store.events.add("a", ORIGIN)
        exam.clock.forward(days=1)
        async with operator.transaction():
            await operator.execute("SELECT pg_advisory_xact_lock($1)", CLEANING)
            assert await exam.store.events.sweep(exam.clock.now(), 10) == 0
            assert await exam.store.revocations.sweep(10) == 0
            assert await exam.store.sessions.sweep(exam.clock.now(), 10) == 0
        assert await exam.store.events.sweep(exam.clock.now(), 10) == 1

    async def test_a_link_that_is_sent_while_old_ones_are_cleared_stays(
        self, exam: Exam, operator: asyncpg.Connection
    ) -> None:
        """The sweep found the row old, waits for whoever renews it, and then sees that it is new: it counts none."""
        ada, resets = await exam.user(), exam.store.password_resets
        await resets.grant(ada.id, b"old", timedelta(minutes=30), ORIGIN)
        exam.clock.forward(days=1)
        later = int((exam.clock.now() + timedelta(minutes=30)).timestamp() * 1000)
        async with operator.transaction():
            await operator.execute("UPDATE password_resets SET digest = 'new', expires_at = $1", later)
            sweeping = asyncio.ensure_future(resets.sweep(10))
            await waits(operator)
        assert await sweeping == 0
        assert await resets.owner(b"new") == ada

    async def test_a_migration_beside_us_makes_no_fault(
        self, exam: Exam, operator: asyncpg.Connection
    ) -> None:
        """N-1 and N on one database: another column makes prepared plans stale, not answers wrong."""
        ada = await exam.user()
        session = await exam.session(ada)
        for number, kind in enumerate(("VARCHAR", "TEXT", "VARCHAR")):
            await operator.execute(f"ALTER TABLE sessions ALTER COLUMN device TYPE {kind}")
            await operator.execute(
                f"ALTER TABLE users ALTER COLUMN name TYPE {kind}, ADD COLUMN c{number} TEXT"
            )
            assert await exam.counter(session, number) == number + 1
            assert await exam.store.users.log_out_everywhere(ada.id, "x", ORIGIN, keep_session=session) == 0
            assert await exam.store.users.get(ada.id) is not None

    async def test_the_time_is_the_database_s(self, place: str, operator: asyncpg.Connection) -> None:
        """Two nodes and the database agree to a blink, whatever a machine's clock shows."""
        stores = [await open_postgres(place) for _ in range(2)]
        asked = await operator.fetchval("SELECT clock_timestamp()")
        for store in stores:
            assert abs(store.now() - asked) < timedelta(seconds=1)
            assert store.now().tzinfo is UTC
        added = await Exam((stores[0],), Clock(stores[0].now())).user()
        assert abs(added.created_at - datetime.now(UTC)) < timedelta(hours=1)
        await asyncio.gather(*(store.close() for store in stores))


class TestReplaced:
    @pytest.mark.parametrize("order", [("users", "head"), ("head", "users")])
    async def test_whoever_has_a_lock_and_needs_another_goes_first(
        self, server: databases.Server, tmp_path: Path, order: tuple[str, str]
    ) -> None:
        """The data is put back beside a transaction that locks in either order: no deadlock ends one of the two."""
        url, copy = await server.cluster.place(), tmp_path / "copy.db"
        store = await opening.open_store(url)
        await store.close()
        operator, writer = await asyncpg.connect(url), await asyncpg.connect(url)
        try:
            await opening.move_all(url, copy, progress=lambda *_: None, at_rest=False)
            async with writer.transaction():
                await writer.execute(f"LOCK TABLE {order[0]} IN ROW EXCLUSIVE MODE")
                putting_back = asyncio.create_task(
                    opening.move_all(copy, url, progress=lambda *_: None, at_rest=False, replace=True)
                )
                await waits(operator)
                await writer.execute(f"LOCK TABLE {order[1]} IN ROW EXCLUSIVE MODE")
            await putting_back
        finally:
            await operator.close()
            await writer.close()
