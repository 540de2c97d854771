"""The exam that every kind of counters must pass, races included.

A case is a function of an ``Exam``: counters that nobody has used, as two nodes see them, and their clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from watchword.server.ephemeral.counters import Binding, Count, Counters, Limit, Verdict

__all__ = ["CASES", "Case", "Exam"]

MINUTE: Final = timedelta(minutes=1)
TEN: Final = Limit.of("ten", 10, MINUTE, longest=timedelta(minutes=15))
HUNDRED: Final = Limit.of("hundred", 100, timedelta(days=30), first=MINUTE, longest=timedelta(days=1))
STEADY: Final = Limit.of("steady", 60, MINUTE)
WRONG: Final = Verdict(0, False, -1)
RIGHT: Final = Verdict(0, True, -1)


@dataclass(slots=True)
class Clock:
    """Seconds that pass when told to."""

    seconds: float = 1_000_000.0

    def monotonic(self) -> float:
        """The time."""
        return self.seconds


@dataclass(slots=True)
class Exam:
    """Counters and their clock.

    Args:
        nodes: the same counters, as each of several processes has them.
        clock: what they were opened with.
    """

    nodes: Sequence[Counters]
    clock: Clock

    async def fail(self, *counts: Count, node: int = 0) -> Verdict:
        """An attempt that was wrong."""
        return Verdict(*await self.nodes[node % len(self.nodes)].settle(counts, False))

    async def match(self, *counts: Count, node: int = 0) -> Verdict:
        """One that was right."""
        return Verdict(*await self.nodes[node % len(self.nodes)].settle(counts, True))

    async def wait(self, *counts: Count, node: int = 0) -> int:
        """How long the next one must wait."""
        return Verdict(*await self.nodes[node % len(self.nodes)].look(counts)).wait

    async def fill(self, count: Count, times: int = 10) -> None:
        """So many failures."""
        for number in range(times):
            assert await self.fail(count, node=number) == WRONG


def count(key: str = "ada", limit: Limit = TEN, binds: Binding = "openly") -> Count:
    """A bucket that a proof empties."""
    return Count(limit, key, binds, True)


async def a_bucket_gives_what_it_holds(exam: Exam) -> None:
    """Ten, whichever node asks; then the wait is told, with the bucket to wait for, and another key goes on."""
    await exam.fill(count())
    for node in (0, 1):
        assert await exam.fail(count("bob"), count(), node=node) == Verdict(6, False, 1)
        assert await exam.match(count(), node=node) == Verdict(6, False, 0)
        assert await exam.wait(count(), node=node) == 6
    assert await exam.fail(count("bob")) == WRONG
    assert await exam.fail(replace(count(), limit=STEADY)) == WRONG


async def a_refused_attempt_takes_nothing(exam: Exam) -> None:
    """However often it is made: not from the dry bucket, and not from those beside it."""
    await exam.fill(count())
    for _ in range(30):
        assert (await exam.fail(count(), count("bob"))).wait == 6
    exam.clock.seconds += 6
    await exam.fill(count("bob"))
    assert await exam.fail(count()) == WRONG


async def each_wait_is_longer(exam: Exam) -> None:
    """It doubles up to the longest, and a pause does not buy the short ones back; rest does."""
    await exam.fill(count())
    waits = []
    for node in range(11):
        waits.append(await exam.wait(count(), node=node))
        exam.clock.seconds += waits[-1]
        assert await exam.fail(count(), node=node) == WRONG
    assert waits == [6, 12, 24, 48, 96, 192, 384, 768, 900, 900, 900]
    exam.clock.seconds += 900 + 54 + 899
    await exam.fill(count())
    assert await exam.wait(count()) == 900
    exam.clock.seconds += 900 + 54 + 900
    await exam.fill(count())
    assert await exam.wait(count()) == 6


async def a_wait_may_begin_long_and_stay(exam: Exam) -> None:
    """The first one is said, or is the time in which an attempt comes back; without a longest it does not grow."""
    await exam.fill(count(limit=HUNDRED), 100)
    assert await exam.wait(count(limit=HUNDRED)) == 60
    await exam.fill(count(limit=STEADY), 60)
    for _ in range(3):
        assert await exam.wait(count(limit=STEADY)) == 1
        exam.clock.seconds += 1
        assert await exam.fail(count(limit=STEADY)) == WRONG


async def attempts_come_back(exam: Exam) -> None:
    """One each six seconds, up to ten."""
    await exam.fill(count(), 9)
    exam.clock.seconds += 12
    await exam.fill(count(), 3)
    assert await exam.wait(count()) == 6


async def the_longest_wait_is_told(exam: Exam) -> None:
    """Of several dry buckets."""
    await exam.fill(count())
    await exam.fill(count(limit=HUNDRED), 100)
    assert await exam.fail(count("bob"), count(), count(limit=HUNDRED)) == Verdict(60, False, 2)


async def a_proof_empties_what_it_proves(exam: Exam) -> None:
    """The buckets that say so, at every node; the others keep what they have."""
    address = Count(TEN, "192.0.2.1")
    for _ in range(9):
        assert await exam.fail(count(), address) == WRONG
    assert await exam.match(count(), address, node=1) == RIGHT
    await exam.fill(count())
    assert await exam.fail(address) == WRONG
    assert await exam.wait(address) == 6


async def a_proof_forgives_the_long_waits(exam: Exam) -> None:
    """After it the first wait is the first again."""
    await exam.fill(count())
    exam.clock.seconds += 6
    assert await exam.fail(count()) == WRONG
    exam.clock.seconds += 12
    assert await exam.match(count()) == RIGHT
    await exam.fill(count())
    assert await exam.wait(count()) == 6


async def what_does_not_bind_is_filled(exam: Exam) -> None:
    """It stops nobody whom it does not bind, and whoever it binds finds it dry."""
    await exam.fill(count(binds="not"))
    assert await exam.fail(count(binds="not")) == WRONG
    assert await exam.match(Count(TEN, "ada", "not")) == RIGHT
    assert await exam.wait(count()) == 6


async def a_silent_bucket_makes_right_wrong(exam: Exam) -> None:
    """Nobody is told to wait; nobody is told that he was right; what is shown fills as by a wrong one."""
    shown, hidden = count("by this name"), count("ada", binds="silently")
    await exam.fill(hidden)
    for node in range(9):
        assert await exam.match(shown, hidden, node=node) == WRONG
    assert await exam.fail(shown, hidden) == WRONG
    assert await exam.match(shown, hidden) == Verdict(6, False, 0)
    exam.clock.seconds += 6
    assert await exam.match(shown, hidden) == RIGHT
    await exam.fill(shown)


async def a_dry_bucket_gives_nothing_more(exam: Exam) -> None:
    """So failures beside it, which it did not stop, make its wait no longer."""
    await exam.fill(count())
    for _ in range(50):
        assert await exam.fail(count(binds="not")) == WRONG
    assert await exam.wait(count()) == 6


async def a_clock_that_jumps_back_locks_nobody_out(exam: Exam) -> None:
    """The wait is never longer than the longest."""
    await exam.fill(count())
    exam.clock.seconds -= 86_400
    assert await exam.wait(count()) == 900
    exam.clock.seconds += 86_400
    assert await exam.wait(count()) == 6


async def nothing_to_count_stops_nobody(exam: Exam) -> None:
    """All limits may be off."""
    assert await exam.match() == RIGHT
    assert await exam.fail() == WRONG


async def sweeping_changes_nothing(exam: Exam) -> None:
    """What is forgotten said nothing any more; what says something stays."""
    await exam.fill(count())
    await exam.fill(count("bob"), 3)
    exam.clock.seconds += 30
    while await exam.nodes[0].sweep(1):
        pass
    exam.clock.seconds -= 30
    assert await exam.wait(count()) == 6


async def a_burst_tries_no_more_than_a_row(exam: Exam) -> None:
    """Sixty-four at once over all nodes, on a bucket that is new: ten are told that they were wrong."""
    for number in range(5):
        ada, everybody = count(f"ada {number}"), Count(STEADY, "everybody", "not")
        verdicts = await asyncio.gather(*(exam.fail(ada, everybody, node=node) for node in range(64)))
        assert verdicts.count(WRONG) == 10
        assert {verdict.wait for verdict in verdicts} == {0, 6}


async def bursts_that_cross_wait_for_each_other(exam: Exam) -> None:
    """The same buckets in another order, right and wrong attempts among them: no one breaks off."""
    buckets = [count(f"ada {number}", STEADY, "not") for number in range(6)]
    attempts: list[Awaitable[Verdict]] = []
    for node in range(60):
        some = buckets[node % 6 :] + buckets[: node % 6]
        attempts.append((exam.match if node % 3 == 0 else exam.fail)(*some[: 1 + node % 5], node=node))
    assert set(await asyncio.gather(*attempts)) == {RIGHT, WRONG}


async def a_burst_of_right_ones_is_no_attack(exam: Exam) -> None:
    """Only failures count."""
    verdicts: Iterable[Verdict] = await asyncio.gather(*(exam.match(count(), node=n) for n in range(64)))
    assert set(verdicts) == {RIGHT}


Case = Callable[[Exam], Awaitable[None]]

CASES: Final[tuple[Case, ...]] = (
    a_bucket_gives_what_it_holds,
    a_refused_attempt_takes_nothing,
    each_wait_is_longer,
    a_wait_may_begin_long_and_stay,
    attempts_come_back,
    the_longest_wait_is_told,
    a_proof_empties_what_it_proves,
    a_proof_forgives_the_long_waits,
    what_does_not_bind_is_filled,
    a_silent_bucket_makes_right_wrong,
    a_dry_bucket_gives_nothing_more,
    a_clock_that_jumps_back_locks_nobody_out,
    nothing_to_count_stops_nobody,
    sweeping_changes_nothing,
    a_burst_tries_no_more_than_a_row,
    bursts_that_cross_wait_for_each_other,
    a_burst_of_right_ones_is_no_attack,
)
