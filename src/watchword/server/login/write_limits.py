"""How much one user may write, and one network: whatever a caller writes, everybody pays for.

A write costs a commit and rows of the audit log; one that ends a session or a key costs an entry in the revocation
feed too, which every guard carries. Each route that writes names its kind (``Route.limit``), and this is the only
place that enforces it; how many there may be is said in ``LimitPolicy``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from watchword.errors import TooManyRequests
from watchword.server.ephemeral.counters import Count, Counters, Limit
from watchword.server.ephemeral.memory import MemoryCounters
from watchword.server.ephemeral.networks import network_of
from watchword.server.policies import LimitPolicy, WriteKind

__all__ = ["WriteLimits"]

_TRUSTED: Final = ("administration", "setup")
"""What may go on for days as for a moment."""
_APART: Final = ("removals",)
"""Whoever has a user's token must not keep them from ending its session, so each network counts for itself. What can be
ended was made within limits of all networks together."""
_FREE: Final = 3
"""Sign-ins a minute of one user that cost no question to the counters that processes share."""


@dataclass(frozen=True, slots=True)
class WriteLimits:
    """The limits of each kind, for a user and for a network; where there are none, it is unlimited."""

    users: Mapping[WriteKind, Sequence[Limit]]
    networks: Mapping[WriteKind, Sequence[Limit]]
    counters: Counters
    near: MemoryCounters
    free: Limit | None

    @classmethod
    def of(cls, policy: LimitPolicy, counters: Counters, near: MemoryCounters) -> Self:
        """The limits under *policy*; *near* are counters of this process."""

        return cls(
            users={
                kind: Limit.lasting(f"user {kind}", count, policy.window)[: 1 if kind in _TRUSTED else None]
                for kind, count in policy.writes_of_user.items()
            },
            networks={
                kind: Limit.lasting(f"network {kind}", count, policy.window)[
                    : 1 if kind in _TRUSTED else None
                ]
                for kind, count in policy.writes_of_network.items()
            },
            counters=counters,
            near=near,
            free=Limit.of("free sign-ins", _FREE, policy.window),
        )

    async def enter(self, kind: WriteKind, user_id: str | None, address: str | None) -> None:
        """Count one write of *user_id*, if somebody is known to ask, and of the network of *address*.

        Raises:
            TooManyRequests: either has had too many of late; nothing is counted then.
        """
        counts = self._counts(kind, user_id, address)
        if not counts or (kind == "sign-ins" and await self._is_free(user_id)):
            return
        verdict = await self.counters.settle(counts, False)
        if verdict.wait:
            raise TooManyRequests(retry_after=verdict.wait)

    async def check(self, kind: WriteKind, user_id: str, address: str | None) -> None:
        """Refuse what ``enter`` would refuse, and count nothing: before work that would be done in vain.

        Raises:
            TooManyRequests: as ``enter``.
        """
        counts = self._counts(kind, user_id, address)
        if not counts or (kind == "sign-ins" and await self._has_free(user_id)):
            return
        verdict = await self.counters.look(counts)
        if verdict.wait:
            raise TooManyRequests(retry_after=verdict.wait)

    def _counts(self, kind: WriteKind, user_id: str | None, address: str | None) -> Sequence[Count]:
        network, user = network_of(address), user_id
        if kind in _APART and user is not None:
            user = f"{user} {network}"
        return [
            Count(limit, key)
            for limits, key in ((self.users[kind], user), (self.networks[kind], network))
            if key is not None
            for limit in limits
        ]

    async def _is_free(self, user_id: str | None) -> bool:
        if self.free is None or user_id is None:
            return False
        return not (await self.near.settle([Count(self.free, user_id)], False)).wait

    async def _has_free(self, user_id: str) -> bool:
        return self.free is not None and not (await self.near.look([Count(self.free, user_id)])).wait
