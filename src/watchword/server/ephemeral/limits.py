"""How often a secret may be tried: per account and per address, failures only (NIST 800-63B-4 3.2.2).

A limit is a token bucket, kept as one number a key: the moment it will be full again. The table has
a bound; beyond it the fullest buckets, which say least, are forgotten first.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil

from watchword.errors import TooManyRequests

__all__ = ["Limit", "network_of"]


@dataclass(slots=True)
class Limit:
    """A bucket of *attempts* a *window* for every key.

    Args:
        attempts: how many may fail in one window; 0 turns the limit off.
        window: the span in which an empty bucket fills.
        monotonic: seconds of a clock that does not jump.
        capacity: keys remembered.
    """

    attempts: int
    window: timedelta
    monotonic: Callable[[], float]
    capacity: int = 100_000
    _full_at: dict[str, float] = field(default_factory=dict, repr=False)

    def check(self, key: str) -> None:
        """Whether *key* has an attempt left; takes none.

        Raises:
            TooManyRequests: it has not; ``retry_after`` says when one comes back.
        """
        full_at = self._full_at.get(key)
        if full_at is None or not self.attempts:
            return
        now, span = self.monotonic(), self.window.total_seconds()
        missing = full_at - now
        if missing > span - span / self.attempts + 1e-9:
            raise TooManyRequests(retry_after=max(1, ceil(missing - span + span / self.attempts)))

    def count(self, key: str) -> None:
        """Take one attempt of *key*."""
        if not self.attempts:
            return
        now = self.monotonic()
        self._full_at[key] = (
            max(self._full_at.pop(key, now), now) + self.window.total_seconds() / self.attempts
        )
        if len(self._full_at) > self.capacity:
            self._forget(now)

    def clear(self, key: str) -> None:
        """Forget the failures of *key*: its owner proved himself."""
        self._full_at.pop(key, None)

    def _forget(self, now: float) -> None:
        live = {key: at for key, at in self._full_at.items() if at > now}
        if len(live) > self.capacity:
            keep = sorted(live.items(), key=lambda pair: pair[1])[len(live) // 2 :]
            live = dict(keep)
        self._full_at = live


def network_of(address: str | None) -> str:
    """The key of an address: itself for IPv4, its /64 for IPv6, where one host owns as many as it likes."""
    if not address:
        return "unknown"
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
