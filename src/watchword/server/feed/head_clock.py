"""Whether this node's clock is behind the log: then somebody's clock was ahead, or this one was set back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

__all__ = ["HeadClock"]

_log = logging.getLogger("watchword.server")

_LEEWAY: Final = 30.0
"""Seconds that guards forgive; a larger difference is worth an alarm."""


@dataclass(slots=True)
class HeadClock:
    """Compares the time of the newest entry with the time here, whenever the log is read.

    Tokens are never issued before that entry, so a clock that was ahead for a minute makes tokens that are not valid
    yet until everybody has caught up. Revoking everything starts the log's time anew, because nothing issued before
    is valid then.
    """

    behind: float = 0.0
    """Seconds."""
    _alarmed: bool = False
    _is_news: bool = False

    def compare(self, clock_ms: int, now: float) -> None:
        """Note both times, and log when the difference becomes too large."""
        self.behind = max(clock_ms / 1000 - now, 0.0)
        alarmed, self._alarmed = self._alarmed, self.behind > _LEEWAY
        if self._alarmed and not alarmed:
            self._is_news = True
            _log.error(
                "this clock is %.0f seconds behind the revocation log: tokens are issued at the log's time, and APIs"
                " refuse them until then. Check the clocks; if one was ahead, `watchword revoke --all` ends the wait",
                self.behind,
            )

    def take_alarm(self) -> bool:
        """Whether an alarm began that nobody has taken yet."""
        news, self._is_news = self._is_news, False
        return news
