"""Readings of the log that strangers may ask for: one for all who came before it began."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

__all__ = ["Asking"]


@dataclass(slots=True)
class Asking:
    """Reads at most one reading ahead, however many ask.

    Args:
        turn: held while the log is read, by whomever.
        read: reads it.
    """

    turn: asyncio.Lock
    read: Callable[[], Awaitable[object]]
    _next: asyncio.Task[None] | None = field(default=None, repr=False)

    async def ask(self) -> None:
        """Wait for a reading that begins after this call.

        Raises:
            TemporarilyUnavailable: the log cannot be read.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._run())
            # Those who left do not fetch its outcome.
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._next)

    def close(self) -> None:
        """Read no more."""
        if self._next is not None:
            self._next.cancel()

    async def _run(self) -> None:
        async with self.turn:
            self._next = None  # who asks from here on waits for the next one
            await self.read()
