"""The hottest intentions as a statement each: refreshes and log-ins in the usual case, and whether a session lives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from watchword.server.store.engine import Engine, Intention
from watchword.server.store.postgres.logins import OPEN, Opening
from watchword.server.store.postgres.queue import Queue
from watchword.server.store.records import (
    Advanced,
    Live,
    NewSession,
    Opened,
    Origin,
    PresentedRefreshToken,
    Refused,
    SessionRules,
)
from watchword.server.store.sql.facts import SELECT_FACTS, live_of, refusal_of
from watchword.server.store.sql.rotation import ROTATION, Rotation, facts_of
from watchword.server.store.sql.transaction import Transaction, milliseconds

__all__ = ["PostgresShortcut"]

T = TypeVar("T")

_CLOCK: Final = "coalesce(?11::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)"
"""When a counter was spent: two nodes compare it, so it is the database's time and not one that a node carried on."""

_ADVANCE: Final = (
    "WITH asked AS ("
    " SELECT s.n, a.* FROM unnest((SELECT ?2::text[]), ?3::bigint[], ?4::bytea[], ?5::text[], ?6::bigint[],"
    "  ?7::bigint[], ?8::bigint[], ?9::text[], ?10::text[])"
    "  AS a (id, counter, digest, client_id, epoch, idle, access, address, instance)"
    " CROSS JOIN LATERAL (SELECT * FROM sessions WHERE id = a.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) s"
    " WHERE s.counter = a.counter AND s.secret_digest = a.digest AND s.client_id = a.client_id"
    " AND s.ended_at IS NULL AND s.expires_at > ?1 AND s.idle_expires_at > ?1)"
    " UPDATE sessions s SET counter = s.counter + 1, last_used_at = ?1, idle_expires_at = a.idle,"
    " token_expires_at = greatest(s.token_expires_at, a.access + greatest(h.clock - ?1, 0)),"
    f" spent_4 = s.spent_3, spent_3 = s.spent_2, spent_2 = s.spent_1, spent_1 = {_CLOCK}, spent_address = a.address"
    " FROM asked a, users u, clients c, head h"
    " WHERE s.n = a.n AND u.id = s.user_id AND s.version >= u.floor"
    " AND NOT (u.banned AND (u.banned_until IS NULL OR u.banned_until > ?1))"
    " AND c.id = s.client_id AND NOT c.disabled"
    " AND a.epoch BETWEEN h.oldest_epoch AND h.epoch AND s.epoch >= h.oldest_epoch"
    " AND a.instance IN ('', h.instance)"
    f" RETURNING {ROTATION}"
)
"""Refresh tokens that are current, all at once, each id once.

A row that somebody else has locked is left out, so that nobody waits for another one's session, and no two batches
for each other. LIMIT makes the look-up one by key, whatever the planner thinks of a table that was never analysed;
the inner SELECT keeps it from seeing how many there are, and so from planning each batch anew.
"""


class OneStatement(Engine, Protocol):
    """An engine whose statements are transactions by themselves."""

    async def write_alone(self, statement: Intention[T]) -> T:
        """Carry out one that writes."""


@dataclass(frozen=True, slots=True)
class _Spending:
    """A refresh token that is presented."""

    presented: PresentedRefreshToken
    client_id: str
    rules: SessionRules
    address: str | None

    def columns(self, now: datetime) -> tuple[Any, ...]:
        """As the statement reads it."""
        return (
            self.presented.session_id, self.presented.counter, self.presented.secret_digest, self.client_id,
            self.presented.epoch, milliseconds(now + self.rules.idle),
            milliseconds(now + self.rules.access_lifetime), self.address, self.presented.instance,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PostgresShortcut:
    """One statement is one snapshot: facts that vouch for each other are never of two states.

    An update waits for whoever has the row of the session and then looks at that row again, but at
    no other. That is enough: whatever ends sessions ends them in their rows, and whatever else
    changes raises a version above the one that was read here, so that the token is born outdated.
    """

    engine: OneStatement
    _refreshes: Queue[_Spending, Advanced] = field(init=False, repr=False)
    _logins: Queue[Opening, Opened] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_refreshes", Queue(self._spend))
        object.__setattr__(self, "_logins", Queue(self._begin))

    async def open(self, new: NewSession, rules: SessionRules, origin: Origin) -> Opened | None:
        """Open a session that nothing stands in the way of, together with whoever else logs in meanwhile."""
        if new.kind != "login" or len(new.apis) > 1:
            return None
        return await self._logins.ask(new.user_id, Opening(new, rules, origin))

    async def _begin(self, asked: Mapping[str, Opening]) -> Mapping[str, Opened]:
        async def begin(tx: Transaction) -> Mapping[str, Opened]:
            columns = zip(*(opening.columns(tx.now) for opening in asked.values()), strict=True)
            rows = await tx.all(OPEN, tx.ms, *map(list, columns))
            return {row[1]: Opened(live=live_of(row, tx.ms)) for row in rows}

        return await self.engine.write_alone(begin)

    async def advance(
        self, presented: PresentedRefreshToken, client_id: str, rules: SessionRules, origin: Origin
    ) -> Advanced | None:
        """Move a current counter on, together with whoever else asks meanwhile."""
        spending = _Spending(presented, client_id, rules, origin.address)
        return await self._refreshes.ask(presented.session_id, spending)

    async def _spend(self, asked: Mapping[str, _Spending]) -> Mapping[str, Advanced]:
        async def spend(tx: Transaction) -> Mapping[str, Advanced]:
            columns = zip(*(spending.columns(tx.now) for spending in asked.values()), strict=True)
            rows = await tx.all(_ADVANCE, tx.ms, *map(list, columns), None if tx.shared else tx.ms)
            return {
                # What RETURNING tells is what stands now.
                row.id: Advanced(
                    facts=facts_of(row, tx.ms, counter=row.counter, idle_expires_at=row.idle_expires_at)
                )
                for row in map(Rotation._make, rows)
            }

        return await self.engine.write_alone(spend)

    async def live(self, session_id: str) -> Live | Refused:
        """Whether a session lives, and its facts."""

        async def look(tx: Transaction) -> Live | Refused:
            row = await tx.one(SELECT_FACTS, session_id)
            if row is None:
                return Refused(reason="unknown")
            return refusal_of(row, tx.ms) or live_of(row, tx.ms)

        return await self.engine.read(look)
