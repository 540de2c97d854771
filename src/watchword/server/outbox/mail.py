"""Mail leaves behind the answers: a bounded queue in memory, a few carriers, retries that wait longer.

What is done for a mail must not be felt by whoever asked for it, for it is done only where there is an
account. So it is done later, at a moment drawn by chance.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from watchword.errors import TemporarilyUnavailable, WatchwordError
from watchword.server.outbox.letter import Letter
from watchword.server.policies import MailPolicy

__all__ = ["Carrier", "Errand", "Outbox", "Undelivered"]

_log = logging.getLogger("watchword.server")

Errand = Callable[[], Awaitable[Letter | None]]
"""Writes a letter when its turn comes; ``None``: there is none to write."""


class Undelivered(Exception):
    """A letter was not taken.

    Args:
        reason: why, for the log; no secret and no address.
        final: whether it never will be.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Carrier(Protocol):
    """What takes letters away."""

    async def carry(self, letter: Letter) -> None:
        """Take one.

        Raises:
            Undelivered: it could not.
        """


@dataclass(slots=True)
class Outbox:
    """Errands that wait for their turn; without a carrier it takes none. What waits when the process ends is lost.

    Attributes:
        policy: how many, how often.
        carrier: who takes the letters.
        chance: a number from 0 to 1.
        waiting: errands that are not done.
        sent: letters that were taken.
        given_up: letters that were not.
    """

    policy: MailPolicy
    carrier: Carrier | None
    chance: Callable[[], float] = field(repr=False)
    waiting: int = 0
    sent: int = 0
    given_up: int = 0
    _due: asyncio.Queue[tuple[Errand, str, int]] = field(default_factory=asyncio.Queue, repr=False)
    _shares: Counter[str] = field(default_factory=Counter, repr=False)

    def post(self, errand: Errand, owner: str) -> None:
        """Have *errand* done soon.

        Args:
            errand: writes the mail.
            owner: the user or network that causes it, who can fill a share of the queue and no more.

        Raises:
            TemporarilyUnavailable: too many wait.
        """
        if self.waiting >= self.policy.capacity or self._shares[owner] >= self.policy.share:
            raise TemporarilyUnavailable("too much mail waits", retry_after=60)
        self.waiting += 1
        self._shares[owner] += 1
        self._later(self.policy.pause.total_seconds() * self.chance(), errand, owner, 0)

    def send(self, errand: Errand, owner: str) -> None:
        """The same if that can be: what the mail tells of has happened in any case."""
        if self.carrier is None:
            return
        try:
            self.post(errand, owner)
        except TemporarilyUnavailable:
            self._give_up("too much mail waits")

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        if self.carrier is None:
            return
        async with asyncio.TaskGroup() as carriers:
            for _ in range(self.policy.carriers):
                carriers.create_task(self._work(self.carrier))

    async def _work(self, carrier: Carrier) -> None:
        while True:
            self._obey()
            errand, owner, tries = await self._due.get()
            try:
                letter = await errand()
                if letter is not None:
                    errand = _written(letter)  # what is tried again is this letter and not another one
                    await carrier.carry(letter)
                    self.sent += 1
            except (Undelivered, WatchwordError) as fault:
                final = isinstance(fault, Undelivered) and fault.final
                if not final and tries < len(self.policy.waits):
                    self._later(self.policy.waits[tries].total_seconds(), errand, owner, tries + 1)
                    continue
                self._give_up(str(fault))
            except Exception as broken:  # whatever it was: the next letter has nothing to do with it
                self._give_up(type(broken).__name__)
            self.waiting -= 1
            self._shares[owner] -= 1
            if not self._shares[owner]:
                del self._shares[owner]

    @staticmethod
    def _obey() -> None:
        """End when that was asked for: what carries may have taken the word for a fault of its line."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError

    def _later(self, seconds: float, errand: Errand, owner: str, tries: int) -> None:
        asyncio.get_running_loop().call_later(seconds, self._due.put_nowait, (errand, owner, tries))

    def _give_up(self, reason: str) -> None:
        self.given_up += 1
        _log.warning("a mail was given up: %s", reason)


def _written(letter: Letter) -> Errand:
    async def errand() -> Letter:
        return letter

    return errand
