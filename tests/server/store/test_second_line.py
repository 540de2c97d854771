"""What stands behind the first line: facts that no intention leaves so, and that give nobody a token all the same."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from tests.places import lent
from tests.server.store.conformance import Clock, Exam
from tests.server.store.conformance.exam import ORIGIN
from watchword.server.store.open import open_store
from watchword.server.store.records import Refused

pytestmark = pytest.mark.anyio

Tamper = Callable[[str], Awaitable[None]]


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Path | str]:
    if request.param == "sqlite":
        yield tmp_path / "store.db"
        return
    async with lent(request.getfixturevalue("postgres")) as place:
        yield place


@pytest.fixture
async def exam(place: Path | str) -> AsyncIterator[Exam]:
    clock = Clock()
    store = await open_store(place, now=clock.now)
    yield Exam((store,), clock)
    await store.close()


@pytest.fixture
def tamper(place: Path | str) -> Tamper:
    """Somebody with the right to write who is none of us."""

    async def execute(sql: str) -> None:
        if isinstance(place, Path):
            with closing(sqlite3.connect(place)) as connection, connection:
                connection.execute(sql)
            return
        operator = await asyncpg.connect(place)
        try:
            await operator.execute(sql)
        finally:
            await operator.close()

    return execute


class TestSecondLine:
    @pytest.mark.parametrize(
        ("sql", "reason"),
        [
            ("UPDATE users SET banned = TRUE", "banned"),
            ("UPDATE users SET banned = TRUE, banned_until = 9999999999999", "banned"),
            ("UPDATE users SET floor = version + 1, version = version + 1", "below_floor"),
            ("UPDATE clients SET disabled = TRUE", "client_disabled"),
            ("UPDATE head SET epoch = epoch + 1, oldest_epoch = epoch + 1", "epoch"),
            ("UPDATE sessions SET expires_at = 1", "expired"),
            ("UPDATE sessions SET idle_expires_at = 1", "idle"),
            ("UPDATE sessions SET ended_at = 1, end_reason = 'logout'", "ended"),
        ],
    )
    async def test_every_fact_is_asked(self, exam: Exam, tamper: Tamper, sql: str, reason: str) -> None:
        """A session whose row says it lives is refused for what its user, client or the log say; nothing is spent."""
        session = await exam.session(await exam.user())
        await tamper(sql)
        expected = Refused(reason=reason)  # type: ignore[arg-type]
        assert await exam.store.sessions.live(session) == expected
        assert await exam.advance(session, 0, epoch=(await exam.store.revocations.head()).epoch) == expected
        row = await exam.store.sessions.get(session)
        assert row is not None
        assert row.counter == 0

    async def test_a_ban_that_is_over_stops_nobody(self, exam: Exam, tamper: Tamper) -> None:
        """A session that outlived a ban in time goes on."""
        session = await exam.session(await exam.user())
        await tamper("UPDATE users SET banned = TRUE, banned_until = 1")
        assert await exam.counter(session, 0) == 1

    @pytest.mark.parametrize(
        ("sql", "problem"),
        [
            ("DELETE FROM head", "the log has no head"),
            ("UPDATE sessions SET counter = -1", "a refresh counter below zero"),
            ("UPDATE revocations SET body = 'x'", "an entry that cannot be read"),
            (
                "UPDATE revocations SET id = 'x' WHERE kind = 'user'",
                "an entry that says otherwise than its row",
            ),
            ("DELETE FROM revocations WHERE kind = 'user'", "a user who died without an entry"),
            ("DELETE FROM revocations WHERE kind = 'session'", "a session that ended without an entry"),
            ("UPDATE sessions SET end_reason = NULL", "an ended session without a reason"),
            ("UPDATE head SET sequence = 0", "an entry past the head"),
            ("DELETE FROM signing_keys WHERE state = 'next'", "there is no next token key"),
        ],
    )
    async def test_the_check_sees_it(self, exam: Exam, tamper: Tamper, sql: str, problem: str) -> None:
        """Each broken rule has its line."""
        await exam.ring()
        ada, bob = await exam.user(), await exam.user()
        ended, _ = await exam.session(ada), await exam.session(bob)
        exam.clock.forward(seconds=1)
        await exam.store.sessions.end(ended, "logout", ORIGIN)
        await exam.store.users.log_out_everywhere(bob.id, "logout", ORIGIN)
        assert await exam.store.check() == []
        await tamper(sql)
        found = [line.partition(":")[0] for line in await exam.store.check()]
        assert problem in found
