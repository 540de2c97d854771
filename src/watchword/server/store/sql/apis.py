"""Protected APIs (RFC 8707)."""

from __future__ import annotations

from watchword.errors import Conflict, InvalidInput
from watchword.server.store.records import Api, Origin
from watchword.server.store.sql import sessions
from watchword.server.store.sql.transaction import Transaction, datetime_of, join, split

__all__ = ["add", "delete", "get", "list_all", "set_encryption"]


async def list_all(tx: Transaction) -> list[Api]:
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


async def get(tx: Transaction, audience: str) -> Api | None:
    """One API."""
    return next((api for api in await list_all(tx) if api.audience == audience), None)


async def add(
    tx: Transaction,
    audience: str,
    scope: tuple[str, ...],
    origin: Origin,
    *,
    built_in: bool = False,
    encryption_jwk: str | None = None,
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
    found = await get(tx, audience)
    assert found is not None
    return found


async def set_encryption(
    tx: Transaction, audience: str, encryption_jwk: str | None, origin: Origin
) -> Api | None:
    """Encrypt what is issued for an API alone from now on, or no more."""
    sql = "UPDATE apis SET encryption_jwk = ? WHERE audience = ?"
    if not await tx.run(sql, encryption_jwk, audience):
        return None
    await tx.record("api.encrypted", origin, detail={"audience": audience, "on": encryption_jwk is not None})
    return await get(tx, audience)


async def delete(tx: Transaction, audience: str, origin: Origin) -> bool:
    """Delete an API; its sessions end."""
    found = await get(tx, audience)
    if found is None:
        return False
    if found.built_in:
        raise Conflict("the built-in API cannot be deleted")
    if not await tx.run("DELETE FROM apis WHERE audience = ?", audience):
        return False
    await tx.record("api.deleted", origin, detail={"audience": audience})
    await sessions.end_of_api(tx, audience, origin)
    return True
