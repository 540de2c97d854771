"""What must hold in the data whatever happened: asked by ``db check`` and after every crash test."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchword.protocol.revocation_list import Entry
from watchword.server.store.sql.transaction import Transaction

__all__ = ["broken"]

_NOW = "CAST(?1 AS BIGINT)"
_RECENTLY = f"{_NOW} - 300000"  # an entry outlives every token by five minutes, so it stands at least so long

_RULES: Final = {
    "a session without its user": (
        "SELECT s.id FROM sessions s LEFT JOIN users u ON u.id = s.user_id WHERE u.id IS NULL"
    ),
    "a session without its client": (
        "SELECT s.id FROM sessions s LEFT JOIN clients c ON c.id = s.client_id WHERE c.id IS NULL"
    ),
    "a living session below its user's floor": (
        "SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id"
        " WHERE s.ended_at IS NULL AND s.version < u.floor"
    ),
    "a session from an epoch to come": "SELECT id FROM sessions WHERE epoch > (SELECT epoch FROM head)",
    "a refresh counter below zero": "SELECT id FROM sessions WHERE counter < 0",
    "a user's version below his floor": "SELECT id FROM users WHERE version < floor",
    "a client's version below its floor": "SELECT id FROM clients WHERE version < floor",
    "a user who died without an entry": (
        f"SELECT u.id FROM users u WHERE u.floor BETWEEN {_RECENTLY} AND {_NOW}"
        " AND u.floor > (SELECT base FROM head)"
        " AND NOT EXISTS (SELECT 1 FROM revocations r WHERE r.id = u.id AND r.id <> '' AND r.kind = 'user')"
    ),
    "a session that ended without an entry": (
        f"SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.ended_at > {_RECENTLY}"
        f" AND s.token_expires_at > {_NOW} AND s.ended_at > (SELECT base FROM head)"
        " AND NOT EXISTS (SELECT 1 FROM revocations r WHERE r.id IN (s.id, u.id) AND r.id <> ''"
        "  AND ((r.id = s.id AND r.kind = 'session') OR (r.id = u.id AND r.kind = 'user')))"
    ),
    "an entry past the head": "SELECT sequence FROM revocations WHERE sequence > (SELECT sequence FROM head)",
    "an ended session without a reason": (
        "SELECT id FROM sessions WHERE (ended_at IS NULL) <> (end_reason IS NULL)"
    ),
    "more than one entry of the keys": (
        "SELECT max(sequence) FROM revocations WHERE kind = 'key' HAVING count(*) > 1"
    ),
}


async def broken(tx: Transaction) -> list[str]:
    """Each broken rule with the first row that breaks it."""
    found = []
    for rule, sql in _RULES.items():
        row = await tx.one(f"{sql} LIMIT 1", *((tx.ms,) if _NOW in sql else ()))
        if row is not None:
            found.append(f"{rule}: {row[0]}")
    return found + await _heads(tx) + await _keys(tx) + await _entries(tx)


async def _heads(tx: Transaction) -> list[str]:
    row = await tx.one("SELECT count(*) FROM head")
    return [] if row == (1,) else ["the log has no head"]


async def _keys(tx: Transaction) -> list[str]:
    if await tx.one("SELECT 1 FROM signing_keys WHERE purpose = 'token'") is None:
        return []  # a store that no server has opened yet
    counts: dict[Any, Any] = dict(
        await tx.all(
            "SELECT state, count(*) FROM signing_keys WHERE purpose = 'token' AND audience = '' GROUP BY state"
        )
    )
    return [f"there is no {state} token key" for state in ("active", "next") if not counts.get(state)]


async def _entries(tx: Transaction) -> list[str]:
    for sequence, kind, id_, body in await tx.all("SELECT sequence, kind, id, body FROM revocations"):
        try:
            entry = msgspec.json.decode(body, type=Entry)
        except msgspec.MsgspecError:
            return [f"an entry that cannot be read: {sequence}"]
        if (entry.sequence, entry.kind, entry.id) != (sequence, kind, id_):
            return [f"an entry that says otherwise than its row: {sequence}"]
    return []
