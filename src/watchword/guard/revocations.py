"""What is dead: the table that every message of the feed is merged into.

Messages may be lost, doubled or come in any order. Entries therefore always merge: a kill is never
taken back by another message, the highest version wins, and only the cursor knows of order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from watchword.protocol.revocation_list import Entry

__all__ = ["Death", "Kill", "Overlay", "Table"]

_GRAIN: Final = 10
"""Seconds to which deaths are rounded up, so that a million entries share a few objects."""


class Death(NamedTuple):
    """When an entry is of no more use: past *both* clocks, because either may be set wrong."""

    wall: float
    monotonic: float


class Kill(NamedTuple):
    """What died of one user or client: tokens made from a version below ``below``.

    A kill may spare a session. Two kills that spare different ones add up: the second number is how
    high the kills go that do not spare ``spared``, so that the pair says the same as all of them.
    """

    below: int
    spared: str
    below_for_spared: int
    death: Death | None

    def hits(self, version: int, session_id: str | None) -> bool:
        """Whether a token made from *version* in session *session_id* is dead."""
        if version >= self.below:
            return False
        return not self.spared or session_id != self.spared or version < self.below_for_spared


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """What tokens of one user made from a version below ``below`` show in place of their own claims.

    ``clients`` are the clients whose full tokens may also gain by it.
    """

    below: int
    sequence: int
    claims: dict[str, Any]
    clients: frozenset[str]
    death: Death | None


class Table:
    """Sessions, tokens, users, clients and overlays, each by its id.

    One writer at a time; readers need no lock, for every change is one assignment into a dict.

    Args:
        clock: the wall clock.
        monotonic: the clock nobody sets.
    """

    __slots__ = (
        "_clock",
        "_deaths",
        "_monotonic",
        "base",
        "clients",
        "overlays",
        "sessions",
        "tokens",
        "users",
    )

    def __init__(self, *, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._deaths: dict[tuple[int, int], Death] = {}
        self.sessions: dict[str, Death | None] = {}
        self.tokens: dict[str, Death | None] = {}
        self.users: dict[str, Kill] = {}
        self.clients: dict[str, Kill] = {}
        self.overlays: dict[str, Overlay] = {}
        self.base = 0

    def __len__(self) -> int:
        return sum(len(kept) for kept in self._kept())

    def merge(self, entry: Entry) -> None:
        """Take *entry* in; whether it is new, known or late makes no difference."""
        match entry.kind:
            case "session":
                self.sessions[entry.id] = _later(self._death(entry), self.sessions.get(entry.id, _NEVER_SEEN))
            case "token":
                self.tokens[entry.id] = _later(self._death(entry), self.tokens.get(entry.id, _NEVER_SEEN))
            case "user":
                kill = _added(self.users.get(entry.id), entry, self._death(entry))
                self.users[entry.id] = kill
                # Only then: a reader looks at sessions first and at users after them.
                for session_id in entry.replaces:
                    if session_id != entry.excepted and _outlasts(
                        kill.death, self.sessions.get(session_id, _NEVER_SEEN)
                    ):
                        self.sessions.pop(session_id, None)
            case "client":
                self.clients[entry.id] = _added(self.clients.get(entry.id), entry, self._death(entry))
            case "claims":
                known = self.overlays.get(entry.id)
                if known is None or (known.below, known.sequence) < (entry.below, entry.sequence):
                    clients = frozenset(entry.clients)
                    self.overlays[entry.id] = Overlay(
                        entry.below, entry.sequence, entry.claims, clients, self._death(entry)
                    )
            case "issuer":
                self.base = max(self.base, entry.below)
        # Keys are not kept here: live kids come with every message, public keys go to the issuer's key set.

    def sweep(self) -> int:
        """Forget the entries that no token is left for; returns how many."""
        wall, monotonic = self._clock(), self._monotonic()

        def is_over(death: Death | None) -> bool:
            return death is not None and death.wall < wall and death.monotonic < monotonic

        over = 0
        for plain in (self.sessions, self.tokens):
            for name in [name for name, death in plain.items() if is_over(death)]:
                del plain[name]
                over += 1
        kept: dict[str, Any]
        for kept in (self.users, self.clients, self.overlays):
            for name in [name for name, one in kept.items() if is_over(one.death)]:
                del kept[name]
                over += 1
        self._deaths = {grain: death for grain, death in self._deaths.items() if not is_over(death)}
        return over

    def entries(self) -> Iterator[Entry]:
        """The table as entries which, merged into another table, make it the same."""
        for name, death in self.sessions.items():
            at, exp = self._span(death)
            yield Entry(sequence=0, kind="session", id=name, at=at, exp=exp)
        for name, death in self.tokens.items():
            at, exp = self._span(death)
            yield Entry(sequence=0, kind="token", id=name, at=at, exp=exp)
        for name, kill in self.users.items():
            yield from self._kills("user", name, kill)
        for name, kill in self.clients.items():
            yield from self._kills("client", name, kill)
        for name, overlay in self.overlays.items():
            at, exp = self._span(overlay.death)
            yield Entry(
                sequence=overlay.sequence,
                kind="claims",
                id=name,
                below=overlay.below,
                claims=overlay.claims,
                clients=tuple(sorted(overlay.clients)),
                at=at,
                exp=exp,
            )
        if self.base:
            yield Entry(sequence=0, kind="issuer", below=self.base)

    def _kills(self, kind: Literal["user", "client"], id: str, kill: Kill) -> Iterator[Entry]:
        at, exp = self._span(kill.death)
        yield Entry(sequence=0, kind=kind, id=id, below=kill.below, excepted=kill.spared, at=at, exp=exp)
        if kill.spared and kill.below_for_spared:
            yield Entry(sequence=0, kind=kind, id=id, below=kill.below_for_spared, at=at, exp=exp)

    def _kept(self) -> tuple[Mapping[str, object], ...]:
        return self.sessions, self.tokens, self.users, self.clients, self.overlays

    def _death(self, entry: Entry) -> Death | None:
        if not entry.exp:
            return None
        # By the monotonic clock its whole life counts from now, its first sight here.
        monotonic = self._monotonic() + max(entry.exp - entry.at, 0)
        grain = int(entry.exp // _GRAIN) + 1, int(monotonic // _GRAIN) + 1
        found = self._deaths.get(grain)
        if found is None:
            found = self._deaths[grain] = Death(grain[0] * _GRAIN, grain[1] * _GRAIN)
        return found

    def _span(self, death: Death | None) -> tuple[int, int]:
        if death is None:
            return 0, 0
        left = max(death.monotonic - self._monotonic(), 0)
        return int(death.wall - left), int(death.wall)


_NEVER_SEEN: Final = Death(0, 0)


def _outlasts(one: Death | None, other: Death | None) -> bool:
    """Whether *one* is kept at least as long as *other*, by both clocks."""
    if one is None or other is None:
        return one is None
    return one.wall >= other.wall and one.monotonic >= other.monotonic


def _later(one: Death | None, other: Death | None) -> Death | None:
    if one is None or other is None:
        return None
    # First sight decides on the monotonic clock: hearing of an entry again does not make it younger.
    if other is _NEVER_SEEN:
        return one
    return one if one.wall > other.wall else other


def _added(known: Kill | None, entry: Entry, death: Death | None) -> Kill:
    if known is None:
        return Kill(entry.below, entry.excepted, 0, death)
    last = _later(death, known.death)
    if entry.excepted == known.spared:
        return Kill(max(entry.below, known.below), known.spared, known.below_for_spared, last)
    # The higher of the two leads; between equals any order says the same, so the name decides.
    ahead = (entry.below, entry.excepted) > (known.below, known.spared)
    below, spared = (entry.below, entry.excepted) if ahead else (known.below, known.spared)
    if not spared:
        return Kill(below, "", 0, last)
    others = known.below if ahead else max(entry.below, known.below_for_spared)
    return Kill(below, spared, others, last)
