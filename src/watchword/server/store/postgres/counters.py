"""Counters in PostgreSQL, for nodes that share nothing else: a statement an attempt, in a table no log protects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal, Protocol, TypeVar

from watchword.server.ephemeral.counters import Count, Verdict
from watchword.server.store.engine import Intention
from watchword.server.store.sql.transaction import Transaction

__all__ = ["PostgresCounters"]

T = TypeVar("T")

_SETTLE: Final = "SELECT wait, told, dry FROM settle_counters(?, ?, ?, ?, ?, ?, ?, ?, ?)"


class _Engine(Protocol):
    """What a statement is carried out by."""

    async def write(self, intention: Intention[T]) -> T:
        """In a transaction."""

    async def settle(self, intention: Intention[T]) -> T:
        """By itself; it may wait for a lock."""


@dataclass(frozen=True, slots=True)
class PostgresCounters:
    """Counters of all nodes of one database (``counters.Counters``).

    Args:
        engine: of the store.
        clock: seconds; without, the clock of the database.
    """

    engine: _Engine
    clock: Callable[[], float] | None = None

    async def look(self, counts: Sequence[Count]) -> Verdict:
        """How long to wait."""
        return await self._ask("look", counts)

    async def settle(self, counts: Sequence[Count], matched: bool) -> Verdict:
        """Count or forget."""
        return await self._ask("matched" if matched else "failed", counts)

    async def sweep(self, limit: int) -> int:
        """Forget what says nothing any more: one node at a time."""

        async def sweep(tx: Transaction) -> int:
            if not await tx.connection.turn():
                return 0
            return await tx.run(
                "DELETE FROM counters WHERE key IN (SELECT key FROM counters WHERE kept_until <"
                " coalesce(CAST(? AS BIGINT), microseconds_now()) LIMIT ? FOR UPDATE SKIP LOCKED)",
                self._now(), limit,
            )  # fmt: skip

        return await self.engine.write(sweep)

    async def close(self) -> None:
        """The store lets go of the connections."""

    async def _ask(self, how: Literal["look", "matched", "failed"], counts: Sequence[Count]) -> Verdict:
        limits = [count.limit for count in counts]
        row = await self.engine.settle(
            lambda tx: tx.one(
                _SETTLE,
                how,
                self._now(),
                [sha256(count.name.encode("utf-8", "surrogatepass")).digest() for count in counts],
                [count.binds for count in counts],
                [count.forgotten for count in counts],
                [limit.spacing for limit in limits],
                [limit.room for limit in limits],
                [limit.first for limit in limits],
                [limit.longest for limit in limits],
            )
        )
        assert row is not None
        return Verdict(*row)

    def _now(self) -> int | None:
        return None if self.clock is None else int(self.clock() * 1_000_000)
