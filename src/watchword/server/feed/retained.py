"""The entries of the log that guards may still need, in memory and in order."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from operator import attrgetter
from typing import Final

from watchword.protocol.revocation_list import Entry

__all__ = ["Kept"]

_MARKS: Final = 16_384
"""Marks kept in memory: more than subscribers may lack and still get a message of their own."""


class Kept:
    """The kept entries of one epoch.

    What asks for the newest few costs those few, whatever the log holds: an event goes out after
    each commit, and a million entries may lie before it.
    """

    __slots__ = ("_entries", "_keys", "_marks", "_seen_at", "epoch", "forgotten", "last", "tokens")

    def __init__(self, epoch: int = 0) -> None:
        self.epoch = epoch
        self._entries: deque[Entry] = deque()
        self._seen_at: deque[float] = deque()
        self._keys: Entry | None = None
        self.last = 0
        self.forgotten = 0
        """All entries up to this sequence are over."""
        self.tokens: set[str] = set()
        self._marks: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._entries) + (self._keys is not None)

    @property
    def keys_at(self) -> int:
        """The sequence at which the signing keys last changed."""
        return 0 if self._keys is None else self._keys.sequence

    def mark_of(self, sequence: int) -> int | None:
        """The mark of a sequence, if it is one of the newest."""
        return self._marks.get(sequence)

    def remember(self, marks: Mapping[int, int]) -> None:
        """Keep the marks of sequences; the oldest make room."""
        self._marks.update(marks)
        for sequence in list(islice(self._marks, max(len(self._marks) - _MARKS, 0))):
            del self._marks[sequence]

    def add(self, entries: Iterable[Entry], monotonic: float) -> None:
        """Append what the log gave, in its order; what is known already is passed over."""
        for entry in entries:
            if entry.sequence <= self.last:
                continue
            self.last = entry.sequence
            if entry.kind == "key":
                self._keys = entry
                continue
            if entry.kind == "issuer":  # it outbids all before it
                self._entries.clear()
                self._seen_at.clear()
                self.tokens.clear()
            elif entry.kind == "token":
                self.tokens.add(entry.id)
            self._entries.append(entry)
            self._seen_at.append(monotonic)

    def past(self, after: int) -> tuple[Entry, ...]:
        """The entries past *after*; of a user's overlays the newest, which says all that the older ones said."""
        found: list[Entry] = []
        overlaid: set[str] = set()
        for entry in reversed(self._entries):
            if entry.sequence <= after:
                break
            if entry.kind == "claims":
                if entry.id in overlaid:
                    continue
                overlaid.add(entry.id)
            found.append(entry)
        found.reverse()
        if self._keys is not None and self._keys.sequence > after:
            insort(found, self._keys, key=attrgetter("sequence"))
        return tuple(found)

    def forget(self, now: float, monotonic: float) -> None:
        """Drop the oldest whose time is over by both clocks; one that ends out of turn waits for those before."""
        while self._entries:
            entry = self._entries[0]
            if not 0 < entry.exp < now or monotonic - self._seen_at[0] <= entry.exp - entry.at:
                return
            self._entries.popleft()
            self._seen_at.popleft()
            self.forgotten = entry.sequence
            if entry.kind == "token":
                self.tokens.discard(entry.id)
