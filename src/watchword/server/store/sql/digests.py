"""What stands in the database of how passwords were hashed."""

from __future__ import annotations

from watchword.server.store.sql.transaction import Transaction

__all__ = ["other_digests"]


async def other_digests(tx: Transaction, beginning: str, limit: int) -> list[str]:
    """Digests of passwords that do not begin so."""
    known = "password_digest IS NOT NULL AND substr(password_digest, 1, ?) <> ?"
    rows = await tx.all(
        f"SELECT password_digest FROM users WHERE {known} LIMIT ?", len(beginning), beginning, limit
    )
    return [row[0] for row in rows]
