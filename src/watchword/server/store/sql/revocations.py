"""The log of what died: read in order, folded where it would grow, swept when no token is left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from watchword.protocol.revocation_list import Entry
from watchword.server.store.records import Head, Origin, SigningKey
from watchword.server.store.sql import keys, sessions
from watchword.server.store.sql.transaction import PRIMARY, Transaction, milliseconds

__all__ = ["brake", "head", "open_epoch", "ready", "revoke_token", "set_longest_life", "since", "sweep"]

TOKENS_PER_SESSION: Final = 8
"""More revoked tokens of one session than this, and the session goes."""

_decode = msgspec.json.Decoder(Entry).decode


async def ready(tx: Transaction) -> None:
    """Prove that the primary can be read."""
    await tx.one(f"SELECT 1 FROM head WHERE {PRIMARY}")


async def head(tx: Transaction) -> Head:
    """Epoch, sequence, base, longest life and live kids."""
    row = await tx.one(f"SELECT epoch, sequence, base, longest_life FROM head WHERE {PRIMARY}")
    assert row is not None
    return Head(
        epoch=row[0],
        sequence=row[1],
        base=row[2],
        longest_life=timedelta(milliseconds=row[3]),
        kids=await keys.live_kids(tx),
    )


async def since(tx: Transaction, after: int, limit: int) -> tuple[Head, list[Entry]]:
    """Head first, then the entries up to it: the other way round an entry could be lost."""
    found = await head(tx)
    rows = await tx.all(
        "SELECT body FROM revocations WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?",
        after, found.sequence, limit,
    )  # fmt: skip
    return found, [_decode(body) for (body,) in rows]


async def revoke_token(
    tx: Transaction, jti: str, session_id: str | None, expires_at: datetime, origin: Origin
) -> None:
    """Kill one token, or its session when it is one of many; a token that is dead already costs nothing."""
    if milliseconds(expires_at) + sessions.LEEWAY < tx.ms:
        return
    if session_id is not None:
        await tx.hold_user_of(session_id)
    await tx.hold_head()
    # ``id <> ''`` says again what the index is for; without it SQLite walks through the whole log.
    if (
        await tx.one("SELECT 1 FROM revocations WHERE id = ? AND id <> '' AND kind = 'token'", jti)
        is not None
    ):
        return
    session = await sessions.get(tx, session_id) if session_id is not None else None
    if session is not None and session.ended_at is not None:
        return
    await tx.record("token.revoked", origin, session_id=session_id, detail={"jti": jti})
    said = await tx.one("SELECT count(*) FROM revocations WHERE owner = ? AND kind = 'token'", session_id)
    if session is not None and said is not None and said[0] >= TOKENS_PER_SESSION:
        await tx.run("DELETE FROM revocations WHERE owner = ? AND kind = 'token'", session_id)
        await sessions.end(tx, session.id, "tokens_revoked", origin, None)
        return
    await tx.revoke("token", jti, owner=session_id)


async def brake(tx: Transaction, origin: Origin) -> None:
    """Kill every access token; sessions live."""
    await tx.hold_clients("NO KEY UPDATE")
    await tx.brake(origin)


async def open_epoch(
    tx: Transaction,
    seen: tuple[int, int],
    keys_: Sequence[SigningKey],
    origin: Origin,
    keep_sessions: bool,
) -> bool:
    """Begin anew above what was *seen* of a store that has gone back, unless somebody was faster.

    All that died since the backup would live again, so everything dies: tokens by the base, refresh
    tokens by the epoch, keys because one of them may have been killed since.
    """
    await tx.hold_clients("NO KEY UPDATE")
    await tx.hold_head()
    row = await tx.one("SELECT epoch, sequence FROM head")
    assert row is not None
    if row > seen:
        return False
    epoch, base = max(seen[0] + 1, tx.ms), await tx.version_above_all()
    await tx.run("UPDATE head SET epoch = ?, sequence = ?, base = ?", epoch, max(row[1], seen[1]), base)
    if not keep_sessions:
        await tx.run("UPDATE head SET oldest_epoch = epoch")
        await tx.run("UPDATE sessions SET ended_at = ?, end_reason = 'epoch' WHERE ended_at IS NULL", tx.ms)
    await tx.run("DELETE FROM revocations")
    await tx.run("UPDATE password_resets SET digest = NULL")
    await tx.record(
        "epoch.opened", origin, detail={"epoch": epoch, "below": base, "keep_sessions": keep_sessions}
    )
    await keys.renew(tx, keys_)
    await tx.revoke("issuer", below=base)
    return True


async def set_longest_life(tx: Transaction, life: timedelta) -> None:
    """Up at once; down only when the tokens of the old length are gone."""
    wanted = int(life.total_seconds() * 1000)
    await tx.hold_head()
    row = await tx.one("SELECT longest_life, lower_life, lower_at FROM head")
    assert row is not None
    standing, lower, lower_at = row
    if wanted >= standing:
        if wanted > standing or lower is not None:
            await tx.run("UPDATE head SET longest_life = ?, lower_life = NULL, lower_at = NULL", wanted)
    elif lower != wanted:
        await tx.run("UPDATE head SET lower_life = ?, lower_at = ?", wanted, tx.ms + standing)
    elif lower_at <= tx.ms:
        await tx.run("UPDATE head SET longest_life = lower_life, lower_life = NULL, lower_at = NULL")


async def sweep(tx: Transaction, limit: int, through: int | None) -> int:
    """Delete entries that no token is left for; lower the longest life when its time has come."""
    if not await tx.connection.turn():
        return 0
    await tx.run(
        "UPDATE head SET longest_life = lower_life, lower_life = NULL, lower_at = NULL WHERE lower_at <= ?",
        tx.ms,
    )
    return await tx.run(
        "DELETE FROM revocations WHERE sequence IN (SELECT sequence FROM revocations"
        " WHERE expires_at > 0 AND expires_at <= ? AND sequence <= ? ORDER BY expires_at LIMIT ?)",
        tx.ms, 2**62 if through is None else through, limit,
    )  # fmt: skip
