"""When the guard's thread asks again, how long it waits for an answer, and when a silent stream is left."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

__all__ = ["LONGEST_PAUSE", "MISSED", "Pace"]

MISSED: Final = 2
"""Heartbeats that may be missed: after them a stream is left and ``health()`` says ``late``."""
LONGEST_PAUSE: Final = 5.0
_FIRST_PAUSE: Final = 0.1
_FIRST_PATIENCE: Final = 2.0
_LONGEST_PATIENCE: Final = 15.0


class Pace:
    """Pauses and time limits of one feed; both begin short and double until a stream brings news.

    Short at first, because the next attempt is a new connection, which a balancer may send to a node that is well.

    Args:
        monotonic: the clock nobody sets.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._heard_at = 0.0
        self._pause = _FIRST_PAUSE
        self._patience = _FIRST_PATIENCE

    @property
    def patience(self) -> float:
        """Seconds to wait for the beginning of an answer."""
        return self._patience

    def begin(self) -> None:
        """A stream is opened: its silence counts from now."""
        self._heard_at = self._monotonic()

    def heard(self) -> None:
        """The stream brought news."""
        self._heard_at = self._monotonic()
        self._pause, self._patience = _FIRST_PAUSE, _FIRST_PATIENCE

    def silence(self, interval: float) -> float:
        """Seconds that the stream may go on without news, whose heartbeats come every *interval*."""
        return self._heard_at + MISSED * interval - self._monotonic()

    def pause(self) -> float:
        """Seconds until the next attempt; the one after it waits longer."""
        pause = self._pause
        self._pause = min(pause * 2, LONGEST_PAUSE)
        self._patience = min(self._patience * 2, _LONGEST_PATIENCE)
        return pause * random.uniform(0.5, 1)  # noqa: S311  jitter, so that a fleet does not come back in step
