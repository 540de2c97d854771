"""The past of a database as one process knows it: is this the log it has seen, or another one that looks alike?

A database that fails over to a standby without the last entries, or an older file that is put back, goes on from
an earlier position. Its length overtakes what was known within a second, so only marks tell.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from watchword.errors import TemporarilyUnavailable
from watchword.server.store.position import Position

__all__ = ["PAST", "Past"]

_log = logging.getLogger("watchword.server")

PAST = (
    "SELECT h.epoch, h.sequence, h.mark, m.mark, (SELECT min(sequence) FROM log_marks)"
    " FROM head h LEFT JOIN log_marks m ON m.sequence = ?"
)
"""Where the log stands, the mark of a sequence, and the oldest sequence whose mark is kept."""


@dataclass(slots=True)
class Past:
    """The newest position of the log that this process has seen.

    Args:
        alarm: called when the database contradicts it, so that somebody reads the log at once.
    """

    alarm: Callable[[], None] = lambda: None
    known: Position = field(default=Position(0, 0))
    contradicted: Position | None = None

    def believe(self, position: Position) -> None:
        """This was read from the log, and what was known before is in it, or a new epoch has begun."""
        self.known, self.contradicted = position, None

    def check(self, known: Position, here: Position, mark: int | None, oldest: int | None) -> None:
        """Compare what was found by ``PAST`` for the sequence of *known*, which was known before it was asked."""
        if here.epoch > known.epoch or known.mark == 0:
            self.believe(here)
        elif here.epoch < known.epoch or here.sequence < known.sequence:
            self._contradict(known)
        elif mark == known.mark or (mark is None and known.sequence < (oldest or 0)):
            self.believe(here)
        else:
            self._contradict(known)

    def require(self) -> None:
        """Refuse to write to a database of another past.

        Raises:
            TemporarilyUnavailable: it is one; a new epoch begins soon.
        """
        if self.contradicted is not None:
            raise TemporarilyUnavailable("The database was rolled back. Please retry.", retry_after=1)

    def _contradict(self, known: Position) -> None:
        if self.contradicted is None:
            _log.error(
                "the database is not the one known: position %d of its log is another one", known.sequence
            )
        self.contradicted = known
        self.alarm()
