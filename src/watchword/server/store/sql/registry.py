"""What is set up once and read often: clients, roles, APIs, once-only things, facts of the installation."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from watchword.errors import Conflict, InvalidInput
from watchword.server.store.records import Api, FirstPartyClient, NewUser, Origin, Role, User
from watchword.server.store.sql import sessions, users
from watchword.server.store.sql.transaction import Transaction, datetime_of, join, milliseconds, split

__all__ = [
    "add_api",
    "add_one_time",
    "delete_api",
    "delete_role",
    "disable_client",
    "get_api",
    "get_client",
    "get_one_time",
    "get_role",
    "list_apis",
    "list_roles",
    "put_new",
    "set_api_encryption",
    "set_role",
    "spend_one_time",
]


HOLDERS: Final = 500
"""More users of a role than this, and taking scope from it outdates every token instead of telling of each user."""


async def get_client(tx: Transaction, client_id: str) -> FirstPartyClient | None:
    """By id."""
    row = await tx.one("SELECT id, name, version, floor, disabled FROM clients WHERE id = ?", client_id)
    if row is None:
        return None
    return FirstPartyClient(id=row[0], name=row[1], version=row[2], floor=row[3], disabled=bool(row[4]))


async def disable_client(
    tx: Transaction, client_id: str, disabled: bool, origin: Origin
) -> FirstPartyClient | None:
    """Disable a client, which kills its tokens and rests its sessions, or enable it again."""
    await tx.hold_clients("NO KEY UPDATE")
    before = await get_client(tx, client_id)
    if before is None or before.disabled == disabled:
        return before
    await tx.run("UPDATE clients SET disabled = ? WHERE id = ?", disabled, client_id)
    await tx.record("client.disabled" if disabled else "client.enabled", origin, client_id=client_id)
    if disabled:
        version = await tx.next_version(before.version)
        await tx.run("UPDATE clients SET version = ?1, floor = ?1 WHERE id = ?2", version, client_id)
        newest = await tx.one("SELECT max(token_expires_at) FROM sessions WHERE client_id = ?", client_id)
        await tx.revoke("client", client_id, below=version, until=newest[0] or 0 if newest else 0)
    return await get_client(tx, client_id)


async def list_roles(tx: Transaction) -> list[Role]:
    """All roles by name."""
    rows = await tx.all("SELECT name, scope, built_in FROM roles ORDER BY name")
    return [Role(name=name, scope=split(scope), built_in=bool(built_in)) for name, scope, built_in in rows]


async def get_role(tx: Transaction, name: str) -> Role | None:
    """One role."""
    return next((role for role in await list_roles(tx) if role.name == name), None)


async def set_role(tx: Transaction, name: str, scope: tuple[str, ...], origin: Origin) -> Role:
    """Make or change a role; users who have it feel it at once."""
    await tx.hold_roles("UPDATE")
    before = await get_role(tx, name)
    await tx.run(
        "INSERT INTO roles (name, scope, built_in) VALUES (?, ?, FALSE) ON CONFLICT (name) DO UPDATE SET scope = ?2",
        name, join(scope),
    )  # fmt: skip
    if before is None or before.scope != scope:
        await tx.record("role.set", origin, detail={"role": name, "scope": list(scope)})
    if before is not None and before.scope != scope:
        await _touch_holders(tx, name, origin, taken=not set(before.scope) <= set(scope))
    found = await get_role(tx, name)
    assert found is not None
    return found


async def delete_role(tx: Transaction, name: str, origin: Origin) -> bool:
    """Delete a role and take it from its holders."""
    await tx.hold_roles("UPDATE")
    before = await get_role(tx, name)
    if before is None:
        return False
    if before.built_in:
        raise Conflict("a built-in role cannot be deleted")
    await tx.run("DELETE FROM roles WHERE name = ?", name)
    await tx.record("role.deleted", origin, detail={"role": name})
    await _touch_holders(tx, name, origin, taken=True, without=True)
    return True


async def _touch_holders(
    tx: Transaction, name: str, origin: Origin, *, taken: bool, without: bool = False
) -> None:
    """Let the tokens of everybody who has the role show what it carries now."""
    holders = "FROM users u WHERE instr(' ' || u.roles || ' ', ?) > 0 ORDER BY u.n"
    await tx.connection.hold(f"SELECT 1 {holders} FOR NO KEY UPDATE", (f" {name} ",))
    rows = await tx.all(f"SELECT {users.COLUMNS} {holders}", f" {name} ")
    if len(rows) > HOLDERS:
        if without:
            await tx.run(
                "UPDATE users SET roles = trim(replace(' ' || roles || ' ', ?1, ' ')), updated_at = ?2"
                " WHERE instr(' ' || roles || ' ', ?1) > 0",
                f" {name} ", tx.ms,
            )  # fmt: skip
        if taken:  # what was added may wait for the next refresh
            await tx.brake(origin)
        return
    for row in rows:
        user = users.read(row, tx.ms)
        roles = tuple(role for role in user.roles if role != name) if without else user.roles
        await tx.run(
            "UPDATE users SET roles = ?, version = ?, updated_at = ? WHERE id = ?",
            join(roles), await tx.next_version(user.version), tx.ms, user.id,
        )  # fmt: skip
        changed = await users.get(tx, user.id)
        assert changed is not None
        await users.overlay_roles(tx, changed)


async def list_apis(tx: Transaction) -> list[Api]:
    """All APIs by audience."""
    rows = await tx.all(
        "SELECT audience, scope, built_in, created_at, encryption_jwk FROM apis ORDER BY audience"
    )
    return [
        Api(
            audience=row[0],
            scope=split(row[1]),
            built_in=bool(row[2]),
            created_at=datetime_of(row[3]),
            encryption_jwk=row[4],
        )
        for row in rows
    ]


async def get_api(tx: Transaction, audience: str) -> Api | None:
    """One API."""
    return next((api for api in await list_apis(tx) if api.audience == audience), None)


async def add_api(
    tx: Transaction,
    audience: str,
    scope: tuple[str, ...],
    origin: Origin,
    built_in: bool,
    encryption_jwk: str | None,
) -> Api:
    """Add an API."""
    if not 0 < len(audience) <= 255 or not audience.isprintable() or " " in audience:
        raise InvalidInput(errors=[("audience", "must be 1 to 255 characters without spaces")])
    added = await tx.run(
        "INSERT INTO apis (audience, scope, built_in, created_at, encryption_jwk) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        audience, join(scope), built_in, tx.ms, encryption_jwk,
    )  # fmt: skip
    if not added:
        raise Conflict("there is an API of this audience")
    await tx.record("api.added", origin, detail={"audience": audience, "scope": list(scope)})
    found = await get_api(tx, audience)
    assert found is not None
    return found


async def set_api_encryption(
    tx: Transaction, audience: str, encryption_jwk: str | None, origin: Origin
) -> Api | None:
    """Encrypt what is issued for an API alone from now on, or no more."""
    sql = "UPDATE apis SET encryption_jwk = ? WHERE audience = ?"
    if not await tx.run(sql, encryption_jwk, audience):
        return None
    await tx.record("api.encrypted", origin, detail={"audience": audience, "on": encryption_jwk is not None})
    return await get_api(tx, audience)


async def delete_api(tx: Transaction, audience: str, origin: Origin) -> bool:
    """Delete an API; its sessions end."""
    found = await get_api(tx, audience)
    if found is None:
        return False
    if found.built_in:
        raise Conflict("the built-in API cannot be deleted")
    if not await tx.run("DELETE FROM apis WHERE audience = ?", audience):
        return False
    await tx.record("api.deleted", origin, detail={"audience": audience})
    await sessions.end_of_api(tx, audience, origin)
    return True


async def add_one_time(
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


async def get_one_time(tx: Transaction, digest: bytes, purpose: str) -> bool:
    """Whether it could be spent."""
    sql = "SELECT 1 FROM one_time WHERE digest = ? AND purpose = ? AND expires_at > ?"
    return await tx.one(sql, digest, purpose, tx.ms) is not None


async def spend_one_time(
    tx: Transaction, digest: bytes, purpose: str, user: NewUser, origin: Origin
) -> User | None:
    """Spend it for an account: the delete decides who was first."""
    sql = "DELETE FROM one_time WHERE digest = ? AND purpose = ? AND expires_at > ?"
    if await tx.run(sql, digest, purpose, tx.ms) != 1:
        return None
    return await users.add(tx, user, origin)


async def put_new(tx: Transaction, name: str, value: str) -> str:
    """Write unless there; what stands."""
    await tx.run("INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", name, value)
    row = await tx.one("SELECT value FROM meta WHERE name = ?", name)
    assert row is not None
    return str(row[0])
