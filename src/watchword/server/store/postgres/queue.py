"""Statements that travel together: what is asked while one is under way goes with the next one.

A round trip and the commit at its end cost a database more than a hundred rows. So whoever asks
while a statement is out waits for its return, and then goes with everybody else who came meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from watchword.errors import TemporarilyUnavailable

__all__ = ["Queue"]

Asked = TypeVar("Asked")
Told = TypeVar("Told")

_BATCH: Final = 256


@dataclass(slots=True)
class Queue(Generic[Asked, Told]):
    """One statement at a time, for all who wait.

    Args:
        carry: the statement, for questions about one key each; the outcome of each key that it decided.
    """

    carry: Callable[[Mapping[str, Asked]], Awaitable[Mapping[str, Told]]]
    _waiting: deque[tuple[str, Asked, asyncio.Future[Told | None]]] = field(default_factory=deque)
    _task: asyncio.Task[None] | None = None

    async def ask(self, key: str, asked: Asked) -> Told | None:
        """The outcome, durable. ``None``: nothing was done about this key, and another way must be gone.

        A second question about a key waits until the first has been answered.

        Raises:
            TemporarilyUnavailable: the database is away. What it was told last may have been carried out.
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Told | None] = loop.create_future()
        self._waiting.append((key, asked, told))
        if self._task is None:
            self._task = loop.create_task(self._work())
        return await told

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._send(self._next())
        finally:
            self._task = None

    def _next(self) -> dict[str, tuple[Asked, asyncio.Future[Told | None]]]:
        """The next batch, each key once and in order; whoever repeats one stays where he stands."""
        batch: dict[str, tuple[Asked, asyncio.Future[Told | None]]] = {}
        later = deque[tuple[str, Asked, asyncio.Future[Told | None]]]()
        while self._waiting and len(batch) < _BATCH:
            key, asked, told = self._waiting.popleft()
            if key in batch:
                later.append((key, asked, told))
            elif not told.cancelled():
                batch[key] = asked, told
        self._waiting.extendleft(reversed(later))
        return dict(sorted(batch.items()))

    async def _send(self, batch: Mapping[str, tuple[Asked, asyncio.Future[Told | None]]]) -> None:
        outcomes: Mapping[str, Told] = {}
        away: TemporarilyUnavailable | None = None
        try:
            outcomes = await self.carry({key: asked for key, (asked, _) in batch.items()})
        except TemporarilyUnavailable as error:
            away = error
        except Exception:
            # It failed as a whole and did nothing. Alone, each of them has an outcome or a fault of his own.
            outcomes = {}
        for key, (_, told) in batch.items():
            if told.cancelled():
                continue
            if away is not None:
                told.set_exception(_again(away))
            else:
                told.set_result(outcomes.get(key))


def _again(away: TemporarilyUnavailable) -> TemporarilyUnavailable:
    """One for each who is told: an exception that several raise gathers the traces of all."""
    fault = TemporarilyUnavailable(away.description, retry_after=away.retry_after)
    fault.__cause__ = away
    return fault
