"""Refusals in the audit log: anyone can cause them, so only so many are written and the others are counted.

A row is kept for a year. Each user and each neighbourhood of networks has a share, and those about no user share one
more, so that strangers can neither fill the database nor hide what concerns a user behind what concerns nobody.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from watchword.server.ephemeral.counters import Count, Limit
from watchword.server.ephemeral.memory import MemoryCounters
from watchword.server.ephemeral.networks import wide_network_of
from watchword.server.store.intentions.events import Events
from watchword.server.store.records import Origin

__all__ = ["Refusals"]

_MINUTE: Final = timedelta(minutes=1)
_EACH: Final = Limit.of("refusals of one", 60, _MINUTE)
_NOBODYS: Final = Limit.of("refusals about nobody", 240, _MINUTE)


@dataclass(frozen=True, slots=True)
class Refusals:
    """Writes them down within their limits, which each process has for itself.

    Attributes:
        events: the audit log.
        near: counters of this process.
    """

    events: Events
    near: MemoryCounters
    _omitted: Counter[str] = field(default_factory=Counter, repr=False)

    async def add(
        self,
        type: str,
        origin: Origin,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Write one down, with how many of its type were only counted since the last."""
        omitted = await self.admit(type, origin, user_id)
        if omitted is None:
            return
        said = dict(detail or {})
        if omitted:
            said["omitted"] = omitted
        await self.events.add(type, origin, user_id=user_id, session_id=session_id, detail=said)

    async def admit(self, type: str, origin: Origin, user_id: str | None) -> int | None:
        """How many of this type were only counted since the last; ``None``: so is this one."""
        counts = [Count(_EACH, user_id or wide_network_of(origin.address))]
        if user_id is None:
            counts.append(Count(_NOBODYS, ""))
        if (await self.near.settle(counts, False)).wait:
            self._omitted[type] += 1
            return None
        return self._omitted.pop(type, 0)
