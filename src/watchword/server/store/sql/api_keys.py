"""API keys and signing keys: sessions that have no refresh token; an API key has a secret of its own instead."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Any

from watchword.server.store.records import Live, NewSession, Origin, Refused
from watchword.server.store.sql.facts import CLOCK, REST, SELECT_FACTS, live_of, refusal_of
from watchword.server.store.sql.sessions import ahead, facts_to_open, insert
from watchword.server.store.sql.transaction import Row, Transaction, milliseconds

__all__ = ["add", "look", "use"]

_NAME = 50
"""Characters of a key's name in the audit log."""
_NEVER = 0
"""When the newest token of a key ends that was never traded for one: ending such a key leaves nothing to revoke."""


async def add(
    tx: Transaction, new: NewSession, life: timedelta, maximum: int, origin: Origin
) -> Live | Refused:
    """Insert a key; one too many is refused, since a key that went by itself would break a program unseen."""
    row = await facts_to_open(tx, new)
    if isinstance(row, Refused):
        return row
    if new.parent is not None:
        asked_in = await tx.one("SELECT 1 FROM sessions WHERE id = ? AND ended_at IS NULL", new.parent)
        if asked_in is None:
            return Refused(reason="parent_ended")
    standing = await tx.one(
        "SELECT count(*) FROM sessions WHERE user_id = ? AND ended_at IS NULL AND expires_at > ?"
        " AND kind = ?",
        new.user_id, tx.ms, new.kind,
    )  # fmt: skip
    if standing is not None and standing[0] >= maximum:
        return Refused(reason="too_many")
    ends = tx.now + life
    live = await insert(tx, new, row, origin, (milliseconds(ends), milliseconds(ends), _NEVER))
    said: dict[str, Any] = {
        "user_id": new.user_id,
        "session_id": new.id,
        "client_id": new.client_id,
        "detail": {"name": (new.device or "")[:_NAME], "until": ends.isoformat()},
    }
    if new.kind == "signing_key":
        await tx.record("signing_key.created", origin, **said)
    else:
        await tx.record("api_key.created", origin, **said)
    return live


async def look(
    tx: Transaction, session_id: str, secret_digest: bytes | None, life: timedelta
) -> Live | Refused | None:
    """The facts of a key of which a token of *life* may be made; ``None``: only after its use was written down."""
    row = await tx.one(SELECT_FACTS, session_id)
    if row is None or not _is_it(row, secret_digest):
        return Refused(reason="unknown")
    if (refusal := refusal_of(row, tx.ms)) is not None:
        return refusal
    if row[REST + 4] < milliseconds(tx.now + life) + ahead(tx, row[CLOCK]):
        return None
    return live_of(row, tx.ms)


async def use(
    tx: Transaction, session_id: str, secret_digest: bytes | None, life: timedelta, origin: Origin
) -> Live | Refused:
    """The same after writing down the use, and the end of every token that is made until this is due again."""
    await tx.hold_user_of(session_id)
    row = await tx.one(SELECT_FACTS, session_id)
    if row is None or not _is_it(row, secret_digest):
        return Refused(reason="unknown")
    if (refusal := refusal_of(row, tx.ms)) is not None:
        return refusal
    # Twice the life: so a key that many processes exchange is written to once in a token's life.
    await tx.run(
        "UPDATE sessions SET counter = counter + 1, last_used_at = ?1, token_expires_at = ?2, spent_address = ?3"
        " WHERE id = ?4",
        tx.ms, milliseconds(tx.now + 2 * life) + ahead(tx, row[CLOCK]), origin.address, session_id,
    )  # fmt: skip
    moved = list(row)
    moved[4], moved[13] = row[4] + 1, tx.ms
    return live_of(tuple(moved), tx.ms)


def _is_it(row: Row, secret_digest: bytes | None) -> bool:
    # A signing key has nothing that its token would have to be kept from: it is bound to the key.
    if secret_digest is None:
        return bool(row[18] == "signing_key")
    return row[18] == "api_key" and hmac.compare_digest(row[REST + 3], secret_digest)
