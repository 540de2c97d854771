"""Roles and the scope they carry."""

from __future__ import annotations

from typing import Final

from watchword.errors import Conflict
from watchword.server.store.records import Origin, Role
from watchword.server.store.sql import users
from watchword.server.store.sql.transaction import Transaction, join, split

__all__ = ["HOLDERS", "delete", "get", "list_all", "set_scope"]


HOLDERS: Final = 500
"""More users of a role than this, and taking scope from it outdates every token instead of telling of each user."""


async def list_all(tx: Transaction) -> list[Role]:
    """All roles by name."""
    rows = await tx.all("SELECT name, scope, built_in FROM roles ORDER BY name")
    return [Role(name=name, scope=split(scope), built_in=bool(built_in)) for name, scope, built_in in rows]


async def get(tx: Transaction, name: str) -> Role | None:
    """One role."""
    return next((role for role in await list_all(tx) if role.name == name), None)


async def set_scope(tx: Transaction, name: str, scope: tuple[str, ...], origin: Origin) -> Role:
    """Make or change a role; users who have it feel it at once."""
    await tx.hold_roles("UPDATE")
    before = await get(tx, name)
    await tx.run(
        "INSERT INTO roles (name, scope, built_in) VALUES (?, ?, FALSE) ON CONFLICT (name) DO UPDATE SET scope = ?2",
        name, join(scope),
    )  # fmt: skip
    if before is None or before.scope != scope:
        await tx.record("role.set", origin, detail={"role": name, "scope": list(scope)})
    if before is not None and before.scope != scope:
        await _touch_holders(tx, name, origin, taken=not set(before.scope) <= set(scope))
    found = await get(tx, name)
    assert found is not None
    return found


async def delete(tx: Transaction, name: str, origin: Origin) -> bool:
    """Delete a role and take it from its holders."""
    await tx.hold_roles("UPDATE")
    before = await get(tx, name)
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
