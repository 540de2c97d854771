"""Users: each kill raises version and floor and writes one entry, whatever the number of sessions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType

from watchword.errors import Conflict, EmailTaken, InvalidInput, LastAdministrator, UsernameTaken
from watchword.protocol.access_token import ADMIN, FIRST_PARTY_CLIENT_ID
from watchword.server.store.records import NewUser, Origin, Page, User, UserChange
from watchword.server.store.sql.transaction import (
    Taken,
    Transaction,
    datetime_of,
    join,
    maybe_datetime,
    milliseconds,
    split,
)
from watchword.server.store.sql.user_entries import newest_token, revoke_user

__all__ = [
    "COLUMNS",
    "add",
    "ban",
    "combine",
    "count",
    "delete",
    "find",
    "get",
    "list_page",
    "log_out_everywhere",
    "overlay_roles",
    "read",
    "rehash",
    "replace_password",
    "set_password",
    "unban",
    "update",
]

COLUMNS = (
    "u.id, u.email, u.username, u.name, u.roles, u.banned, u.ban_reason, u.banned_until, u.email_verified,"
    " u.password_digest, u.version, u.floor, u.created_at, u.updated_at, u.last_login_at"
)
_LONGEST_SEARCH = 400
"""Characters of a search: longer than any text that is searched, so that what is cut still finds nothing."""
WIDTH = 15
"""How many they are; the last one is the last log-in."""


def read(row: tuple[Any, ...], now_ms: int) -> User:
    """A row of ``COLUMNS`` as a record; a timed ban that is over is no ban."""
    banned = bool(row[5]) and (row[7] is None or row[7] > now_ms)
    return User(
        id=row[0],
        email=row[1],
        username=row[2],
        name=row[3],
        roles=split(row[4]),
        banned=banned,
        ban_reason=row[6] if banned else None,
        banned_until=maybe_datetime(row[7]) if banned else None,
        email_verified=bool(row[8]),
        password_digest=row[9],
        version=row[10],
        floor=row[11],
        created_at=datetime_of(row[12]),
        updated_at=datetime_of(row[13]),
        last_login_at=maybe_datetime(row[14]),
    )


async def add(tx: Transaction, user: NewUser, origin: Origin) -> User:
    """Insert a user; his first version is the time, so that a re-import under one id starts above the old."""
    await tx.hold_roles("SHARE")
    await _check_roles(tx, user.roles)
    version = await tx.next_version(0)
    created = min(milliseconds(user.created_at), tx.ms) if user.created_at else tx.ms
    try:
        await tx.run(
            "INSERT INTO users (id, email, email_key, username, username_key, name, name_key, roles, password_digest,"
            " email_verified, banned, ban_reason, banned_until, version, floor, created_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
            user.id, user.email, user.email_key, user.username, user.username_key, user.name, _fold(user.name),
            join(user.roles), user.password_digest, user.email_verified, user.banned, user.ban_reason,
            milliseconds(user.banned_until) if user.banned_until else None, version, created, tx.ms,
        )  # fmt: skip
    except Taken as taken:
        raise _taken(taken) from None
    await tx.record("user.created", origin, user_id=user.id, detail={"roles": list(user.roles)})
    return await _require(tx, user.id)


async def get(tx: Transaction, user_id: str) -> User | None:
    """By id."""
    row = await tx.one(f"SELECT {COLUMNS} FROM users u WHERE u.id = ?", user_id)
    return read(row, tx.ms) if row else None


async def find(
    tx: Transaction, *, email_key: str | None = None, username_key: str | None = None
) -> User | None:
    """By e-mail or user name."""
    if email_key is not None:
        row = await tx.one(f"SELECT {COLUMNS} FROM users u WHERE u.email_key = ?", email_key)
    else:
        row = await tx.one(f"SELECT {COLUMNS} FROM users u WHERE u.username_key = ?", username_key)
    return read(row, tx.ms) if row else None


async def list_page(
    tx: Transaction, *, q: str = "", cursor: str | None = None, limit: int = 50
) -> Page[User]:
    """In order of creation, by keyset."""
    after = _cursor(cursor)
    where, values = "u.n > ?", [after]
    if q:
        pattern = (
            "%"
            + q[:_LONGEST_SEARCH].casefold().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            + "%"
        )
        where += (
            " AND (u.email_key LIKE ? ESCAPE '\\' OR u.username_key LIKE ? ESCAPE '\\'"
            " OR u.name_key LIKE ? ESCAPE '\\')"
        )
        values += [pattern] * 3  # type: ignore[list-item]
    rows = await tx.all(
        f"SELECT {COLUMNS}, u.n FROM users u WHERE {where} ORDER BY u.n LIMIT ?", *values, limit + 1
    )
    items = tuple(read(row, tx.ms) for row in rows[:limit])
    return Page(items, str(rows[limit - 1][WIDTH]) if len(rows) > limit else None)


async def count(tx: Transaction, *, role: str | None = None) -> int:
    """How many, of a role when given."""
    if role is None:
        row = await tx.one("SELECT count(*) FROM users")
    else:
        row = await tx.one("SELECT count(*) FROM users WHERE instr(' ' || roles || ' ', ?) > 0", f" {role} ")
    return int(row[0]) if row else 0


async def update(tx: Transaction, user_id: str, change: UserChange, origin: Origin) -> User | None:
    """Change a user; a change of roles raises the version and writes an overlay, and kills nothing."""
    if not isinstance(change.roles, UnsetType):
        await tx.hold_roles("SHARE")
    await tx.hold_user(user_id)
    before = await get(tx, user_id)
    if before is None:
        return None
    if change.seen not in (UNSET, (before.email, before.username)):
        raise Conflict("The account was changed in the meantime. Please retry.")
    names = ("email", "email_key", "username", "username_key", "name")
    sets = {name: getattr(change, name) for name in names if getattr(change, name) is not UNSET}
    for name in ("email", "username", "name"):
        if name in sets and sets[name] == getattr(before, name):
            del sets[name]
            sets.pop(f"{name}_key", None)
    # An address of another case is the mailbox it was; one of the same key may be another (``same_mailbox``).
    if "email" in sets and sets["email"].lower() != before.email.lower():
        sets["email_verified"] = False
    if "name" in sets:
        sets["name_key"] = _fold(sets["name"])
    if sets:
        try:
            await tx.run(
                f"UPDATE users SET {', '.join(f'{name} = ?' for name in sets)}, updated_at = ? WHERE id = ?",
                *sets.values(), tx.ms, user_id,
            )  # fmt: skip
        except Taken as taken:
            raise _taken(taken) from None
        if "email" in sets:
            await _void_links(tx, user_id)
        await tx.record(
            "user.updated",
            origin,
            user_id=user_id,
            detail={"members": sorted(set(sets) & {"email", "username", "name"})},
        )
    if not isinstance(change.roles, UnsetType) and change.roles != before.roles:
        await _check_roles(tx, change.roles)
        if ADMIN not in change.roles:
            await _keep_an_administrator(tx, before)
        version = await tx.next_version(before.version)
        await tx.run(
            "UPDATE users SET roles = ?, version = ?, updated_at = ? WHERE id = ?",
            join(change.roles), version, tx.ms, user_id,
        )  # fmt: skip
        await tx.record(
            "user.roles_changed",
            origin,
            user_id=user_id,
            detail={"from": list(before.roles), "to": list(change.roles)},
        )
        await overlay_roles(tx, await _require(tx, user_id))
    return await _require(tx, user_id)


async def overlay_roles(tx: Transaction, user: User) -> None:
    """Let tokens older than the user's version show what he is now."""
    await tx.revoke(
        "claims",
        user.id,
        below=user.version,
        claims=tx.overlay(user, await granted(tx, user.roles)),
        clients=(FIRST_PARTY_CLIENT_ID,),
        until=await newest_token(tx, user.id),
    )


