"""Counters of several processes, with those of this one beneath: a limit that cannot be asked is still a limit."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import Final, NamedTuple

from watchword.errors import TemporarilyUnavailable, WatchwordError
from watchword.server.ephemeral.counters import Count, Counters, Verdict
from watchword.server.ephemeral.memory import MemoryCounters

__all__ = ["SharedCounters"]

_PAUSE: Final = 1.0
"""Seconds after which counters that were away are asked again, by one attempt."""

_FRESH: Final = 1.0
"""Seconds for which a bucket that was found dry is not asked about again."""

_FREE: Final = Verdict(0, False, -1)

_log = logging.getLogger("watchword.server")


class _Dry(NamedTuple):
    """A bucket that was dry: until when, and since when that is known."""

    until: float
    learned: float


@dataclass(slots=True)
class SharedCounters:
    """What several processes share, while it answers; else what this one has seen (``counters.Counters``).

    A good attempt costs one step: before it only what this process knows to be dry is looked up. What is
    counted there is counted here, too, so that nobody who makes the others go away gets all his attempts again.

    Args:
        shared: those of all.
        local: those of this process.
        report: told when they go away (``True``) and when they are back.
    """

    shared: Counters
    local: MemoryCounters
    report: Callable[[bool], Awaitable[None]] = field(repr=False)
    away: bool = False
    _again_at: float = field(default=0, repr=False)
    _dry: dict[str, _Dry] = field(default_factory=dict, repr=False)

    async def look(self, counts: Sequence[Count]) -> Verdict:
        """How long to wait, if this process knows that one must; the outcome decides in any case."""
        if self.away:
            return await self.local.look(counts)
        known = self._known(counts)
        if known is not None:
            return known
        verdict = await self._ask(lambda: self.shared.look(counts))
        if verdict is None:
            return await self.local.look(counts)
        self._remember(counts, verdict)
        return verdict

    async def settle(self, counts: Sequence[Count], matched: bool) -> Verdict:
        """Count or forget, there and here."""
        if not counts:
            return Verdict(0, matched, -1)
        verdict = await self._ask(lambda: self.shared.settle(counts, matched))
        if verdict is None:
            return await self.local.settle(counts, matched)
        self._remember(counts, verdict)
        if not verdict.wait:
            self.local.follow(counts, verdict.told)
        return verdict

    async def sweep(self, limit: int) -> int:
        """Forget what says nothing any more; where they were away, ask whether they are back."""
        if self.away:
            await self._ask(lambda: self.shared.look(()))
        return 0 if self.away else await self.shared.sweep(limit)

    async def close(self) -> None:
        """Let go."""
        await self.shared.close()

    async def _ask(self, question: Callable[[], Awaitable[Verdict]]) -> Verdict | None:
        now = self.local.monotonic()
        if self.away and now < self._again_at:
            return None
        self._again_at = now + _PAUSE  # while one asks, the others go on
        try:
            verdict = Verdict(*await question())  # over a socket a plain list comes
        except TemporarilyUnavailable as fault:
            self._again_at = self.local.monotonic() + _PAUSE
            await self._turned(True, str(fault))
            return None
        await self._turned(False, "")
        return verdict

    async def _turned(self, away: bool, why: str) -> None:
        if away == self.away:
            return
        self.away = away
        if away:
            _log.warning("shared counters are away, this process counts for itself: %s", why)
        else:
            _log.warning("shared counters are back")
        with suppress(WatchwordError):  # the audit log may be away with them
            await self.report(away)

    def _known(self, counts: Sequence[Count]) -> Verdict | None:
        """What needs no question: none of them was ever dry, or one was a moment ago, so that a flood asks little."""
        if not self._dry:
            return _FREE
        now = self.local.monotonic()
        answer: Verdict | None = _FREE
        for place, count in enumerate(counts):
            dry = self._dry.get(count.name) if count.binds == "openly" else None
            if dry is not None and dry.until > now:
                if now - dry.learned < _FRESH:
                    return Verdict(ceil(dry.until - now), False, place)
                answer = None
        return answer

    def _remember(self, counts: Sequence[Count], verdict: Verdict) -> None:
        if not verdict.wait:
            for count in counts if self._dry else ():
                if count.binds == "openly" or (verdict.told and count.forgotten):
                    self._dry.pop(count.name, None)
            return
        now = self.local.monotonic()
        self._dry[counts[verdict.dry].name] = _Dry(now + verdict.wait, now)
        if len(self._dry) > self.local.capacity:
            del self._dry[next(iter(self._dry))]
