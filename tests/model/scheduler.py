"""A scheduler that a seed decides: actors run one at a time, and it says who goes on after each await."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from random import Random
from typing import Any

_NAME: ContextVar[str | None] = ContextVar("actor", default=None)
_IDLE = 60
"""Turns of the loop after which an actor that neither stopped nor computes must be waiting for a lock."""


class Scheduler:
    """Interleaves actors at their pauses.

    An actor that waits for what another one holds is left alone until that one let go.

    Args:
        random: decides.
        step: called before each step; moves the clock.
    """

    def __init__(self, random: Random, step: Callable[[], None]) -> None:
        self._random = random
        self._step = step
        self._paused: dict[str, asyncio.Future[None]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._computing: set[str] = set()

    @property
    def actor(self) -> str | None:
        """Who runs."""
        return _NAME.get()

    def start(self, name: str, actor: Coroutine[Any, Any, None]) -> None:
        """Add an actor; it begins when its turn comes."""

        async def act() -> None:
            _NAME.set(name)
            await self.pause()
            await actor

        assert name not in self._tasks
        self._tasks[name] = asyncio.create_task(act())

    async def pause(self) -> None:
        """Let somebody else go on."""
        name = _NAME.get()
        if name is None or name not in self._tasks:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._paused[name] = future
        await future

    async def apart(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do *work* in one step: it ends by itself, however long a thread or the disk takes."""
        name = _NAME.get() or ""
        self._computing.add(name)
        try:
            return await work
        finally:
            self._computing.discard(name)

    async def run(self) -> None:
        """Go on until every actor is done; the first fault of one is the fault of all."""
        try:
            while self._tasks:
                await self._settle()
                if not self._paused:
                    continue
                self._step()
                name = self._random.choice(sorted(self._paused))
                self._paused.pop(name).set_result(None)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _settle(self) -> None:
        """Come back when every actor is paused, done or blocked."""
        turns = 0
        while True:
            for name in [name for name, task in self._tasks.items() if task.done()]:
                self._tasks.pop(name).result()
            running = self._tasks.keys() - self._paused.keys()
            if not running:
                return
            if running & self._computing and turns > _IDLE:
                # A thread or the disk is at work: leave the loop to it.
                await asyncio.sleep(0.0002)
                continue
            if turns > _IDLE and self._paused:
                return
            assert turns < 100_000, f"nobody can go on: {sorted(running)}"
            turns += 1
            await asyncio.sleep(0)


class Paused:
    """Something of the domain, with a pause before and after each of its calls; the call itself is one step."""

    def __init__(
        self,
        inner: Any,
        scheduler: Scheduler,
        observe: Callable[..., Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._inner = inner
        self._scheduler = scheduler
        self._observe = observe

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._scheduler.pause()
            outcome = await self._scheduler.apart(self._once(found, name, args, kwargs))
            await self._scheduler.pause()
            return outcome

        return call

    async def _once(self, found: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outcome = await found(*args, **kwargs)
        if self._observe is not None:
            await self._observe(name, args, kwargs, outcome)
        return outcome