async def granted(tx: Transaction, roles: tuple[str, ...]) -> tuple[str, ...]:
    """The scope that *roles* carry together."""
    return combine(roles, dict(await tx.all("SELECT name, scope FROM roles")))


def combine(roles: tuple[str, ...], carried: Mapping[str, str]) -> tuple[str, ...]:
    """The same, of roles whose scope has been read."""
    return tuple(dict.fromkeys(split(" ".join([carried.get(role, "") for role in roles]))))


async def set_password(
    tx: Transaction,
    user_id: str,
    digest: str,
    origin: Origin,
    *,
    expected_version: int | None = None,
    keep_session: str | None = None,
) -> User | None:
    """Replace the digest; every session but *keep_session* ends."""
    await tx.hold_user(user_id)
    before = await get(tx, user_id)
    if before is None or (expected_version is not None and before.floor > expected_version):
        return None
    await tx.record("user.password_changed", origin, user_id=user_id)
    return await replace_password(tx, before, digest, "password_changed", keep_session)


async def replace_password(
    tx: Transaction, before: User, digest: str, reason: str, keep_session: str | None
) -> User:
    """The same for a user who is held; the event is the caller's."""
    await tx.run("UPDATE users SET password_digest = ? WHERE id = ?", digest, before.id)
    await _void_links(tx, before.id)
    await _kill(tx, before, reason, keep_session)
    return await _require(tx, before.id)


