"""Links to choose another password by: one a user, spent by an atomic compare-and-set (ASVS 6.4.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from watchword.server.store.records import LinkLimit, Origin, User
from watchword.server.store.sql import users
from watchword.server.store.sql.transaction import Transaction

__all__ = ["complete", "grant", "offer", "owner", "sweep"]

_MILLISECOND: Final = timedelta(milliseconds=1)


async def offer(
    tx: Transaction,
    email_key: str,
    digest: bytes,
    life: timedelta,
    limit: LinkLimit,
    origin: Origin,
    omitted: int | None = 0,
) -> User | None:
    """Keep the digest for whoever has the address; ``None``: nobody has, he is banned, or had too many of late."""
    user = await users.find(tx, email_key=email_key)
    if user is not None:
        await tx.hold_user(user.id)
        user = await users.find(tx, email_key=email_key)
    if user is None:
        await _refuse(tx, origin, None, "unknown", omitted)
        return None
    window = limit.window // _MILLISECOND
    full_at = max(await _full_at(tx, user.id), tx.ms) + (window // limit.links if limit.links else 0)
    refused = "banned" if user.banned else "limited" if full_at > tx.ms + window else None
    if refused is not None:
        await _refuse(tx, origin, user.id, refused, omitted)
        return None
    await _keep(tx, user.id, digest, life, full_at)
    await tx.record("password_reset.offered", origin, user_id=user.id)
    return user


async def _refuse(
    tx: Transaction, origin: Origin, user_id: str | None, reason: str, omitted: int | None
) -> None:
    if omitted is not None:
        detail = {"reason": reason} | ({"omitted": omitted} if omitted else {})
        await tx.record("password_reset.refused", origin, user_id=user_id, detail=detail)


async def grant(tx: Transaction, user_id: str, digest: bytes, life: timedelta, origin: Origin) -> User | None:
    """Keep the digest for a user who has no need of mail; ``None``: there is no such user, or he is banned."""
    await tx.hold_user(user_id)
    user = await users.get(tx, user_id)
    if user is None or user.banned:
        return None
    await _keep(tx, user_id, digest, life, await _full_at(tx, user_id))
    await tx.record("password_reset.offered", origin, user_id=user_id)
    return user


async def owner(tx: Transaction, digest: bytes) -> User | None:
    """Whose password the link would replace now."""
    row = await tx.one(
        f"SELECT {users.COLUMNS} FROM password_resets p JOIN users u ON u.id = p.user_id"
        " WHERE p.digest = ? AND p.expires_at > ?",
        digest, tx.ms,
    )  # fmt: skip
    user = users.read(row, tx.ms) if row else None
    return None if user is None or user.banned else user


async def complete(tx: Transaction, digest: bytes, password_digest: str, origin: Origin) -> User | None:
    """Spend the link: the update decides who was first, and what he chose ends every session."""
    before = await owner(tx, digest)
    if before is None:
        return None
    await tx.hold_user(before.id)
    # What was read before the lock may be over by now: the link, the user's password, the user.
    before = await owner(tx, digest)
    spend = "UPDATE password_resets SET digest = NULL WHERE digest = ? AND expires_at > ?"
    if before is None or not await tx.run(spend, digest, tx.ms):
        return None
    await tx.record("user.password_reset", origin, user_id=before.id)
    return await users.replace_password(tx, before, password_digest, "password_reset", None)


async def sweep(tx: Transaction, limit: int) -> int:
    """Delete what neither opens anything nor counts."""
    if not await tx.connection.turn():
        return 0
    # Said twice: READ COMMITTED asks the outer condition again of a row that waited, and it may bear a new link.
    over = "full_at <= ?1 AND (digest IS NULL OR expires_at <= ?1)"
    return await tx.run(
        f"DELETE FROM password_resets WHERE {over} AND user_id IN"
        f" (SELECT user_id FROM password_resets WHERE {over} LIMIT ?2)",
        tx.ms, limit,
    )  # fmt: skip


async def _full_at(tx: Transaction, user_id: str) -> int:
    row = await tx.one("SELECT full_at FROM password_resets WHERE user_id = ?", user_id)
    return int(row[0]) if row else 0


async def _keep(tx: Transaction, user_id: str, digest: bytes, life: timedelta, full_at: int) -> None:
    await tx.run(
        "INSERT INTO password_resets (user_id, digest, expires_at, full_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (user_id) DO UPDATE SET digest = excluded.digest, expires_at = excluded.expires_at,"
        " full_at = excluded.full_at",
        user_id, digest, tx.ms + life // _MILLISECOND, full_at,
    )  # fmt: skip
