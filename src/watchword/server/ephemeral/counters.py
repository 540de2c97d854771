"""What every kind of counters must do: decide about one attempt in all its buckets, in one step.

A limit is a token bucket for each key, kept as two numbers: the moment it will be full again, and how often it ran
dry. All spans are whole microseconds, so that a counter in Python, one in Lua and one in SQL decide alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, NamedTuple, Protocol, Self

from watchword.errors import TooManyRequests
from watchword.server.ephemeral.networks import network_of, wide_network_of

__all__ = ["DOUBLINGS", "Binding", "Count", "Counters", "Limit", "Turnstile", "Verdict"]

DOUBLINGS: Final = 40
"""How often a wait doubles at most."""

_DAY: Final = timedelta(days=1)
_SUSTAINED: Final = 10
"""By how much slower than for a moment something may be done for a day."""
_NEIGHBOURS: Final = 3
"""How many networks' worth a neighbourhood may do."""

Binding = Literal["openly", "silently", "not"]


@dataclass(frozen=True, slots=True)
class Limit:
    """How many attempts a key has, and what more of them cost; all spans in microseconds.

    Attributes:
        name: sets its keys apart from those of other limits.
        spacing: in which one attempt comes back.
        room: how far from full a bucket may be and still give one.
        first: the wait when a bucket first runs dry.
        longest: what that wait grows to, doubling each time; as long as *first*, it does not grow.
    """

    name: str
    spacing: int
    room: int
    first: int
    longest: int

    @classmethod
    def lasting(cls, name: str, attempts: int, window: timedelta) -> tuple[Limit, ...]:
        """*attempts* a *window*, and over a day a tenth of that rate; none at all: no limit.

        What is written stays for weeks, so nobody may go on for days as they may for a while.
        """
        if not attempts:
            return ()
        a_day = max(attempts, attempts * (_DAY // window) // _SUSTAINED)
        return cls.of(name, attempts, window), cls.of(f"{name}, a day", a_day, max(_DAY, window))

    @classmethod
    def of(
        cls,
        name: str,
        attempts: int,
        window: timedelta,
        *,
        first: timedelta | None = None,
        longest: timedelta | None = None,
    ) -> Self:
        """*attempts* a *window*, one or more; *first* is the time in which one comes back unless it is said."""
        spacing = max(1, window // timedelta(microseconds=attempts))
        begin = first // timedelta(microseconds=1) if first else spacing
        end = longest // timedelta(microseconds=1) if longest else begin
        return cls(name, spacing, spacing * (attempts - 1), begin, end)


@dataclass(frozen=True, slots=True)
class Count:
    """One bucket that an attempt takes from.

    Attributes:
        limit: whose.
        key: which.
        binds: *openly*: when it is dry, the attempt is refused and told so. *Silently*: the attempt goes the way of
            a wrong one, so that nobody learns that this bucket is dry. *Not*: it is filled, and that is all.
        forgotten: whether an attempt that proves right empties it.
    """

    limit: Limit
    key: str
    binds: Binding = "openly"
    forgotten: bool = False

    @property
    def name(self) -> str:
        """The bucket's, among those of all limits."""
        return f"{self.limit.name} {self.key}"


class Verdict(NamedTuple):
    """What became of an attempt.

    Attributes:
        wait: seconds until it may be made; 0: it was.
        told: whether it was right and may be told so.
        dry: the place, among the counts, of the one to wait for; -1: none.
    """

    wait: int
    told: bool
    dry: int


class Counters(Protocol):
    """Buckets that whoever shares them shares. They may be lost: then everybody has all his attempts again."""

    async def look(self, counts: Sequence[Count]) -> Verdict:
        """How long an attempt would have to wait. Takes nothing."""
        ...

    async def settle(self, counts: Sequence[Count], matched: bool) -> Verdict:
        """Tell how an attempt went, in one atomic step.

        When a bucket that binds openly is dry, nothing changes, whether the attempt was right or wrong: a burst
        tries no more than a row of single ones. Otherwise a right one empties what it proves, unless a bucket that
        binds silently is dry; and each other one takes an attempt from every bucket that has one.

        Raises:
            TemporarilyUnavailable: the counters are away.
        """
        ...

    async def sweep(self, limit: int) -> int:
        """Forget up to *limit* buckets that say nothing any more; how many there were."""
        ...

    async def close(self) -> None:
        """Let go of what they hold."""
        ...


@dataclass(frozen=True, slots=True)
class Turnstile:
    """Limits that count whoever passes, for what is not tried but done; without any it is open.

    Attributes:
        limits: of each key.
        nearby: of the neighbourhood of a network, where one operator has as many networks as they like.
    """

    counters: Counters
    limits: Sequence[Limit] = ()
    nearby: Sequence[Limit] = ()

    @classmethod
    def lasting(cls, counters: Counters, name: str, attempts: int, window: timedelta) -> Self:
        """So many a window, and over a day a tenth of that rate (``Limit.lasting``)."""
        return cls(
            counters,
            Limit.lasting(name, attempts, window),
            Limit.lasting(f"{name} nearby", _NEIGHBOURS * attempts, window),
        )

    async def enter(self, *keys: str) -> None:
        """Take an attempt of each of *keys*, or of none.

        Raises:
            TooManyRequests: one has none; ``retry_after`` says when one comes back.
        """
        await self._take([Count(limit, key) for key in keys for limit in self.limits])

    async def enter_from(self, address: str | None, *keys: str) -> None:
        """The same, and of the network of *address* and its neighbourhood.

        Raises:
            TooManyRequests: one has none.
        """
        near = [Count(limit, wide_network_of(address)) for limit in self.nearby]
        await self._take(
            [Count(limit, key) for key in (network_of(address), *keys) for limit in self.limits] + near
        )

    async def _take(self, counts: Sequence[Count]) -> None:
        if not counts:
            return
        verdict = await self.counters.settle(counts, False)
        if verdict.wait:
            raise TooManyRequests(retry_after=verdict.wait)
