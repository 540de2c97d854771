"""Refreshes and log-ins that travel together: each has an outcome of its own, whatever becomes of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
from msgspec.structs import replace

from tests.server.store.conformance import Exam
from tests.server.store.conformance.exam import CLIENT, ORIGIN, RULES, secret_of
from tests.server.store.conftest import waits
from watchword.errors import TemporarilyUnavailable
from watchword.server.store.records import (
    Advance,
    Advanced,
    Opened,
    PresentedRefreshToken,
    Refused,
    Replayed,
)

pytestmark = pytest.mark.anyio

FAULT = """
CREATE FUNCTION refuse() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON sessions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (new.id = '%s') EXECUTE FUNCTION refuse();
"""

PAUSE = """
CREATE FUNCTION pause() RETURNS BOOLEAN LANGUAGE sql VOLATILE
AS $$ SELECT pg_advisory_xact_lock_shared(7) IS NOT NULL $$;
ALTER TABLE clients RENAME TO all_clients;
CREATE VIEW clients AS SELECT * FROM all_clients WHERE pause();
"""
"""Whoever looks at a client waits as long as somebody holds lock 7."""


async def sessions(exam: Exam, count: int) -> list[str]:
    ada = await exam.user()
    return [await exam.session(ada) for _ in range(count)]


def spend(
    exam: Exam, session: str, counter: int = 0, node: int = 0, instance: str = ""
) -> asyncio.Future[Advance]:
    """Present the token of that counter, at once: nothing is awaited before."""
    presented = PresentedRefreshToken(
        session_id=session,
        epoch=1,
        counter=counter,
        secret_digest=secret_of(session),
        instance=instance,
    )
    return asyncio.ensure_future(exam.node(node).sessions.advance(presented, CLIENT, RULES, ORIGIN))


async def counters(exam: Exam, ids: Sequence[str]) -> list[int]:
    found = [await exam.store.sessions.get(session) for session in ids]
    return [session.counter for session in found if session is not None]


class TestRefreshes:
    async def test_a_crowd_is_one_statement(self, exam: Exam, operator: asyncpg.Connection) -> None:
        """Twenty refreshes at once are one transaction, and each has its own answer."""
        ids = await sessions(exam, 20)
        told = await asyncio.gather(*(spend(exam, session) for session in ids))
        assert [outcome.facts.session.id for outcome in told if isinstance(outcome, Advanced)] == ids
        assert await counters(exam, ids) == [1] * 20
        assert await operator.fetchval("SELECT count(DISTINCT xmin::text) FROM sessions") == 1

    async def test_everybody_has_his_own_outcome(self, exam: Exam) -> None:
        """On, again, replayed, refused: as if each had come alone."""
        ids = await sessions(exam, 7)
        instance = (await exam.store.revocations.head()).instance
        for _ in range(6):
            await spend(exam, ids[2], (await counters(exam, ids[2:3]))[0])
        await spend(exam, ids[1])
        await exam.store.sessions.end(ids[3], "logout", ORIGIN)
        told = await asyncio.gather(
            spend(exam, ids[0]),
            spend(exam, ids[1]),
            spend(exam, ids[2]),
            spend(exam, ids[3]),
            spend(exam, "ses_nobody"),
            spend(exam, ids[4], 3, instance=instance),
            spend(exam, ids[5]),
            spend(exam, ids[5]),
        )
        again = [outcome.repeated for outcome in told if isinstance(outcome, Advanced)]
        assert again == [False, True, False, True]
        assert told[2] == Replayed(session_id=ids[2], reason="refresh_token_replayed")
        assert told[3:5] == [Refused(reason="ended"), Refused(reason="unknown")]
        assert told[5] == Replayed(session_id=ids[4], reason="store_rolled_back")
        assert await counters(exam, ids) == [1, 1, 6, 0, 0, 1, 0]
        assert {entry.id for entry in await exam.entries("session")} == {ids[2], ids[3], ids[4]}

    async def test_who_waits_for_a_row_keeps_nobody(self, exam: Exam, operator: asyncpg.Connection) -> None:
        """A session that another node works on is decided alone, when it is free; the others are answered."""
        ids = await sessions(exam, 3)
        async with operator.transaction():
            await operator.execute("SELECT 1 FROM users FOR UPDATE")
            await operator.execute("SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE", ids[1])
            waiting, *others = (spend(exam, ids[n]) for n in (1, 0, 2))
            async with asyncio.timeout(20):
                assert all(isinstance(outcome, Advanced) for outcome in await asyncio.gather(*others))
            assert not waiting.done()
        assert isinstance(await waiting, Advanced)
        assert await counters(exam, ids) == [1, 1, 1]

    async def test_a_fault_of_one_is_his_alone(self, exam: Exam, operator: asyncpg.Connection) -> None:
        """A statement that does not commit has told nobody anything; then each is carried out alone."""
        ids = await sessions(exam, 4)
        await operator.execute(FAULT % ids[1])
        told = await asyncio.gather(*(spend(exam, session) for session in ids), return_exceptions=True)
        assert [type(outcome) for outcome in told] == [Advanced, asyncpg.RaiseError, Advanced, Advanced]
        assert await counters(exam, ids) == [1, 0, 1, 1]

    async def test_what_cannot_be_written_down_hurts_nobody_else(self, exam: Exam) -> None:
        """A number beyond what a column holds is an outcome of its own, and the others have theirs."""
        ids, instance = await sessions(exam, 3), (await exam.store.revocations.head()).instance
        ahead = spend(exam, ids[1], 2**63, instance=instance)
        told = await asyncio.gather(spend(exam, ids[0]), ahead, spend(exam, ids[2]))
        assert [type(outcome) for outcome in told] == [Advanced, Replayed, Advanced]

    async def test_who_leaves_takes_nobody_along(self, exam: Exam, operator: asyncpg.Connection) -> None:
        """A caller who hangs up while the statement is out, or before: what he asked for may be done, the rest is."""
        ids = await sessions(exam, 4)
        async with operator.transaction():
            await operator.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
            out = [spend(exam, session) for session in ids[:2]]
            await waits(operator)
            later = [spend(exam, session) for session in ids[2:]]
            await asyncio.sleep(0)
            out[0].cancel()
            later[0].cancel()
        assert isinstance(await out[1], Advanced)
        assert isinstance(await later[1], Advanced)
        assert await counters(exam, ids) == [1, 1, 0, 1]

    async def test_a_connection_that_breaks_costs_those_who_were_on_it(
        self, exam: Exam, operator: asyncpg.Connection
    ) -> None:
        """They are told to come again, each of them; who waited behind them is answered."""
        ids = await sessions(exam, 4)
        async with operator.transaction():
            await operator.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
            out = [spend(exam, session) for session in ids[:2]]
            await waits(operator)
            later = [spend(exam, session) for session in ids[2:]]
            await asyncio.sleep(0)
            await operator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
            )
            told = await asyncio.gather(*out, return_exceptions=True)
            assert [type(outcome) for outcome in told] == [TemporarilyUnavailable] * 2
            assert told[0] is not told[1]
        assert all(isinstance(outcome, Advanced) for outcome in await asyncio.gather(*later))
        assert await counters(exam, ids) == [0, 0, 1, 1]


class TestLogins:
    async def test_a_crowd_is_one_statement(self, exam: Exam, operator: asyncpg.Connection) -> None:
        """Twenty log-ins at once are one transaction, each with its row, its event and its answer."""
        users = [await exam.user() for _ in range(20)]
        news = [exam.new_session(user) for user in users]
        told = await asyncio.gather(*(exam.store.sessions.open(new, RULES, ORIGIN) for new in news))
        for user, new, outcome in zip(users, news, told, strict=True):
            assert isinstance(outcome, Opened)
            assert outcome.live == await exam.store.sessions.live(new.id)
            assert (outcome.live.user.id, outcome.live.session.id) == (user.id, new.id)
            assert outcome.live.user.last_login_at == exam.clock.now()
        events = await exam.events("session.opened")
        assert {(event.user_id, event.session_id) for event in events} == {
            (new.user_id, new.id) for new in news
        }
        assert {(event.actor, event.address, event.user_agent, event.client_id) for event in events} == {
            (ORIGIN.actor, ORIGIN.address, ORIGIN.user_agent, CLIENT)
        }
        written = "SELECT xmin FROM sessions UNION SELECT xmin FROM events WHERE type = 'session.opened'"
        assert len(await operator.fetch(written)) == 1

    async def test_everybody_has_his_own_outcome(self, exam: Exam) -> None:
        """In, in at the cost of another session, banned, unknown, with a password of before: all at once."""
        ada, bob, eve, joe = [await exam.user() for _ in range(4)]
        old = await exam.session(bob)
        await exam.store.users.ban(eve.id, None, None, ORIGIN)
        await exam.store.users.log_out_everywhere(joe.id, "logout", ORIGIN)
        nobody = replace(exam.new_session(ada), user_id="usr_nobody")
        one = replace(RULES, maximum_per_user=1)
        news = [*map(exam.new_session, (ada, bob, eve, joe)), nobody]
        told = await asyncio.gather(*(exam.store.sessions.open(new, one, ORIGIN) for new in news))
        opened = [outcome.evicted for outcome in told if isinstance(outcome, Opened)]
        assert opened == [(), (old,)]
        assert told[2:] == [
            Refused(reason="banned"),
            Refused(reason="below_floor"),
            Refused(reason="unknown"),
        ]

    async def test_who_waits_for_a_user_keeps_nobody(self, exam: Exam, operator: asyncpg.Connection) -> None:
        """Somebody works on one of them: he comes in afterwards, the others at once."""
        users = [await exam.user() for _ in range(3)]
        news = list(map(exam.new_session, users))
        async with operator.transaction():
            await operator.execute("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", users[1].id)
            first, waiting, last = (
                asyncio.ensure_future(exam.store.sessions.open(new, RULES, ORIGIN)) for new in news
            )
            async with asyncio.timeout(20):
                assert all(isinstance(outcome, Opened) for outcome in await asyncio.gather(first, last))
            assert not waiting.done()
        assert isinstance(await waiting, Opened)

    async def test_what_changed_since_the_statement_began_is_seen(
        self, exam: Exam, operator: asyncpg.Connection, place: str
    ) -> None:
        """A log-in at another node that came between its beginning and the user's row counts against the maximum."""
        ada, bob = await exam.user(), await exam.user()
        earlier = await exam.session(ada)
        await operator.execute(PAUSE)
        new = exam.new_session(bob)
        async with operator.transaction():
            await operator.execute("SELECT pg_advisory_xact_lock(7)")
            rules = replace(RULES, maximum_per_user=1)
            told = asyncio.ensure_future(exam.store.sessions.open(new, rules, ORIGIN))
            await waits(operator)
            # What a log-in writes, by somebody who need not wait.
            other = await asyncpg.connect(place)
            columns = (
                "client_id, version, epoch, counter, secret_digest, audience, amr, auth_time, created_at,"
                " last_used_at, expires_at, idle_expires_at, token_expires_at"
            )
            await other.execute(
                f"INSERT INTO sessions (id, user_id, {columns}) SELECT 'ses_between', $1, {columns} FROM sessions"
                " WHERE id = $2",
                bob.id,
                earlier,
            )
            await other.execute("UPDATE users SET last_login_at = last_login_at WHERE id = $1", bob.id)
            await other.close()
        opened = await told
        assert isinstance(opened, Opened)
        assert opened.evicted == ("ses_between",)
        assert [session.id for session in await exam.store.sessions.list(bob.id)] == [new.id]
