"""A database that goes silent, is locked by a stranger, or has settings of its own: answers stay quick, and are 503."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.relay import Relay, relay
from tests.server.store.conformance import Clock, Exam
from tests.server.store.conformance.exam import ORIGIN
from tests.server.store.conftest import waits
from watchword.errors import TemporarilyUnavailable
from watchword.server.store.postgres.open import open_postgres

pytestmark = pytest.mark.anyio

PATIENCE = 0.5
AT_MOST = 4.0
"""Seconds for a connection, an answer and what the server is allowed beyond."""


@pytest.fixture
async def between(place: str) -> AsyncIterator[Relay]:
    port = urlsplit(place).port
    assert port is not None
    with relay(port) as opened:
        yield opened


async def outcomes(*asked: Coroutine[Any, Any, Any]) -> tuple[list[Any], float]:
    """What each came to, and how long all of them took."""
    began = time.monotonic()
    found = await asyncio.gather(*asked, return_exceptions=True)
    return list(found), time.monotonic() - began


class TestSilence:
    async def test_f_n6_a_silent_database_costs_one_wait(self, place: str, between: Relay) -> None:
        """Requests under way are told within seconds, later ones at once; it recovers in seconds."""
        clock = Clock()
        store = await open_postgres(between.lead(place), now=clock.now, patience=PATIENCE)
        exam = Exam((store,), clock)
        ada = await exam.user()
        session = await exam.session(ada)
        await asyncio.gather(*(store.users.get(ada.id) for _ in range(10)))
        between.forwarding.clear()
        try:
            found, took = await outcomes(
                *(store.users.get(ada.id) for _ in range(12)),
                *(store.users.ban(ada.id, None, None, ORIGIN) for _ in range(12)),
                *(store.sessions.live(session) for _ in range(12)),
                exam.advance(session, 0),
                store.users.list(),
                store.revocations.since(0),
                store.ready(),
            )
            assert {type(one) for one in found} == {TemporarilyUnavailable}
            assert took < AT_MOST
            found, took = await outcomes(*(store.users.get(ada.id) for _ in range(30)))
            assert {type(one) for one in found} == {TemporarilyUnavailable}
            assert took < AT_MOST
        finally:
            between.forwarding.set()
        async with asyncio.timeout(AT_MOST):
            while True:
                try:
                    assert await store.users.get(ada.id) is not None
                    break
                except TemporarilyUnavailable:
                    await asyncio.sleep(0.02)
        assert await store.check() == []
        between.forwarding.clear()
        async with asyncio.timeout(AT_MOST):
            await store.close()
        between.forwarding.set()


class TestLocked:
    async def test_f_n13_a_stranger_s_lock_is_503_and_leaves_room_for_reads(
        self, place: str, operator: asyncpg.Connection
    ) -> None:
        """12 log-outs wait for the head in vain; meanwhile people sign in, refresh, and the node is ready."""
        store = await open_postgres(place, patience=1)
        exam = Exam((store,), Clock(store.now()))
        ada, eve = await exam.user(), await exam.user()
        session = await exam.session(ada)
        async with operator.transaction():
            await operator.execute("SELECT 1 FROM head FOR UPDATE")
            asked = [store.users.log_out_everywhere(eve.id, "x", ORIGIN) for _ in range(12)]
            blocked = asyncio.ensure_future(outcomes(*asked))
            await waits(operator)
            found, took = await outcomes(
                store.ready(),
                store.users.get(ada.id),
                store.sessions.live(session),
                exam.counter(session, 0),
                exam.session(ada),
            )
            assert not [one for one in found if isinstance(one, Exception)]
            assert took < 1
            found, took = await blocked
            assert {type(one) for one in found} == {TemporarilyUnavailable}
            assert took < 6
        assert await store.users.log_out_everywhere(eve.id, "x", ORIGIN) == 0
        await store.close()

    @pytest.mark.parametrize(
        "setting",
        [
            "default_transaction_isolation = 'serializable'",
            "default_transaction_read_only = on",
            "statement_timeout = '1ms'",
            "lock_timeout = '1ms'",
            "idle_in_transaction_session_timeout = '1ms'",
        ],
    )
    async def test_f_n13_settings_of_the_role_do_not_reach_us(
        self, place: str, operator: asyncpg.Connection, setting: str
    ) -> None:
        """Whatever somebody has set for everybody on this database: we name what we rely on."""
        role, database = (
            f"role_{abs(hash(setting)) % 10**8}",
            await operator.fetchval("SELECT current_database()"),
        )
        schema = await operator.fetchval("SELECT current_schema()")
        await operator.execute(f"CREATE ROLE {role} LOGIN; ALTER ROLE {role} SET {setting}")
        await operator.execute(
            f"GRANT ALL ON SCHEMA {schema} TO {role}; GRANT ALL ON DATABASE {database} TO {role}"
        )
        try:
            store = await open_postgres(place.replace("postgres@", f"{role}@"))
            exam = Exam((store,), Clock(store.now()))
            ada = await exam.user()
            sessions = [await exam.session(ada) for _ in range(3)]
            await asyncio.gather(*(exam.counter(session, 0) for session in sessions))
            await asyncio.gather(*(store.users.log_out_everywhere(ada.id, "x", ORIGIN) for _ in range(5)))
            assert await store.check() == []
            await store.close()
        finally:
            await operator.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")

    @pytest.mark.parametrize(
        "state", ["55P03", "25P03", "25P04", "57014", "40001", "40P01", "57P01", "53300"]
    )
    async def test_f_n13_what_the_server_breaks_off_is_503(
        self, exam: Exam, operator: asyncpg.Connection, state: str
    ) -> None:
        """Lock, idleness, cancellation, collision: "come again", never a fault of ours."""
        ada = await exam.user()
        await operator.execute(
            "CREATE FUNCTION fail() RETURNS TRIGGER LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$;"
            " CREATE TRIGGER fails BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION fail()"
        )
        with pytest.raises(TemporarilyUnavailable) as refused:
            await exam.store.users.ban(ada.id, None, None, ORIGIN)
        assert refused.value.retry_after
        assert await exam.store.users.get(ada.id) is not None