async def _void_links(tx: Transaction, user_id: str) -> None:
    """What opened the account by another way than its password no longer does, nor moves it to another mailbox."""
    await tx.run("UPDATE password_resets SET digest = NULL WHERE user_id = ?", user_id)
    await tx.run("UPDATE email_changes SET digest = NULL WHERE user_id = ?", user_id)


async def rehash(tx: Transaction, user_id: str, old: str, new: str) -> bool:
    """The same password under better settings: compare-and-set."""
    sql = "UPDATE users SET password_digest = ? WHERE id = ? AND password_digest = ?"
    return await tx.run(sql, new, user_id, old) == 1


async def ban(
    tx: Transaction, user_id: str, reason: str | None, until: datetime | None, origin: Origin
) -> User | None:
    """Ban: no sessions, no tokens, none to come."""
    await tx.hold_user(user_id)
    before = await get(tx, user_id)
    if before is None:
        return None
    await _keep_an_administrator(tx, before)
    await tx.run(
        "UPDATE users SET banned = TRUE, ban_reason = ?, banned_until = ? WHERE id = ?",
        reason, milliseconds(until) if until else None, user_id,
    )  # fmt: skip
    await _void_links(tx, user_id)
    detail: dict[str, Any] = {"reason": reason}
    if until:
        detail["until"] = until.isoformat()
    await tx.record("user.banned", origin, user_id=user_id, detail=detail)
    # Whether they are banned already is a matter of clocks: a ban that was over may not be over by a clock set back.
    left = await tx.one("SELECT 1 FROM sessions WHERE user_id = ? AND ended_at IS NULL LIMIT 1", user_id)
    if left is not None or not before.banned:  # else there is nothing left to kill
        await _kill(tx, before, "banned", None)
    return await _require(tx, user_id)


async def unban(tx: Transaction, user_id: str, origin: Origin) -> User | None:
    """Lift a ban; the floor stays, so what it killed stays dead."""
    changed = await tx.run(
        "UPDATE users SET banned = FALSE, ban_reason = NULL, banned_until = NULL, updated_at = ?"
        " WHERE id = ? AND banned",
        tx.ms, user_id,
    )  # fmt: skip
    if changed:
        await tx.record("user.unbanned", origin, user_id=user_id)
    return await get(tx, user_id)


