"""Sessions and their refresh counter: one row a session, moved on in place."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from watchword.server.store.records import (
    Live,
    NewSession,
    Opened,
    Origin,
    Refused,
    Session,
    SessionKind,
    SessionRules,
)
from watchword.server.store.sql import user_entries
from watchword.server.store.sql.facts import (
    COLUMNS,
    OPENING_CLOCK,
    SELECT_FACTS,
    SELECT_OPENING,
    live_of,
    opening_of,
    opening_refusal_of,
    refusal_of,
    session_of,
)
from watchword.server.store.sql.transaction import (
    CLOCK_ERROR,
    ENTRY_MARGIN,
    Row,
    Transaction,
    join,
    milliseconds,
)

__all__ = [
    "ahead",
    "end",
    "end_of_api",
    "end_row",
    "facts_to_open",
    "get",
    "insert",
    "list_live",
    "live",
    "open_session",
    "sweep",
]

LEEWAY: Final = int((ENTRY_MARGIN + CLOCK_ERROR).total_seconds() * 1000)
"""Milliseconds past its end for which a token may still be accepted somewhere."""

SESSIONS_PER_API: Final = 500
"""More sessions of an API that is deleted than this, and every token dies instead of each being told of."""

SESSIONS_PER_USER: Final = 32
"""More entries for sessions of one user than this, and one entry for the user says it all."""


async def open_session(
    tx: Transaction, new: NewSession, rules: SessionRules, origin: Origin
) -> Opened | Refused:
    """Insert a session after reading again everything its tokens will vouch for."""
    row = await facts_to_open(tx, new)
    if isinstance(row, Refused):
        return row
    surplus: list[str] = []
    if row[-1] >= rules.maximum_per_user:
        surplus = await _surplus(tx, new.user_id, rules.maximum_per_user)
        # What follows from a sign-in doesn't say once more what its own event says.
        brief = replace(origin, user_agent=None)
        for session_id in surplus:
            await tx.record("session.evicted", brief, user_id=new.user_id, session_id=session_id)
            await end_row(tx, session_id, new.user_id, "evicted", brief)
        # Their ends may have folded into one entry that outdates every token of the user, so the facts are read after.
        found = await tx.one(SELECT_OPENING, new.user_id, new.client_id, join(new.audience))
        assert found is not None
        row = found
    ends = tuple(milliseconds(tx.now + span) for span in (rules.lifetime, rules.idle, rules.access_lifetime))
    live = await insert(tx, new, row, origin, (*ends[:2], ends[2] + ahead(tx, row[OPENING_CLOCK])))
    await tx.run("UPDATE users SET last_login_at = ? WHERE id = ?", tx.ms, new.user_id)
    await tx.record("session.opened", origin, user_id=new.user_id, session_id=new.id, client_id=new.client_id)
    return Opened(live=live, evicted=tuple(surplus))


def ahead(tx: Transaction, clock: int) -> int:
    """By how many milliseconds tokens are issued later than now, because the head's clock is ahead."""
    return max(clock - tx.ms, 0)


async def facts_to_open(tx: Transaction, new: NewSession) -> Row | Refused:
    """What *new* would rest on, as ``SELECT_OPENING`` selects it, or why it must not begin; the user is held now."""
    for audience in new.apis:
        # Whoever deletes it waits, and then finds this session.
        await tx.connection.hold("SELECT 1 FROM apis WHERE audience = ? FOR KEY SHARE", (audience,))
        if await tx.one("SELECT 1 FROM apis WHERE audience = ?", audience) is None:
            return Refused(reason="api_deleted")
    await tx.hold_user(new.user_id)
    row = await tx.one(SELECT_OPENING, new.user_id, new.client_id, join(new.audience))
    if row is None:
        return Refused(reason="unknown")
    return opening_refusal_of(row, new.version, tx.ms) or row


async def insert(tx: Transaction, new: NewSession, row: Row, origin: Origin, ends: tuple[int, ...]) -> Live:
    """Write the row of a session that begins.

    Args:
        tx: the transaction.
        new, row: what is asked for, and what it rests on.
        origin: who asks.
        ends: when it expires, when it does if nobody uses it, and when its newest token does.
    """
    live = opening_of(row, new, origin, ends, tx.ms)
    await tx.run(
        "INSERT INTO sessions (id, user_id, client_id, version, epoch, counter, secret_digest, audience, scope, amr,"
        " auth_time, device, address, user_agent, created_at, last_used_at, kind, public_key, expires_at,"
        " idle_expires_at, token_expires_at)"
        " VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?10, ?10, ?14, ?15, ?16, ?17, ?18)",
        new.id, new.user_id, new.client_id, new.version, live.epoch, new.secret_digest, join(new.audience),
        None if new.scope is None else join(new.scope), join(new.amr), tx.ms, new.device, origin.address,
        origin.agent, new.kind, new.public_key, *ends,
    )  # fmt: skip
    return live


async def get(tx: Transaction, session_id: str) -> Session | None:
    """By id, ended or not."""
    row = await tx.one(f"SELECT {COLUMNS} FROM sessions s WHERE s.id = ?", session_id)
    return session_of(row) if row else None


async def live(tx: Transaction, session_id: str) -> Live | Refused:
    """Every fact a token of this session rests on, or why it is dead."""
    row = await tx.one(SELECT_FACTS, session_id)
    if row is None:
        return Refused(reason="unknown")
    return refusal_of(row, tx.ms) or live_of(row, tx.ms)


