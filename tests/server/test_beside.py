"""Threads beside the loop: what they are given comes back, together where it is short, and nothing holds the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from threading import Event, current_thread

import pytest

from watchword.server.threads import Threads

pytestmark = pytest.mark.anyio

PATIENCE = 10.0


@dataclass(slots=True)
class Clock:
    """Moves on by *step* whenever somebody looks."""

    step: float
    _looks: count[int] = field(default_factory=count)

    def __call__(self) -> float:
        return next(self._looks) * self.step


@pytest.fixture
async def two() -> AsyncIterator[Threads]:
    threads = Threads(2, "two")
    yield threads
    threads.close()


async def told(event: Event) -> None:
    """Wait, beside the loop, until a thread sets *event*."""
    assert await asyncio.to_thread(event.wait, PATIENCE)


class TestThreads:
    async def test_everybody_gets_his_own(self, two: Threads) -> None:
        """Of many at once, an outcome or a fault each."""

        def divide(n: int) -> float:
            return 1 / n

        found = await asyncio.gather(
            *(two.run(lambda n=n: divide(n)) for n in range(100)),  # type: ignore[misc]
            return_exceptions=True,
        )
        assert isinstance(found[0], ZeroDivisionError)
        assert found[1:] == [1 / n for n in range(1, 100)]

    async def test_the_loop_goes_on_meanwhile(self, two: Threads) -> None:
        """What waits for the loop in two threads at once is let go by the loop."""
        gates = [Event(), Event()]
        waiting = [two.run(lambda gate=gate: gate.wait(PATIENCE)) for gate in gates]  # type: ignore[misc]
        await asyncio.sleep(0)
        for gate in reversed(gates):
            gate.set()
        assert await asyncio.gather(*waiting) == [True, True]

    async def test_they_have_a_name_and_are_as_many_as_was_said(self, two: Threads) -> None:
        """Whatever is asked of them."""
        both = Event()
        seen: set[str] = set()

        def look() -> int | None:
            seen.add(f"{current_thread().name} {current_thread().ident}")
            if len(seen) == 2:
                both.set()
            both.wait(PATIENCE)
            return current_thread().ident

        found = await asyncio.gather(*(two.run(look) for _ in range(20)))
        assert len(set(found)) == 2
        assert {name.split()[0] for name in seen} == {"two"}

    async def test_what_took_long_is_handed_back_while_the_next_is_at_work(self) -> None:
        """A hash of a person's password must not wait for that of another."""
        one, gate = Threads(1, "one", Clock(step=1.0)), Event()
        first, second = one.run(lambda: "first"), one.run(lambda: gate.wait(PATIENCE))
        assert await asyncio.wait_for(first, PATIENCE) == "first"
        assert not second.done()
        gate.set()
        assert await second
        one.close()

    async def test_what_was_short_is_handed_back_with_the_next(self) -> None:
        """To be woken for each would cost more than each."""
        one, at_work, gate = Threads(1, "one", Clock(step=0.0)), Event(), Event()

        def second() -> bool:
            at_work.set()
            return gate.wait(PATIENCE)

        short, last = one.run(lambda: "short"), one.run(second)
        await told(at_work)
        assert not short.done()
        gate.set()
        assert await asyncio.gather(short, last) == ["short", True]
        one.close()

    async def test_what_nobody_waits_for_any_more_is_not_begun(self) -> None:
        """A client that went away costs no hash."""
        one, gate, begun = Threads(1, "one"), Event(), Event()
        first, called_off = one.run(lambda: gate.wait(PATIENCE)), one.run(begun.set)
        await asyncio.sleep(0)
        called_off.cancel()
        gate.set()
        assert await first
        assert await one.run(lambda: "last") == "last"
        assert not begun.is_set()
        one.close()

    async def test_at_the_end_nothing_more_is_begun(self) -> None:
        """What has begun comes to its end; the rest is called off, and nothing is taken on."""
        one, at_work, gate = Threads(1, "one"), Event(), Event()

        def first() -> bool:
            at_work.set()
            return gate.wait(PATIENCE)

        begun, never = one.run(first), one.run(lambda: "never")
        await told(at_work)
        late = one.run(lambda: "late")
        one.close()
        gate.set()
        assert await begun
        assert never.cancelled()
        assert late.cancelled()
        with pytest.raises(RuntimeError, match="closed"):
            one.run(lambda: "after")