async def delete(tx: Transaction, user_id: str, origin: Origin) -> bool:
    """Delete user and sessions; the entry outlives them."""
    await tx.hold_user(user_id)
    before = await get(tx, user_id)
    if before is None:
        return False
    await _keep_an_administrator(tx, before)
    ended = await tx.all("DELETE FROM sessions WHERE user_id = ? RETURNING id, token_expires_at", user_id)
    await tx.run("DELETE FROM users WHERE id = ?", user_id)
    await tx.record("user.deleted", origin, user_id=user_id)
    await revoke_user(tx, user_id, await tx.next_version(before.version), ended)
    return True


async def log_out_everywhere(
    tx: Transaction, user_id: str, reason: str, origin: Origin, *, keep_session: str | None = None
) -> int:
    """End every session of a user but one."""
    await tx.hold_user(user_id)
    before = await get(tx, user_id)
    if before is None:
        return 0
    await tx.record("user.logged_out_everywhere", origin, user_id=user_id, detail={"reason": reason})
    return await _kill(tx, before, reason, keep_session)


async def _kill(tx: Transaction, before: User, reason: str, keep_session: str | None) -> int:
    """Raise version and floor, end the sessions, write the entry."""
    if keep_session is not None:
        # Only a session that lives is spared: the word must not raise one that died before.
        kept = await tx.one(
            "SELECT 1 FROM sessions WHERE id = ? AND user_id = ? AND ended_at IS NULL AND version >= ?",
            keep_session, before.id, before.floor,
        )  # fmt: skip
        keep_session = keep_session if kept else None
    version = await tx.next_version(before.version)
    await tx.run(
        "UPDATE users SET version = ?, floor = ?, updated_at = ? WHERE id = ?",
        version,
        version,
        tx.ms,
        before.id,
    )
    ended = await tx.all(
        "UPDATE sessions SET ended_at = ?, end_reason = ? WHERE user_id = ? AND ended_at IS NULL AND id <> ?"
        " RETURNING id, token_expires_at",
        tx.ms, reason, before.id, keep_session or "",
    )  # fmt: skip
    if keep_session is not None:
        await tx.run("UPDATE sessions SET version = ? WHERE id = ?", version, keep_session)
    await revoke_user(tx, before.id, version, ended, keep_session or "")
    return len(ended)


async def _keep_an_administrator(tx: Transaction, leaving: User) -> None:
    """Refuse to take away the last user who can sign in and administer the server."""
    if ADMIN not in leaving.roles or leaving.banned or leaving.password_digest is None:
        return
    # Of two who take each other's role away at the same moment, the second sees what the first did.
    await tx.hold_head()
    another = await tx.one(
        "SELECT 1 FROM users WHERE id <> ? AND instr(' ' || roles || ' ', ?) > 0 AND password_digest IS NOT NULL"
        " AND NOT (banned AND (banned_until IS NULL OR banned_until > ?)) LIMIT 1",
        leaving.id, f" {ADMIN} ", tx.ms,
    )  # fmt: skip
    if another is None:
        raise LastAdministrator(
            'Nobody else could administer the server. Give the role "admin" to another user first,'
            " or create one: watchword user create EMAIL --role admin"
        )


async def _check_roles(tx: Transaction, roles: tuple[str, ...]) -> None:
    known = {name for (name,) in await tx.all("SELECT name FROM roles")}
    if unknown := [role for role in roles if role not in known]:
        raise InvalidInput(errors=[("roles", f"unknown: {', '.join(unknown)[:200]}")])


def _taken(taken: Taken) -> EmailTaken | UsernameTaken:
    return UsernameTaken() if "username" in taken.column else EmailTaken()


def _fold(name: str | None) -> str | None:
    return None if name is None else name.casefold()


def _cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise InvalidInput(errors=[("cursor", "is not one that a list gave")])
    return int(cursor)


async def _require(tx: Transaction, user_id: str) -> User:
    user = await get(tx, user_id)
    assert user is not None
    return user
