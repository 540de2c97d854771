"""The log's entries for a user: they live as long as the newest token they revoke, and replace what they outbid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from watchword.server.store.sql.transaction import Row, Transaction

__all__ = ["newest_token", "outdate_tokens", "revoke_user"]

_BATCH: Final = 256
"""Sessions whose tokens' entries are deleted by one statement."""


async def newest_token(tx: Transaction, user_id: str) -> int:
    """When the newest token of a user's sessions ends."""
    row = await tx.one(
        "SELECT coalesce(max(token_expires_at), 0) FROM sessions WHERE user_id = ? AND ended_at IS NULL",
        user_id,
    )
    return int(row[0]) if row else 0


async def revoke_user(
    tx: Transaction, user_id: str, below: int, ended: Sequence[Row], excepted: str = ""
) -> None:
    """Write the entry for a user whose sessions *ended*, as (id, end of the newest token); what it outbids goes."""
    until = max((end for _, end in ended), default=0)
    await tx.revoke("user", user_id, below=below, excepted=excepted, until=until)
    for start in range(0, len(ended), _BATCH):
        ids = [id_ for id_, _ in ended[start : start + _BATCH]]
        await tx.run(
            f"DELETE FROM revocations WHERE kind = 'token' AND owner IN ({', '.join('?' * len(ids))})", *ids
        )


async def outdate_tokens(tx: Transaction, user_id: str) -> None:
    """Revoke every access token of a user, and end no session."""
    row = await tx.one("SELECT version FROM users WHERE id = ?", user_id)
    assert row is not None
    version = await tx.next_version(row[0])
    await tx.run("UPDATE users SET version = ? WHERE id = ?", version, user_id)
    await tx.revoke("user", user_id, below=version, until=await newest_token(tx, user_id))
