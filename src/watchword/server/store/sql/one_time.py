"""Secrets that can be used once: the set-up link."""

from __future__ import annotations

from datetime import datetime

from watchword.server.store.records import NewUser, Origin, User
from watchword.server.store.sql import users
from watchword.server.store.sql.transaction import Transaction, milliseconds

__all__ = ["add", "get", "spend"]


async def add(
    tx: Transaction, digest: bytes, purpose: str, subject: str | None, expires_at: datetime
) -> None:
    """Keep a digest; what it replaces and what is over goes."""
    await tx.hold_head()  # of two at once one is the older
    await tx.run(
        "DELETE FROM one_time WHERE (purpose = ? AND coalesce(subject, '') = ?) OR expires_at <= ?",
        purpose, subject or "", tx.ms,
    )  # fmt: skip
    await tx.run(
        "INSERT INTO one_time (digest, purpose, subject, expires_at) VALUES (?, ?, ?, ?)",
        digest, purpose, subject, milliseconds(expires_at),
    )  # fmt: skip


async def get(tx: Transaction, digest: bytes, purpose: str) -> bool:
    """Whether it could be spent."""
    sql = "SELECT 1 FROM one_time WHERE digest = ? AND purpose = ? AND expires_at > ?"
    return await tx.one(sql, digest, purpose, tx.ms) is not None


async def spend(tx: Transaction, digest: bytes, purpose: str, user: NewUser, origin: Origin) -> User | None:
    """Spend it for an account: the delete decides who was first."""
    sql = "DELETE FROM one_time WHERE digest = ? AND purpose = ? AND expires_at > ?"
    if await tx.run(sql, digest, purpose, tx.ms) != 1:
        return None
    return await users.add(tx, user, origin)
