"""The clock that nodes share: late answers, small differences, jumps, and what two nodes compare."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from tests.server.store.conformance import Clock, Exam
from watchword.server.store.postgres.news import DatabaseClock
from watchword.server.store.postgres.open import open_postgres
from watchword.server.store.records import Advanced
from watchword.server.store.store import Store

pytestmark = pytest.mark.anyio


class Ticks:
    """A monotonic clock that a test moves, and which moves by itself while somebody waits for an answer."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.takes = 0.0

    def __call__(self) -> float:
        self.seconds += self.takes
        return self.seconds


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
async def clock(ticks: Ticks, operator: asyncpg.Connection) -> DatabaseClock:
    """One that asked a moment ago."""
    opened = DatabaseClock(ticks)
    await opened.measure(operator)
    return opened


async def ask(clock: DatabaseClock, ticks: Ticks, operator: asyncpg.Connection, takes: float) -> None:
    """Measure by an answer that takes so long."""
    ticks.takes = takes
    await clock.measure(operator)
    ticks.takes = 0.0


def truth() -> datetime:
    return datetime.now(UTC)


class TestDatabaseClock:
    async def test_f_n7_an_answer_of_24_seconds_is_no_news(
        self, clock: DatabaseClock, ticks: Ticks, operator: asyncpg.Connection
    ) -> None:
        """What was known goes on: half of the way would be 12 seconds off."""
        known = clock.now()
        await ask(clock, ticks, operator, 24)
        # The clock is looked at before the question, after it, and now.
        assert abs(clock.now() - known - timedelta(seconds=48)) < timedelta(seconds=0.1)

    async def test_f_n7_the_first_answer_counts_however_late(
        self, ticks: Ticks, operator: asyncpg.Connection
    ) -> None:
        """There is nothing better; the next one is."""
        clock = DatabaseClock(ticks)
        await ask(clock, ticks, operator, 24)
        assert abs(clock.now() - truth()) < timedelta(seconds=13)
        await ask(clock, ticks, operator, 0.3)
        assert abs(clock.now() - truth()) < timedelta(seconds=1)

    async def test_f_n7_small_differences_are_made_up_for_without_a_jump(
        self, clock: DatabaseClock, ticks: Ticks, operator: asyncpg.Connection
    ) -> None:
        """Half a second in five, forward all the time."""
        await clock.measure(operator)  # what the set-up took is no difference
        ticks.seconds += 0.5  # our own clock ran ahead
        seen = [clock.now()]
        await clock.measure(operator)
        for _ in range(10):
            seen.append(clock.now())
            ticks.seconds += 0.5
        assert seen == sorted(seen)
        assert seen[1] - seen[0] < timedelta(milliseconds=100)
        assert timedelta(seconds=4.3) < clock.now() - seen[0] < timedelta(seconds=4.7)

    async def test_f_n7_a_jump_is_told(
        self,
        clock: DatabaseClock,
        ticks: Ticks,
        operator: asyncpg.Connection,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """All nodes follow the database, and say so."""
        ticks.seconds += 30
        with caplog.at_level(logging.WARNING, "watchword.server"):
            await clock.measure(operator)
        assert "jumped by -" in caplog.text
        assert abs(clock.now() - truth()) < timedelta(seconds=1)


@pytest.fixture
async def nodes(place: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two nodes of one database; the second one's clock is 12 seconds ahead, as after a stall."""
    first, second = await open_postgres(place), await open_postgres(place)
    right = second.engine.now
    second.engine.now = lambda: right() + timedelta(seconds=12)
    yield first, second
    await first.close()
    await second.close()


class TestGrace:
    @pytest.mark.parametrize("ahead", [0, 1])
    async def test_f_n7_two_tabs_over_two_nodes_live(self, nodes: tuple[Store, Store], ahead: int) -> None:
        """Within the grace by the database's clock, whatever the nodes believe; either one may be ahead."""
        one, other = nodes[ahead], nodes[1 - ahead]
        exam = Exam((one,), Clock(one.now()))
        ada = await exam.user()
        for _ in range(5):
            session = await exam.session(ada)
            assert isinstance(await exam.advance(session, 0), Advanced)
            tab = Exam((other,), Clock(other.now()))
            repeated = await tab.advance(session, 0)
            assert isinstance(repeated, Advanced)
            assert repeated.repeated
