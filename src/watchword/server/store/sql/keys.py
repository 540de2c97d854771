"""Signing keys: each change of what is published replaces the log's one ``key`` entry."""

from __future__ import annotations

import sqlite3
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


def list_all(tx: Transaction) -> list[SigningKey]:
    """Every key that is not gone, oldest first."""
    return [_read(row) for row in tx.all(f"SELECT {_COLUMNS} FROM signing_keys ORDER BY created_at, kid")]


def live_kids(tx: Transaction) -> tuple[str, ...]:
    """The token keys that live."""
    rows = tx.all(
        "SELECT kid FROM signing_keys WHERE purpose = 'token' AND state IN ('next', 'active', 'retired')"
        " ORDER BY created_at, kid"
    )
    return tuple(kid for (kid,) in rows)


def add(tx: Transaction, key: SigningKey, origin: Origin) -> None:
    """Insert a key unless its place is taken."""
    try:
        _insert(tx, key)
    except sqlite3.IntegrityError:
        return
    tx.record("key.added", origin, detail={"kid": key.kid, "purpose": key.purpose, "state": key.state})
    _publish(tx)


def schedule(tx: Transaction, kid: str, active_at: datetime, origin: Origin) -> SigningKey | None:
    """Say when a waiting key takes over."""
    sql = "UPDATE signing_keys SET active_at = ? WHERE kid = ? AND state = 'next'"
    if not tx.run(sql, milliseconds(active_at), kid).rowcount:
        return None
    tx.record("key.scheduled", origin, detail={"kid": kid, "active_at": active_at.isoformat()})
    return _get(tx, kid)


def activate(tx: Transaction, kid: str, successor: SigningKey, origin: Origin) -> bool:
    """The waiting key signs, the active one retires, a new one waits."""
    found = _get(tx, kid)
    if found is None or found.state != "next":
        return False
    _promote(tx, found)
    _insert(tx, successor)
    tx.record("key.activated", origin, detail={"kid": kid, "waiting": successor.kid})
    _publish(tx)
    return True


def replace_waiting(tx: Transaction, kid: str, successor: SigningKey, origin: Origin) -> bool:
    """Another key waits; the one that waited never signed, so nothing dies with it."""
    if not tx.run("DELETE FROM signing_keys WHERE kid = ? AND state = 'next'", kid).rowcount:
        return False
    _insert(tx, successor)
    tx.record("key.added", origin, detail={"kid": successor.kid, "instead_of": kid})
    _publish(tx)
    return True


def compromise(tx: Transaction, kid: str, successor: SigningKey, origin: Origin) -> SigningKey | None:
    """Kill a key; an active one hands over in the same transaction."""
    found = _get(tx, kid)
    if found is None or found.state == "compromised":
        return None
    tx.run("UPDATE signing_keys SET state = 'compromised', retired_at = ? WHERE kid = ?", tx.ms, kid)
    waiting = None
    if found.state == "active":
        waiting = tx.one(
            "SELECT kid FROM signing_keys WHERE purpose = ? AND audience = ? AND state = 'next'",
            found.purpose, found.audience,
        )  # fmt: skip
        if waiting is not None:
            tx.run("UPDATE signing_keys SET state = 'active', active_at = ? WHERE kid = ?", tx.ms, waiting[0])
    if found.state in ("active", "next"):
        unmanned = found.state == "active" and waiting is None
        _insert(tx, msgspec.structs.replace(successor, state="active" if unmanned else "next"))
    tx.record("key.compromised", origin, detail={"kid": kid})
    _publish(tx)
    return _get(tx, kid)


def renew(tx: Transaction, fresh: Sequence[SigningKey]) -> None:
    """Kill every key and put *fresh* ones in their place: a store from the past may hold keys killed since."""
    tx.run(
        "UPDATE signing_keys SET state = 'compromised', retired_at = ? WHERE state <> 'compromised'", tx.ms
    )
    for key in fresh:
        _insert(tx, key)
    _publish(tx)


def sweep(tx: Transaction) -> int:
    """Forget retired keys whose last token has expired."""
    gone = tx.run("DELETE FROM signing_keys WHERE state = 'retired' AND gone_at <= ?", tx.ms).rowcount
    if gone:
        _publish(tx)
    return gone


def _promote(tx: Transaction, waiting: SigningKey) -> None:
    row = tx.one("SELECT longest_life FROM head")
    life = timedelta(milliseconds=row[0] if row else 0)
    tx.run(
        "UPDATE signing_keys SET state = 'retired', retired_at = ?, gone_at = ?"
        " WHERE purpose = ? AND audience = ? AND state = 'active'",
        tx.ms, milliseconds(tx.now + life + ENTRY_MARGIN), waiting.purpose, waiting.audience,
    )  # fmt: skip
    tx.run("UPDATE signing_keys SET state = 'active', active_at = ? WHERE kid = ?", tx.ms, waiting.kid)


def _publish(tx: Transaction) -> None:
    # The newest says all the older ones said; a guard behind it needs no other.
    tx.run("DELETE FROM revocations WHERE kind = 'key'")
    rows = tx.all(
        "SELECT public_jwk FROM signing_keys WHERE purpose = 'token' AND state IN ('next', 'active', 'retired')"
        " ORDER BY created_at, kid"
    )
    tx.revoke("key", keys=[msgspec.json.decode(jwk) for (jwk,) in rows], lasting=True)


def _insert(tx: Transaction, key: SigningKey) -> None:
    at = [None if at is None else milliseconds(at) for at in (key.active_at, key.retired_at, key.gone_at)]
    tx.run(
        f"INSERT INTO signing_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        key.kid, key.purpose, key.audience, key.algorithm, key.state,
        msgspec.json.encode(key.public_jwk).decode(), key.sealed, milliseconds(key.created_at), *at,
    )  # fmt: skip


def _get(tx: Transaction, kid: str) -> SigningKey | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM signing_keys WHERE kid = ?", kid)
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
