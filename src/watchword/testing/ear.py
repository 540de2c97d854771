"""A guard's ear in a test: it hears the pretend issuer at once, and asks nothing over the network."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from watchword.errors import TemporarilyUnavailable
from watchword.guard.knowledge import Knowledge
from watchword.guard.view import View
from watchword.jose.jwk import Key

__all__ = ["Ear"]


class Ear:
    """A feed without thread and network; what is told to it is merged as a message of a real issuer is.

    Args:
        knowledge: what was heard so far.
        max_staleness: seconds of silence after which it counts as stale.
        trade: what the issuer gives for a credential.
    """

    def __init__(
        self, knowledge: Knowledge, max_staleness: float, trade: Callable[[str, str, str], str]
    ) -> None:
        self._knowledge = knowledge
        self._trade = trade
        self._max_staleness = max_staleness
        self.silent = False

    @property
    def view(self) -> View:
        """What is known now."""
        return self._knowledge.view

    def hear(self, message: str, *, keys: tuple[Key, ...], feed_key: Key) -> None:
        """Take in one signed message and the public keys that go with it."""
        self._knowledge.set_feed_keys([feed_key.public_jwk()])
        self._knowledge.add_keys([key.public_jwk() for key in keys])
        self._knowledge.accept(message)

    def want(self, kid: str) -> None:
        """Every key of the pretend issuer is known already."""

    def age(self) -> float:
        """Seconds since the issuer was last heard."""
        return self._knowledge.age()

    def start(self) -> None:
        """It hears from the start."""

    def wait(self, seconds: float) -> None:
        """There is nothing to wait for."""

    def refresh(self) -> None:
        """Nothing is newer than what was told.

        Raises:
            TemporarilyUnavailable: the issuer is silent.
        """
        if self.silent:
            raise TemporarilyUnavailable("the pretend issuer is silent")

    def confirm(self) -> Future[None]:
        """As ``refresh``; done at once."""
        answer: Future[None] = Future()
        try:
            self.refresh()
        except TemporarilyUnavailable as silent:
            answer.set_exception(silent)
        else:
            answer.set_result(None)
        return answer

    def exchange(self, kind: str, credential: str, audience: str) -> str:
        """What the issuer gives for a credential.

        Raises:
            InvalidToken: nothing.
            TemporarilyUnavailable: the issuer is silent.
        """
        self.refresh()
        return self._trade(kind, credential, audience)

    def close(self) -> None:
        """There is nothing to end."""

    def forked(self) -> bool:
        """A child process has its own copy, and nothing to begin."""
        self._knowledge.forked()
        return False

    def health(self) -> dict[str, Any]:
        """As a guard of a real issuer tells it."""
        known, age = self._knowledge, self.age()
        return {
            "state": known.state(age, self._max_staleness),
            "age": round(age, 3),
            "clock": known.time.clock,
            "epoch": known.epoch,
            "sequence": known.sequence,
            "entries": len(known.table),
            "kids": list(known.view.keys),
            "alarms": known.alarms,
            "error": None,
        }
