"""Turns at computations: networks in turn, lines that give way, clients that go away (S7)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from watchword.errors import TemporarilyUnavailable
from watchword.server.accounts.turns import Turns
from watchword.server.threads import Threads

pytestmark = pytest.mark.anyio


@dataclass
class Works:
    """One thread that does one piece of work after the other, each when the test says so."""

    turns: Turns
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    done: list[str] = field(default_factory=list)

    def ask(self, network: str, name: str = "") -> asyncio.Task[None]:
        """Somebody of *network* asks for a computation."""
        return asyncio.create_task(self._ask(network, name or network))

    async def _ask(self, network: str, name: str) -> None:
        await self.turns.run(lambda: self.gate.acquire(timeout=30), network)
        self.done.append(name)

    async def let(self, count: int) -> None:
        """Let so many be done."""
        wanted = len(self.done) + count
        self.gate.release(count)
        await until(lambda: len(self.done) >= wanted)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - a thread is waited for
            await asyncio.sleep(0.001)


@asynccontextmanager
async def works(*, waiting: int = 10) -> AsyncIterator[Works]:
    """Work that takes seconds, so that *waiting* of it may wait and none is begun ahead."""
    one = Works(Turns(Threads(1, "turns"), span=1, least=waiting, cost=10.0))
    try:
        yield one
    finally:
        one.gate.release(1000)
        one.turns.close()


async def settled(tasks: list[asyncio.Task[None]]) -> list[str]:
    """What became of each."""
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return ["done" if one is None else type(one).__name__ for one in found]


class TestTurns:
    async def test_f_s7_networks_take_turns(self) -> None:
        """Whoever comes after eight of one network is done after the one at work; a second time, in turn."""
        async with works() as one:
            flood = [one.ask("flood") for _ in range(8)]
            await until(lambda: one.turns.pending == 8)
            others = [one.ask("a"), one.ask("b"), one.ask("a", "a again")]
            await until(lambda: one.turns.pending == 11)
            await one.let(11)
            assert one.done[:7] == ["flood", "a", "b", "flood", "a again", "flood", "flood"]
            assert await settled([*flood, *others]) == ["done"] * 11
            assert one.turns.pending == 0

    async def test_f_s7_who_had_a_turn_is_not_forgotten(self) -> None:
        """However many networks are new, one that has had its turn has the next after four of them."""
        async with works(waiting=20) as one:
            twice = [one.ask("twice"), one.ask("twice", "again")]
            await until(lambda: one.turns.pending == 2)
            others = [one.ask(f"new {number}") for number in range(6)]
            await until(lambda: one.turns.pending == 8)
            await one.let(8)
            assert one.done[5] == "again"
            assert await settled([*twice, *others]) == ["done"] * 8

    async def test_f_s7_the_longest_line_gives_way(self) -> None:
        """When the queue is full, the last of a flood is sent away for somebody who has no line."""
        async with works(waiting=6) as one:
            flood = [one.ask("flood") for _ in range(9)]
            await until(lambda: sum(task.done() for task in flood) == 2)
            others = [one.ask(name) for name in "abc"]
            await until(lambda: sum(task.done() for task in flood) == 5)
            await one.let(7)
            assert await settled(others) == ["done"] * 3
            assert await settled(flood) == ["done"] * 4 + ["TemporarilyUnavailable"] * 5

    async def test_f_s7_many_networks_send_nobody_away(self) -> None:
        """Lines of one give way to none: whoever waits already is before whoever comes."""
        async with works(waiting=4) as one:
            tasks = [one.ask(name) for name in "abcde"]
            await until(lambda: one.turns.pending == 5)
            late = one.ask("late")
            with pytest.raises(TemporarilyUnavailable) as refused:
                await late
            assert refused.value.retry_after == 1
            await one.let(5)
            assert await settled(tasks) == ["done"] * 5

    async def test_who_goes_away_leaves_the_line(self) -> None:
        """While waiting, at the moment of the turn, and while the work is done."""
        async with works() as one:
            tasks = [one.ask("a"), one.ask("a"), one.ask("b"), one.ask("c"), one.ask("d")]
            await until(lambda: one.turns.pending == 5)
            tasks[2].cancel()
            with suppress(asyncio.CancelledError):
                await tasks[2]
            one.gate.release()
            tasks[3].cancel()
            await until(lambda: tasks[0].done())
            one.gate.release(10)
            assert await settled(tasks) == ["done", "done", "CancelledError", "CancelledError", "done"]
            await until(lambda: one.turns.pending == 0)
            await one.ask("e")
            assert one.done[-1] == "e"

    async def test_short_work_is_begun_ahead(self) -> None:
        """Of computations of a tenth of a millisecond, threads have the next ones before anybody asks for a turn."""
        turns = Turns(Threads(1, "turns"), span=1, least=1, cost=0.0001)
        gate = threading.Event()
        try:
            tasks = [asyncio.ensure_future(turns.run(gate.wait, "a")) for _ in range(50)]
            await until(lambda: turns.pending == 50)
            assert not turns._waiting
        finally:
            gate.set()
            await asyncio.gather(*tasks)
            turns.close()

    async def test_the_end_lets_everybody_go(self) -> None:
        """A server that ends keeps nobody waiting."""
        async with works() as one:
            tasks = [one.ask("a") for _ in range(3)]
            await until(lambda: one.turns.pending == 3)
        assert set(await settled(tasks)) <= {"done", "CancelledError"}


class TestGivingWay:
    async def test_f_s7_who_gives_way_and_leaves_at_once_is_counted_once(self) -> None:
        """A client that goes away at the moment at which its turn is refused takes nobody's turn along."""
        async with works(waiting=3) as one:
            first = one.ask("flood")
            flood = [one.ask("flood") for _ in range(3)]
            await until(lambda: one.turns.pending == 4)
            guest = one.ask("guest")
            await asyncio.sleep(0)
            flood[-1].cancel()  # refused in this turn of the loop, and not told yet
            assert (await settled([flood[-1]]))[0] in ("CancelledError", "TemporarilyUnavailable")
            await one.let(4)
            assert await settled([first, guest, *flood[:-1]]) == ["done"] * 4
            assert one.turns.pending == 0
