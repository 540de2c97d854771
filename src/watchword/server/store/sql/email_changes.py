"""A new address until it is confirmed from its mailbox: one a user, confirmed by an atomic compare-and-set."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from watchword.server.store.records import LinkLimit, Origin, User, UserChange
from watchword.server.store.sql import users
from watchword.server.store.sql.transaction import Transaction

__all__ = ["complete", "offer", "owner", "pending", "sweep", "wanted"]

_MILLISECOND: Final = timedelta(milliseconds=1)


async def offer(
    tx: Transaction,
    user_id: str,
    email: tuple[str, str],
    digest: bytes,
    life: timedelta,
    limit: LinkLimit,
    origin: Origin,
) -> User | None:
    """Keep the address and the digest of the link that confirms it; ``None``: the user asked too often of late."""
    await tx.hold_user(user_id)
    user = await users.get(tx, user_id)
    row = await tx.one(
        "SELECT u.email_key, c.full_at FROM users u LEFT JOIN email_changes c ON c.user_id = u.id WHERE u.id = ?",
        user_id,
    )
    if user is None or row is None:
        return None
    window = limit.window // _MILLISECOND
    full_at = max(row[1] or 0, tx.ms) + (window // limit.links if limit.links else 0)
    if full_at > tx.ms + window:
        return None
    await tx.run(
        "INSERT INTO email_changes (user_id, email, email_key, from_key, floor, digest, expires_at, full_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (user_id) DO UPDATE SET email = excluded.email,"
        " email_key = excluded.email_key, from_key = excluded.from_key, floor = excluded.floor,"
        " digest = excluded.digest, expires_at = excluded.expires_at, full_at = excluded.full_at",
        user_id, *email, row[0], user.floor, digest, tx.ms + life // _MILLISECOND, full_at,
    )  # fmt: skip
    await tx.record("email_change.offered", origin, user_id=user_id)
    return user


async def wanted(tx: Transaction, email_key: str, user_id: str, limit: int) -> bool:
    """Whether a link may be sent to this address: it is nobody else's, and few ask for it."""
    row = await tx.one(
        "SELECT (SELECT count(*) FROM users WHERE email_key = ?1 AND id <> ?3),"
        " (SELECT count(*) FROM email_changes WHERE email_key = ?1 AND full_at > ?2)",
        email_key, tx.ms, user_id,
    )  # fmt: skip
    assert row is not None
    return row[0] == 0 and (not limit or row[1] <= limit)


async def owner(tx: Transaction, digest: bytes) -> tuple[User, str, str] | None:
    """Whose address the link would change now, and to which one."""
    row = await tx.one(
        f"SELECT {users.COLUMNS}, c.email, c.email_key FROM email_changes c JOIN users u ON u.id = c.user_id"
        " WHERE c.digest = ? AND c.expires_at > ? AND c.floor = u.floor AND c.from_key = u.email_key",
        digest, tx.ms,
    )  # fmt: skip
    user = users.read(row[: users.WIDTH], tx.ms) if row else None
    return None if row is None or user is None or user.banned else (user, row[-2], row[-1])


async def pending(tx: Transaction, digest: bytes) -> str | None:
    """The address that the link would confirm now."""
    found = await owner(tx, digest)
    return None if found is None else found[1]


async def complete(tx: Transaction, digest: bytes, origin: Origin) -> User | None:
    """Spend the link; the user as they were before, so that the old address can be told."""
    found = await owner(tx, digest)
    if found is None:
        return None
    await tx.hold_user(found[0].id)
    # What was read before the lock may be void by now.
    found = await owner(tx, digest)
    if found is None or not await tx.run("UPDATE email_changes SET digest = NULL WHERE digest = ?", digest):
        return None
    before, email, email_key = found
    await users.update(tx, before.id, UserChange(email=email, email_key=email_key), origin)
    await tx.run("UPDATE users SET email_verified = TRUE WHERE id = ?", before.id)
    return before


async def sweep(tx: Transaction, limit: int) -> int:
    """Delete what neither opens anything nor counts."""
    if not await tx.connection.turn():
        return 0
    # Said twice: READ COMMITTED asks the outer condition again of a row that waited, and it may bear a new link.
    over = "full_at <= ?1 AND (digest IS NULL OR expires_at <= ?1)"
    return await tx.run(
        f"DELETE FROM email_changes WHERE {over} AND user_id IN"
        f" (SELECT user_id FROM email_changes WHERE {over} LIMIT ?2)",
        tx.ms, limit,
    )  # fmt: skip
