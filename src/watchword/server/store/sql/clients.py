"""Clients."""

from __future__ import annotations

from watchword.server.store.records import Client, Origin
from watchword.server.store.sql.transaction import Transaction

__all__ = ["disable", "get"]


async def get(tx: Transaction, client_id: str) -> Client | None:
    """By id."""
    row = await tx.one("SELECT id, name, version, floor, disabled FROM clients WHERE id = ?", client_id)
    if row is None:
        return None
    return Client(id=row[0], name=row[1], version=row[2], floor=row[3], disabled=bool(row[4]))


async def disable(tx: Transaction, client_id: str, origin: Origin, *, disabled: bool = True) -> Client | None:
    """Disable a client, which kills its tokens and rests its sessions, or enable it again."""
    await tx.hold_clients("NO KEY UPDATE")
    before = await get(tx, client_id)
    if before is None or before.disabled == disabled:
        return before
    await tx.run("UPDATE clients SET disabled = ? WHERE id = ?", disabled, client_id)
    await tx.record("client.disabled" if disabled else "client.enabled", origin, client_id=client_id)
    if disabled:
        version = await tx.next_version(before.version)
        await tx.run("UPDATE clients SET version = ?1, floor = ?1 WHERE id = ?2", version, client_id)
        newest = await tx.one("SELECT max(token_expires_at) FROM sessions WHERE client_id = ?", client_id)
        await tx.revoke("client", client_id, below=version, until=newest[0] or 0 if newest else 0)
    return await get(tx, client_id)
