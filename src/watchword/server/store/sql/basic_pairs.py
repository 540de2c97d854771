"""The temporary Basic pair of a session: the next one takes the place of the one before."""

from __future__ import annotations

from msgspec.structs import replace

from watchword.server.store.records import Live, NewPair, NewSession, Opened, Origin, Refused, SessionRules
from watchword.server.store.sql.facts import CLOCK, SELECT_FACTS, live_of, refusal_of
from watchword.server.store.sql.sessions import LEEWAY, ahead, open_session
from watchword.server.store.sql.transaction import Transaction

__all__ = ["PAIRS_PER_SESSION", "give_pair", "open_with_pair"]

PAIRS_PER_USER = 32
PAIRS_PER_SESSION = 8
"""More replaced pairs than this that could still be tried, and the session has to wait for the next."""


async def open_with_pair(
    tx: Transaction, new: NewSession, pair: NewPair, rules: SessionRules, origin: Origin
) -> Opened | Refused:
    """Open a session together with its first pair: nobody has anything else of it."""
    opened = await open_session(tx, new, rules, origin)
    if isinstance(opened, Opened):
        await give_pair(tx, new.id, pair, replace(origin, user_agent=None))
    return opened


async def give_pair(tx: Transaction, session_id: str, pair: NewPair, origin: Origin) -> Live | Refused:
    """Write the pair down, and kill the one before."""
    await tx.hold_user_of(session_id)
    row = await tx.one(SELECT_FACTS, session_id)
    if row is None:
        return Refused(reason="unknown")
    if (refusal := refusal_of(row, tx.ms)) is not None:
        return refusal
    standing = await tx.one("SELECT basic_jti, basic_expires_at FROM sessions WHERE id = ?", session_id)
    assert standing is not None
    before, ends = standing
    replaces = before is not None and ends + LEEWAY > tx.ms
    if replaces:
        said = await tx.one(
            "SELECT count(*), coalesce(sum(CASE WHEN s.id = ?2 THEN 1 ELSE 0 END), 0) FROM sessions s"
            " JOIN revocations r ON r.owner = s.id WHERE s.user_id = ?1 AND s.ended_at IS NULL"
            " AND r.kind = 'token' AND r.expires_at > ?3",
            row[1], session_id, tx.ms,
        )  # fmt: skip
        # Each entry weighs on every guard; a session that needs so many pairs has one that is good.
        if said is not None and (said[0] >= PAIRS_PER_USER or said[1] >= PAIRS_PER_SESSION):
            return Refused(reason="crowded")
        await tx.revoke("token", before, owner=session_id, until=ends)
        # That may have folded everything into one entry that outdates every token, so the facts are read after.
        found = await tx.one(SELECT_FACTS, session_id)
        assert found is not None
        row = found
    life = int(pair.life.total_seconds() * 1000) + ahead(tx, row[CLOCK])
    until = min(tx.ms + life, row[14], row[15])
    await tx.run(
        "UPDATE sessions SET basic_jti = ?1, basic_expires_at = ?2,"
        " token_expires_at = CASE WHEN token_expires_at > ?2 THEN token_expires_at ELSE ?2 END WHERE id = ?3",
        pair.jti, until, session_id,
    )  # fmt: skip
    await tx.record("basic_pair.given", origin, user_id=row[1], session_id=session_id, client_id=row[2])
    return live_of(row, tx.ms)
