"""The log of what died: read in order, folded where it would grow, swept when no token is left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from watchword.protocol.revocation_list import Entry
from watchword.server.store.position import Head, LogPage, Position
from watchword.server.store.records import Origin, SigningKey
from watchword.server.store.sql import keys, sessions
from watchword.server.store.sql.seed import new_instance
from watchword.server.store.sql.transaction import PRIMARY, Transaction, milliseconds

__all__ = [
    "brake",
    "head",
    "mark_at",
    "name_issuer",
    "open_epoch",
    "read",
    "ready",
    "revoke_token",
    "set_longest_life",
    "sweep",
]

TOKENS_PER_SESSION: Final = 8
"""More revoked tokens of one session than this, and the session goes."""

_decode = msgspec.json.Decoder(Entry).decode


async def ready(tx: Transaction) -> None:
    """Prove that the primary can be read."""
    await tx.one(f"SELECT 1 FROM head WHERE {PRIMARY}")


async def head(tx: Transaction, known: Position | None = None) -> Head:
    """Epoch, sequence, base, longest life and live kids; and whether *known* is a position of this log."""
    row = await tx.one(
        "SELECT epoch, sequence, base, longest_life, mark, clock, instance,"
        f" (SELECT m.mark FROM log_marks m WHERE m.sequence = ?1) FROM head WHERE {PRIMARY}",
        0 if known is None else known.sequence,
    )
    assert row is not None
    here = Position(row[0], row[1], row[4])
    return Head(
        epoch=row[0],
        sequence=row[1],
        base=row[2],
        longest_life=timedelta(milliseconds=row[3]),
        kids=await keys.live_kids(tx),
        mark=row[4],
        clock_ms=row[5],
        instance=row[6],
        past="same" if known is None else await _past(tx, here, known, row[7]),
    )


async def _past(
    tx: Transaction, here: Position, known: Position, mark: int | None
) -> Literal["same", "other", "forgotten"]:
    """Whether *known* is a position of the log that stands at *here* and has *mark* at its sequence."""
    if known.epoch != here.epoch:
        return "same" if known.epoch < here.epoch else "other"
    if known.sequence > here.sequence:
        return "other"
    if known.mark in (0, mark):
        return "same"
    if mark is not None:
        return "other"
    oldest = await tx.one("SELECT min(sequence) FROM log_marks")
    return "forgotten" if oldest is not None and known.sequence < (oldest[0] or 0) else "other"


async def read(tx: Transaction, after: int, limit: int = 100_000, known: Position | None = None) -> LogPage:
    """Head first, then the entries up to it: the other way round an entry could be lost."""
    found, entries, marks = await head(tx, known), [], {}
    rows = await tx.all(
        "SELECT r.body, r.sequence, m.mark FROM revocations r LEFT JOIN log_marks m ON m.sequence = r.sequence"
        " WHERE r.sequence > ? AND r.sequence <= ? ORDER BY r.sequence LIMIT ?",
        after, found.sequence, limit,
    )  # fmt: skip
    for body, sequence, mark in rows:
        entries.append(_decode(body))
        if mark is not None:
            marks[sequence] = mark
    marks[found.sequence] = found.mark
    return LogPage(found, entries, marks)


async def mark_at(tx: Transaction, sequence: int) -> int | None:
    """The mark of a sequence; ``None`` if none is kept."""
    row = await tx.one("SELECT mark FROM log_marks WHERE sequence = ?", sequence)
    return None if row is None else int(row[0])


async def name_issuer(tx: Transaction, issuer: str) -> None:
    """Write down whose database this is. A copy that serves another issuer is another instance from then on."""
    await tx.hold_head()
    row = await tx.one("SELECT issuer, instance FROM head")
    assert row is not None
    if row[0] == issuer:
        return
    await tx.run("UPDATE head SET issuer = ?", issuer)
    if row[0]:
        await tx.run(
            "UPDATE head SET former_instances = trim(former_instances || ' ' || instance), instance = ?",
            new_instance(),
        )
        await tx.record("issuer.changed", Origin(), detail={"from": row[0], "to": issuer})


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
        await sessions.end(tx, session.id, "tokens_revoked", origin)
        return
    await tx.revoke("token", jti, owner=session_id, until=milliseconds(expires_at))


async def brake(tx: Transaction, origin: Origin) -> None:
    """Kill every access token; sessions live."""
    await tx.hold_clients("NO KEY UPDATE")
    await tx.brake(origin)


async def open_epoch(
    tx: Transaction,
    position: tuple[int, ...],
    fresh: Sequence[SigningKey],
    origin: Origin,
    *,
    keep_sessions: bool = False,
    restored: bool = False,
) -> bool:
    """Begin anew above *position*, which was seen of a store that has gone back, unless somebody was faster.

    Order alone decides if its mark isn't known, and the epoch alone if its sequence is 0. Everything
    revoked since the backup would be valid again, so everything is revoked: tokens by the base, refresh tokens by
    the epoch, keys because one of them may have been compromised since.
    """
    seen = Position(*position)
    await tx.hold_clients("NO KEY UPDATE")
    await tx.hold_head()
    row = await tx.one("SELECT epoch, sequence, mark FROM head")
    assert row is not None
    here = Position(*row)
    if seen.mark:
        if await _past(tx, here, seen, await mark_at(tx, seen.sequence)) != "other":
            return False
    elif here.epoch > seen.epoch or (here.epoch == seen.epoch and 0 < seen.sequence < here.sequence):
        return False
    epoch, base = max(seen.epoch + 1, here.epoch + 1, tx.ms), await tx.version_above_all()
    await tx.run("DELETE FROM log_marks")
    # Nothing issued before lives, so time may go on from now, even if it had run ahead.
    await tx.run(
        "UPDATE head SET epoch = ?, sequence = ?, base = ?, clock = ?, counted_at = 0",
        epoch, max(here.sequence, seen.sequence), base, tx.ms,
    )  # fmt: skip
    if restored:
        former = "trim(former_instances || ' ' || instance)" if keep_sessions else "''"
        await tx.run(f"UPDATE head SET former_instances = {former}, instance = ?", new_instance())
    if not keep_sessions:
        await tx.run("UPDATE head SET oldest_epoch = epoch")
        await tx.run("UPDATE sessions SET ended_at = ?, end_reason = 'epoch' WHERE ended_at IS NULL", tx.ms)
    await tx.run("DELETE FROM revocations")
    await tx.run("UPDATE password_resets SET digest = NULL")
    await tx.run("UPDATE email_changes SET digest = NULL")
    await tx.record(
        "epoch.opened", origin, detail={"epoch": epoch, "below": base, "keep_sessions": keep_sessions}
    )
    await keys.renew(tx, fresh)
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


async def sweep(tx: Transaction, limit: int, through: int | None = None) -> int:
    """Delete entries that no token is left for; lower the longest life when its time has come."""
    if not await tx.connection.turn():
        return 0
    await tx.run(
        "UPDATE head SET longest_life = lower_life, lower_life = NULL, lower_at = NULL WHERE lower_at <= ?",
        tx.ms,
    )
    await tx.run(
        "DELETE FROM log_marks WHERE sequence IN (SELECT sequence FROM log_marks WHERE sequence <= ?"
        " AND sequence < (SELECT sequence FROM head) ORDER BY sequence LIMIT ?)",
        0 if through is None else through, limit,
    )  # fmt: skip
    return await tx.run(
        "DELETE FROM revocations WHERE sequence IN (SELECT sequence FROM revocations"
        " WHERE expires_at > 0 AND expires_at <= ? AND sequence <= ? ORDER BY expires_at LIMIT ?)",
        tx.ms, 2**62 if through is None else through, limit,
    )  # fmt: skip
