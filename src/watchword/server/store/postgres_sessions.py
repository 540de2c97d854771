"""The two hottest intentions as one statement each: a refresh in the usual case, and whether a session lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from watchword.server.store.intentions import Engine
from watchword.server.store.records import (
    Advanced,
    Live,
    Origin,
    PresentedRefreshToken,
    Refused,
    SessionRules,
)
from watchword.server.store.sql.facts import FACTS, SELECT_FACTS, WIDTH, live_of, refusal_of
from watchword.server.store.sql.transaction import Row, Transaction, milliseconds

__all__ = ["PostgresShortcut"]

_SCOPES: Final = (
    "(SELECT string_agg(r.name || ' ' || r.scope, E'\\n') FROM roles r"
    " WHERE instr(' ' || u.roles || ' ', ' ' || r.name || ' ') > 0),"
    " (SELECT string_agg(a.scope, E'\\n') FROM apis a"
    " WHERE instr(' ' || s.audience || ' ', ' ' || a.audience || ' ') > 0)"
)
"""What the user's roles carry and what the session's APIs know, a line each."""

_LIVE: Final = SELECT_FACTS.replace(FACTS, f"{FACTS}, {_SCOPES}", 1)

_ADVANCE: Final = (
    "UPDATE sessions s SET counter = s.counter + 1, last_used_at = ?1, idle_expires_at = ?2,"
    " token_expires_at = greatest(s.token_expires_at, ?3),"
    " spent_4 = s.spent_3, spent_3 = s.spent_2, spent_2 = s.spent_1, spent_1 = ?1, spent_address = ?4"
    " FROM users u, clients c, head h"
    " WHERE s.id = ?5 AND s.counter = ?6 AND s.secret_digest = ?7 AND s.client_id = ?8"
    " AND s.ended_at IS NULL AND s.expires_at > ?1 AND s.idle_expires_at > ?1"
    " AND u.id = s.user_id AND s.version >= u.floor"
    " AND NOT (u.banned AND (u.banned_until IS NULL OR u.banned_until > ?1))"
    " AND c.id = s.client_id AND NOT c.disabled"
    " AND ?9 BETWEEN h.oldest_epoch AND h.epoch AND s.epoch >= h.oldest_epoch"
    f" RETURNING {FACTS}, {_SCOPES}"
)


@dataclass(frozen=True, slots=True)
class PostgresShortcut:
    """One statement is one snapshot: facts that vouch for each other are never of two states.

    An update waits for whoever has the row of the session and then looks at that row again, but at
    no other. That is enough: whatever ends sessions ends them in their rows, and whatever else
    changes raises a version above the one that was read here, so that the token is born outdated.
    """

    engine: Engine

    async def advance(
        self, presented: PresentedRefreshToken, client_id: str, rules: SessionRules, origin: Origin
    ) -> Advanced | None:
        """Move a current counter on."""

        async def spend(tx: Transaction) -> Advanced | None:
            row = await tx.one(
                _ADVANCE,
                tx.ms, milliseconds(tx.now + rules.idle), milliseconds(tx.now + rules.access_lifetime),
                origin.address, presented.session_id, presented.counter, presented.secret_digest, client_id,
                presented.epoch,
            )  # fmt: skip
            return None if row is None else Advanced(live=_live(row, tx.ms))

        return await self.engine.read(spend)

    async def live(self, session_id: str) -> Live | Refused:
        """Whether a session lives, and its facts."""

        async def look(tx: Transaction) -> Live | Refused:
            row = await tx.one(_LIVE, session_id)
            if row is None:
                return Refused(reason="unknown")
            return refusal_of(row, tx.ms) or _live(row, tx.ms)

        return await self.engine.read(look)


def _live(row: Row, now_ms: int) -> Live:
    roles, apis = row[WIDTH:]
    carried = dict(line.split(" ", 1) for line in (roles or "").split("\n") if line)
    return live_of(row, now_ms, carried, [] if apis is None else apis.split("\n"))
