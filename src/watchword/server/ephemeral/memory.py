"""Counters in the memory of one process. The tables have a bound; beyond it the fullest buckets are forgotten first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from watchword.server.ephemeral.counters import DOUBLINGS, Count, Limit, Verdict

__all__ = ["MemoryCounters", "Remembered"]

_SECOND = 1_000_000


@dataclass(slots=True)
class _Bucket:
    full_at: int
    strikes: int
    kept_until: int


@dataclass(slots=True)
class MemoryCounters:
    """Counters of this process (``counters.Counters``).

    Args:
        monotonic: seconds of a clock that does not jump.
        capacity: keys remembered for each limit, so that a flood of one kind drowns no other.
    """

    monotonic: Callable[[], float] = time.monotonic
    capacity: int = 100_000
    _tables: dict[str, dict[str, _Bucket]] = field(default_factory=dict, repr=False)

    async def look(self, counts: Sequence[Count]) -> Verdict:
        """How long to wait."""
        return self._look(counts, self._now())[0]

    async def settle(self, counts: Sequence[Count], matched: bool) -> Verdict:
        """Count or forget."""
        now = self._now()
        verdict, silent = self._look(counts, now)
        if verdict.wait:
            return verdict
        told = matched and not silent
        self.follow(counts, told)
        return Verdict(0, told, -1)

    def follow(self, counts: Sequence[Count], told: bool) -> None:
        """Do as others decided."""
        now = self._now()
        for count in counts:
            if not told:
                self._take(count, now)
            elif count.forgotten:
                self._table(count.limit).pop(count.key, None)

    async def sweep(self, limit: int) -> int:
        """Nothing to do: what is old goes when there is no room for it."""
        return 0

    async def close(self) -> None:
        """Nothing to let go."""

    def _now(self) -> int:
        return int(self.monotonic() * _SECOND)

    def _table(self, limit: Limit) -> dict[str, _Bucket]:
        return self._tables.setdefault(limit.name, {})

    def _look(self, counts: Sequence[Count], now: int) -> tuple[Verdict, bool]:
        longest, dry, silent = 0, -1, False
        for place, count in enumerate(counts):
            bucket = self._table(count.limit).get(count.key)
            missing = _missing(bucket, count.limit, now) if bucket and count.binds != "not" else 0
            if missing > 0 and count.binds == "silently":
                silent = True
            elif missing > longest:
                longest, dry = missing, place
        return Verdict(-(-longest // _SECOND), False, dry), silent

    def _take(self, count: Count, now: int) -> None:
        limit, table = count.limit, self._table(count.limit)
        bucket = table.pop(count.key, None)
        if bucket is None or bucket.kept_until <= now:
            bucket = _Bucket(now, 0, now)
        table[count.key] = bucket
        if _missing(bucket, limit, now) > 0:
            return
        bucket.full_at = max(bucket.full_at, now) + limit.spacing
        if bucket.full_at - now > limit.room:
            bucket.strikes += 1
            wait = min(limit.first << min(bucket.strikes - 1, DOUBLINGS), limit.longest)
            bucket.full_at = now + limit.room + wait
        # A bucket that never ran dry says nothing once it is full; the others say how long the next wait is.
        bucket.kept_until = bucket.full_at + (limit.longest if bucket.strikes else 0)
        if len(table) > self.capacity:
            self._forget(table, now)

    def _forget(self, table: dict[str, _Bucket], now: int) -> None:
        live = [(key, bucket) for key, bucket in table.items() if bucket.kept_until > now]
        if len(live) > self.capacity:
            live = sorted(live, key=lambda pair: pair[1].full_at)[len(live) // 2 :]
        table.clear()
        table.update(live)


def _missing(bucket: _Bucket, limit: Limit, now: int) -> int:
    """Microseconds until the bucket gives an attempt: never more than the longest wait, whatever clocks did."""
    if bucket.kept_until <= now:
        return 0
    return min(bucket.full_at - now - limit.room, limit.longest)


@dataclass(slots=True)
class Remembered:
    """A bounded memory of keys; the oldest go first."""

    capacity: int = 100_000
    _keys: dict[str, None] = field(default_factory=dict, repr=False)

    def add(self, key: str) -> None:
        """Remember *key*."""
        self._keys.pop(key, None)
        self._keys[key] = None
        if len(self._keys) > self.capacity:
            del self._keys[next(iter(self._keys))]

    def __contains__(self, key: str) -> bool:
        return key in self._keys