async def list_live(tx: Transaction, user_id: str, kind: SessionKind = "login") -> list[Session]:
    """The living sessions of a user and of one kind, most recently used first."""
    rows = await tx.all(
        f"SELECT {COLUMNS} FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.user_id = ?1"
        " AND s.ended_at IS NULL AND s.expires_at > ?2 AND s.idle_expires_at > ?2 AND s.version >= u.floor"
        " AND s.kind = ?3 ORDER BY s.last_used_at DESC, s.n DESC",
        user_id, tx.ms, kind,
    )  # fmt: skip
    return [session_of(row) for row in rows]


async def end(
    tx: Transaction,
    session_id: str,
    reason: str,
    origin: Origin,
    *,
    user_id: str | None = None,
    kind: SessionKind | None = None,
) -> Session | None:
    """End one session, also one that is over and has a token that is not."""
    await tx.hold_user_of(session_id)
    await tx.connection.hold("SELECT 1 FROM sessions WHERE id = ? FOR NO KEY UPDATE", (session_id,))
    row = await tx.one(
        "SELECT user_id, token_expires_at, ended_at, expires_at, idle_expires_at, kind FROM sessions WHERE id = ?",
        session_id,
    )
    if row is None or row[2] is not None or (user_id is not None and row[0] != user_id):
        return None
    if kind is not None and row[5] != kind:
        return None
    if min(row[3], row[4]) <= tx.ms and row[1] + LEEWAY <= tx.ms:
        return None
    await end_row(tx, session_id, row[0], reason, origin)
    return await get(tx, session_id)


async def end_of_api(tx: Transaction, audience: str, origin: Origin) -> None:
    """End the sessions for an API that has just been deleted: nothing says any more what it may be sent."""
    of_api = "ended_at IS NULL AND instr(' ' || audience || ' ', ?1) > 0"
    holders = f"SELECT 1 FROM users WHERE id IN (SELECT user_id FROM sessions WHERE {of_api})"
    await tx.connection.hold(f"{holders} ORDER BY n FOR NO KEY UPDATE", (f" {audience} ",))
    rows = await tx.all(
        f"SELECT id, user_id FROM sessions WHERE {of_api}"
        " AND ((expires_at > ?2 AND idle_expires_at > ?2) OR token_expires_at > ?3) ORDER BY n LIMIT ?4",
        f" {audience} ", tx.ms, tx.ms - LEEWAY, SESSIONS_PER_API + 1,
    )  # fmt: skip
    if len(rows) > SESSIONS_PER_API:
        sql = f"UPDATE sessions SET ended_at = ?2, end_reason = 'api_deleted' WHERE {of_api}"
        await tx.run(sql, f" {audience} ", tx.ms)
        await tx.brake(origin)
        return
    for session_id, user_id in rows:
        await end_row(tx, session_id, user_id, "api_deleted", origin)


async def sweep(tx: Transaction, before: datetime, after: int, limit: int) -> tuple[int, int]:
    """Look at *limit* rows past row *after* and delete those over *before*; (deleted, where to go on).

    A walk in place of an index: an index on a column that each refresh moves would cost every refresh.
    """
    if not await tx.connection.turn():
        return 0, after
    rows = await tx.all(
        "SELECT n, expires_at, idle_expires_at, coalesce(ended_at, expires_at) FROM sessions WHERE n > ?"
        " ORDER BY n LIMIT ?",
        after, limit,
    )  # fmt: skip
    over = [row[0] for row in rows if min(row[1:]) < milliseconds(before)]
    for n in over:
        await tx.run("DELETE FROM sessions WHERE n = ?", n)
    return len(over), rows[-1][0] if len(rows) == limit else 0


async def _surplus(tx: Transaction, user_id: str, maximum: int) -> list[str]:
    """The least recently used sessions that must go so that one more is no more than *maximum*."""
    rows = await tx.all(
        "SELECT id FROM sessions WHERE user_id = ?1 AND ended_at IS NULL AND expires_at > ?2"
        " AND idle_expires_at > ?2 AND kind = 'login' ORDER BY last_used_at DESC, n DESC LIMIT 1000000 OFFSET ?3",
        user_id, tx.ms, max(maximum - 1, 0),
    )  # fmt: skip
    return [row[0] for row in rows]


async def end_row(tx: Transaction, session_id: str, user_id: str, reason: str, origin: Origin) -> None:
    """End a living session, and revoke its newest token."""
    # A refresh of another node may have come between: what counts is the newest token of the row that ends.
    ended = await tx.one(
        "UPDATE sessions SET ended_at = ?, end_reason = ? WHERE id = ? RETURNING token_expires_at, basic_jti",
        tx.ms, reason, session_id,
    )  # fmt: skip
    await tx.record(
        "session.ended", origin, user_id=user_id, session_id=session_id, detail={"reason": reason}
    )
    # With its newest token expired there is nothing left to kill.
    if ended is None or ended[0] + LEEWAY <= tx.ms:
        return
    if ended[1] is not None:
        # What ends the session says all that the entries of its replaced Basic pairs say.
        await tx.run("DELETE FROM revocations WHERE owner = ? AND kind = 'token'", session_id)
    said = await tx.one("SELECT count(*) FROM revocations WHERE owner = ? AND kind = 'session'", user_id)
    if said is not None and said[0] >= SESSIONS_PER_USER:
        await user_entries.outdate_tokens(tx, user_id)
    else:
        await tx.revoke("session", session_id, owner=user_id, until=ended[0])
