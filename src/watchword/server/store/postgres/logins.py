"""Log-ins that travel together: the usual case of opening a session, as one statement for many users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from watchword.server.store.records import NewSession, Origin, SessionRules
from watchword.server.store.sql.facts import FACTS
from watchword.server.store.sql.transaction import join, milliseconds

__all__ = ["OPEN", "Opening"]

OPEN: Final = (
    "WITH asked AS ("
    " SELECT a.*, u.n FROM unnest((SELECT ?2::text[]), ?3::text[], ?4::text[], ?5::bigint[], ?6::bytea[], ?7::text[],"
    "  ?8::text[], ?9::text[], ?10::text[], ?11::text[], ?12::text[], ?13::bigint[], ?14::bigint[], ?15::bigint[],"
    "  ?16::bigint[], ?17::text[], ?18::text[]) AS a (user_id, id, client_id, version,"
    "  digest, audience, scope, amr, device, address, user_agent, expires, idle, access, maximum, api, actor)"
    " CROSS JOIN LATERAL (SELECT xmin AS held, n, floor, banned, banned_until FROM users WHERE id = a.user_id LIMIT 1"
    "  FOR NO KEY UPDATE SKIP LOCKED) u"
    " CROSS JOIN LATERAL (SELECT xmin AS seen FROM users WHERE id = a.user_id LIMIT 1) before"
    " CROSS JOIN LATERAL (SELECT count(*) AS open FROM sessions WHERE user_id = a.user_id AND ended_at IS NULL) s"
    " WHERE u.held = before.seen AND a.version >= u.floor AND s.open < a.maximum"
    " AND NOT (u.banned AND (u.banned_until IS NULL OR u.banned_until > ?1))"
    " AND EXISTS (SELECT 1 FROM clients c WHERE c.id = a.client_id AND NOT c.disabled)"
    " AND (a.api IS NULL"
    "  OR EXISTS (SELECT 1 FROM apis WHERE audience = a.api LIMIT 1 FOR KEY SHARE SKIP LOCKED))),"
    " u AS (UPDATE users u SET last_login_at = ?1 FROM asked a WHERE u.n = a.n RETURNING u.*),"
    " event AS (INSERT INTO events (at, type, actor, user_id, session_id, client_id, address, user_agent, detail)"
    "  SELECT ?1, 'session.opened', actor, user_id, id, client_id, address, user_agent, '{}' FROM asked),"
    " s AS (INSERT INTO sessions (id, user_id, client_id, version, epoch, counter, secret_digest, audience, scope, amr,"
    "   auth_time, device, address, user_agent, created_at, last_used_at, expires_at, idle_expires_at,"
    "   token_expires_at, kind)"
    "  SELECT id, user_id, client_id, version, (SELECT epoch FROM head), 0, digest, audience, scope, amr,"
    "   ?1, device, address, user_agent, ?1, ?1, expires, idle,"
    "   access + greatest((SELECT clock FROM head) - ?1, 0), 'login' FROM asked RETURNING *)"
    f" SELECT {FACTS} FROM s JOIN u ON u.id = s.user_id"
    " JOIN clients c ON c.id = s.client_id CROSS JOIN head h"
)
"""Sessions of users who are as this statement sees them, one a user.

The user's row is held, and was not touched since (``xmin``): every log-in, ban and change of roles touches it, so that
what is read beside it, his other sessions among it, stands until the commit. A row or an API that somebody holds is
left out, as is whoever would have too many sessions: a transaction of his own decides.
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """A log-in about to open a session."""

    new: NewSession
    rules: SessionRules
    origin: Origin

    def columns(self, now: datetime) -> tuple[Any, ...]:
        """As the statement reads it."""
        new, rules, origin = self.new, self.rules, self.origin
        return (
            new.user_id, new.id, new.client_id, new.version, new.secret_digest, join(new.audience),
            None if new.scope is None else join(new.scope), join(new.amr), new.device, origin.address,
            (origin.user_agent or "")[:300] or None, milliseconds(now + rules.lifetime),
            milliseconds(now + rules.idle), milliseconds(now + rules.access_lifetime), rules.maximum_per_user,
            new.apis[0] if new.apis else None, origin.actor,
        )  # fmt: skip
