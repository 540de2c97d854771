"""How often a secret may be tried: failures only, and each further one costs a longer wait (NIST 800-63B-4 3.2.2).

A limit is a token bucket, kept as one number a key: the moment it will be full again. The table has
a bound; beyond it the fullest buckets, which say least, are forgotten first.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from math import ceil

from watchword.errors import TooManyRequests

__all__ = ["Limit", "Remembered", "network_of", "wide_network_of"]

_DOUBLINGS = 40


@dataclass(slots=True)
class _Bucket:
    full_at: float
    strikes: int = 0


@dataclass(slots=True)
class Limit:
    """A bucket of *attempts* a *window* for every key.

    Args:
        attempts: how many may fail in one window; 0 turns the limit off.
        window: the span in which an empty bucket fills.
        monotonic: seconds of a clock that does not jump.
        capacity: keys remembered.
        first: the wait for the next attempt when a bucket first runs dry; unset, the time in which one comes back.
        longest: what that wait grows to, doubling each time the bucket runs dry; unset, it does not grow.
    """

    attempts: int
    window: timedelta
    monotonic: Callable[[], float]
    capacity: int = 100_000
    first: timedelta | None = None
    longest: timedelta | None = None
    _buckets: dict[str, _Bucket] = field(default_factory=dict, repr=False)

    def wait(self, key: str) -> int:
        """Seconds until *key* has an attempt; 0 when it has one now. Takes none."""
        bucket = self._buckets.get(key)
        if bucket is None or not self.attempts:
            return 0
        missing = bucket.full_at - self.monotonic() - self._room()
        return max(1, ceil(missing)) if missing > 1e-9 else 0

    def check(self, key: str) -> None:
        """Whether *key* has an attempt left; takes none.

        Raises:
            TooManyRequests: it has not; ``retry_after`` says when one comes back.
        """
        if wait := self.wait(key):
            raise TooManyRequests(retry_after=wait)

    def count(self, key: str) -> None:
        """Take one attempt of *key*; those that were under way when it ran dry are taken, too."""
        if not self.attempts:
            return
        now, room = self.monotonic(), self._room()
        bucket = self._buckets.pop(key, None) or _Bucket(now)
        was_dry = bucket.full_at - now > room + 1e-9
        bucket.full_at = max(bucket.full_at, now) + self.window.total_seconds() / self.attempts
        if not was_dry and bucket.full_at - now > room + 1e-9:
            bucket.strikes += 1
            bucket.full_at = now + room + self._pause(bucket.strikes)
        self._buckets[key] = bucket
        if len(self._buckets) > self.capacity:
            self._forget(now)

    def clear(self, key: str) -> None:
        """Forget the failures of *key*: its owner proved himself."""
        self._buckets.pop(key, None)

    def _room(self) -> float:
        """How far from full a bucket may be and still give an attempt."""
        span = self.window.total_seconds()
        return span - span / self.attempts

    def _pause(self, strikes: int) -> float:
        spacing = self.window.total_seconds() / self.attempts
        first = self.first.total_seconds() if self.first else spacing
        if self.longest is None:
            return first
        return min(first * 2.0 ** min(strikes - 1, _DOUBLINGS), self.longest.total_seconds())

    def _forget(self, now: float) -> None:
        kept = self.longest.total_seconds() if self.longest else 0.0
        live = {key: bucket for key, bucket in self._buckets.items() if bucket.full_at + kept > now}
        if len(live) > self.capacity:
            fullest = sorted(live.items(), key=lambda pair: pair[1].full_at)
            live = dict(fullest[len(live) // 2 :])
        self._buckets = live


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


def network_of(address: str | None) -> str:
    """The key of an address: itself for IPv4, its /64 for IPv6, where one host owns as many as it likes."""
    return _network(address, 32, 64)


def wide_network_of(address: str | None) -> str:
    """The key of a neighbourhood: /24 for IPv4, /48 for IPv6: what one operator is given."""
    return _network(address, 24, 48)


# Each try asks for the key of one address several times, and the reading is slow.
@lru_cache(1024)
def _network(address: str | None, four: int, six: int) -> str:
    if not address:
        return "unknown"
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    size = four if ip.version == 4 else six
    return str(ip) if size == ip.max_prefixlen else str(ipaddress.ip_network((ip, size), strict=False))
