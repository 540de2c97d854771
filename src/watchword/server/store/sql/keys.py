"""Signing keys: each change of what is published replaces the log's one ``key`` entry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from watchword.server.store.records import Origin, SigningKey
from watchword.server.store.sql.transaction import (
    ENTRY_MARGIN,
    Transaction,
    datetime_of,
    maybe_datetime,
    milliseconds,
)

__all__ = [
    "activate",
    "add",
    "compromise",
    "list_all",
    "live_kids",
    "renew",
    "replace_waiting",
    "schedule",
    "sweep",
]

_COLUMNS = (
    "kid, purpose, audience, algorithm, state, public_jwk, sealed, created_at, active_at, retired_at, gone_at"
)


async def list_all(tx: Transaction) -> list[SigningKey]:
    """Every key that is not gone, oldest first."""
    return [
        _read(row) for row in await tx.all(f"SELECT {_COLUMNS} FROM signing_keys ORDER BY created_at, kid")
    ]


async def live_kids(tx: Transaction) -> tuple[str, ...]:
    """The token keys that live."""
    rows = await tx.all(
        "SELECT kid FROM signing_keys WHERE purpose = 'token' AND state IN ('next', 'active', 'retired')"
        " ORDER BY created_at, kid"
    )
    return tuple(kid for (kid,) in rows)


async def add(tx: Transaction, key: SigningKey, origin: Origin) -> None:
    """Insert a key unless its place is taken."""
    await tx.hold_head()
    if not await _insert(tx, key):
        return
    await tx.record("key.added", origin, detail={"kid": key.kid, "purpose": key.purpose, "state": key.state})
    await _publish(tx)


async def schedule(tx: Transaction, kid: str, active_at: datetime, origin: Origin) -> SigningKey | None:
    """Say when a waiting key takes over."""
    sql = "UPDATE signing_keys SET active_at = ? WHERE kid = ? AND state = 'next'"
    if not await tx.run(sql, milliseconds(active_at), kid):
        return None
    await tx.record("key.scheduled", origin, detail={"kid": kid, "active_at": active_at.isoformat()})
    return await _get(tx, kid)


async def activate(tx: Transaction, kid: str, successor: SigningKey, origin: Origin) -> bool:
    """The waiting key signs, the active one retires, a new one waits."""
    await tx.hold_head()
    found = await _get(tx, kid)
    if found is None or found.state != "next":
        return False
    await _promote(tx, found)
    await _insert(tx, successor)
    await tx.record("key.activated", origin, detail={"kid": kid, "waiting": successor.kid})
    await _publish(tx)
    return True


async def replace_waiting(tx: Transaction, kid: str, successor: SigningKey, origin: Origin) -> bool:
    """Another key waits; the one that waited never signed, so nothing dies with it."""
    await tx.hold_head()
    if not await tx.run("DELETE FROM signing_keys WHERE kid = ? AND state = 'next'", kid):
        return False
    await _insert(tx, successor)
    await tx.record("key.added", origin, detail={"kid": successor.kid, "instead_of": kid})
    await _publish(tx)
    return True


async def compromise(tx: Transaction, kid: str, successor: SigningKey, origin: Origin) -> SigningKey | None:
    """Kill a key; an active one hands over in the same transaction."""
    await tx.hold_clients("NO KEY UPDATE")
    await tx.hold_head()
    found = await _get(tx, kid)
    if found is None or found.state == "compromised":
        return None
    await tx.run("UPDATE signing_keys SET state = 'compromised', retired_at = ? WHERE kid = ?", tx.ms, kid)
    waiting = None
    if found.state == "active":
        waiting = await tx.one(
            "SELECT kid FROM signing_keys WHERE purpose = ? AND audience = ? AND state = 'next'",
            found.purpose, found.audience,
        )  # fmt: skip
        if waiting is not None:
            await tx.run(
                "UPDATE signing_keys SET state = 'active', active_at = ? WHERE kid = ?", tx.ms, waiting[0]
            )
    if found.state in ("active", "next"):
        unmanned = found.state == "active" and waiting is None
        await _insert(tx, msgspec.structs.replace(successor, state="active" if unmanned else "next"))
    await tx.record("key.compromised", origin, detail={"kid": kid})
    await _publish(tx)
    return await _get(tx, kid)


async def renew(tx: Transaction, fresh: Sequence[SigningKey]) -> None:
    """Kill every key and put *fresh* ones in their place: a store from the past may hold keys killed since."""
    await tx.run(
        "UPDATE signing_keys SET state = 'compromised', retired_at = ? WHERE state <> 'compromised'", tx.ms
    )
    for key in fresh:
        await _insert(tx, key)
    await _publish(tx)


async def sweep(tx: Transaction, kids: Sequence[str]) -> int:
    """Forget those of *kids* that are retired and whose last token has expired."""
    await tx.hold_head()
    gone = 0
    for kid in kids:
        gone += await tx.run(
            "DELETE FROM signing_keys WHERE kid = ? AND state = 'retired' AND gone_at <= ?", kid, tx.ms
        )
    if gone:
        await _publish(tx)
    return gone


async def _promote(tx: Transaction, waiting: SigningKey) -> None:
    row = await tx.one("SELECT longest_life FROM head")
    life = timedelta(milliseconds=row[0] if row else 0)
    await tx.run(
        "UPDATE signing_keys SET state = 'retired', retired_at = ?, gone_at = ?"
        " WHERE purpose = ? AND audience = ? AND state = 'active'",
        tx.ms, milliseconds(tx.now + life + ENTRY_MARGIN), waiting.purpose, waiting.audience,
    )  # fmt: skip
    await tx.run("UPDATE signing_keys SET state = 'active', active_at = ? WHERE kid = ?", tx.ms, waiting.kid)


async def _publish(tx: Transaction) -> None:
    # The newest says all the older ones said; a guard behind it needs no other.
    await tx.run("DELETE FROM revocations WHERE kind = 'key'")
    rows = await tx.all(
        "SELECT public_jwk FROM signing_keys WHERE purpose = 'token' AND state IN ('next', 'active', 'retired')"
        " ORDER BY created_at, kid"
    )
    await tx.revoke("key", keys=[msgspec.json.decode(jwk) for (jwk,) in rows], lasting=True)


async def _insert(tx: Transaction, key: SigningKey) -> int:
    at = [None if at is None else milliseconds(at) for at in (key.active_at, key.retired_at, key.gone_at)]
    return await tx.run(
        f"INSERT INTO signing_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        key.kid, key.purpose, key.audience, key.algorithm, key.state,
        msgspec.json.encode(key.public_jwk).decode(), key.sealed, milliseconds(key.created_at), *at,
    )  # fmt: skip


async def _get(tx: Transaction, kid: str) -> SigningKey | None:
    row = await tx.one(f"SELECT {_COLUMNS} FROM signing_keys WHERE kid = ?", kid)
    return _read(row) if row else None


def _read(row: tuple[Any, ...]) -> SigningKey:
    return SigningKey(
        kid=row[0],
        purpose=row[1],
        audience=row[2],
        algorithm=row[3],
        state=row[4],
        public_jwk=msgspec.json.decode(row[5]),
        sealed=row[6],
        created_at=datetime_of(row[7]),
        active_at=maybe_datetime(row[8]),
        retired_at=maybe_datetime(row[9]),
        gone_at=maybe_datetime(row[10]),
    )
