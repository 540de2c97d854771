"""Where attempts are counted: in Valkey or Redis, in the database that nodes share, or in this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2b

from watchword.server.ephemeral.counters import Counters
from watchword.server.ephemeral.memory import MemoryCounters
from watchword.server.ephemeral.shared import SharedCounters
from watchword.server.keys.sealing import Sealing
from watchword.server.settings import Settings
from watchword.server.store.records import Origin
from watchword.server.store.store import Store

__all__ = ["counters_of"]


def counters_of(
    settings: Settings,
    store: Store,
    sealing: Sealing,
    monotonic: Callable[[], float] | None,
    instance: str,
    *,
    shared: bool,
) -> Counters:
    """Where attempts are counted: in Valkey or Redis where there is one, else where all who share the store do."""
    if settings.redis is not None:
        from watchword.server.ephemeral.redis import RedisCounters

        key = sealing.derive(f"counters {instance}")
        found: Counters = RedisCounters.open(
            settings.redis, lambda name: blake2b(name.encode(), key=key, digest_size=16).digest(), monotonic
        )
    elif shared or settings.shares_database:
        found = store.counters
    else:
        return store.counters

    async def report(away: bool) -> None:
        if away:
            await store.events.add("counters.away", Origin())
        else:
            await store.events.add("counters.back", Origin())

    return SharedCounters(found, MemoryCounters(monotonic or time.monotonic), report)
