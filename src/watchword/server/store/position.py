"""Where the log stands: a position has a mark, because the same sequence of another past is another position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal, NamedTuple

from watchword.protocol.revocation_list import Entry
from watchword.server.store.records import Record

__all__ = ["Head", "LogPage", "Position"]


class Head(Record, frozen=True, kw_only=True):
    """The one row that orders the log (feed: epoch, sequence, longest life, base).

    Attributes:
        mark: the random number that ``sequence`` bears: the same sequence of another past bears another one.
        clock_ms: the latest time anything was written at, in milliseconds since the epoch.
        instance: a random name of this database; a restore or a move gives it another one.
        past: whether the position that was asked about is one of this log: ``same``, ``other``, or
            ``forgotten``, because no mark is kept for anything that old.
    """

    epoch: int
    sequence: int
    base: int
    longest_life: timedelta
    kids: tuple[str, ...]
    mark: int = 0
    clock_ms: int = 0
    instance: str = ""
    past: Literal["same", "other", "forgotten"] = "same"

    @property
    def position(self) -> Position:
        """The newest position of the log."""
        return Position(self.epoch, self.sequence, self.mark)


class Position(NamedTuple):
    """A position in the log. ``mark`` is 0 if it isn't known, and then only order counts."""

    epoch: int
    sequence: int
    mark: int = 0


class LogPage(NamedTuple):
    """What one read of the log found: the head, entries, and the marks of their sequences."""

    head: Head
    entries: Sequence[Entry]
    marks: Mapping[int, int]
