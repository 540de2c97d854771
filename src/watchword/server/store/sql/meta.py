"""Facts of the installation."""

from __future__ import annotations

from watchword.server.store.sql.transaction import Transaction

__all__ = ["get", "put_new"]


async def get(tx: Transaction, name: str) -> str | None:
    """The value of this name."""
    row = await tx.one("SELECT value FROM meta WHERE name = ?", name)
    return None if row is None else str(row[0])


async def put_new(tx: Transaction, name: str, value: str) -> str:
    """Write unless there; what stands."""
    await tx.run("INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", name, value)
    row = await tx.one("SELECT value FROM meta WHERE name = ?", name)
    assert row is not None
    return str(row[0])
