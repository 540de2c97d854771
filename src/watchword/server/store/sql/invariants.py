"""What must hold in the data whatever happened: asked by ``db check`` and after every crash test."""

from __future__ import annotations

from typing import Final

from watchword.server.store.sql.transaction import Transaction

__all__ = ["broken"]

_RULES: Final = {
    "a session without its user": (
        "SELECT s.id FROM sessions s LEFT JOIN users u ON u.id = s.user_id WHERE u.id IS NULL"
    ),
    "a session without its client": (
        "SELECT s.id FROM sessions s LEFT JOIN clients c ON c.id = s.client_id WHERE c.id IS NULL"
    ),
    "a living session below its user's floor": (
        "SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.ended_at IS NULL AND s.version < u.floor"
    ),
    "a version below its floor": "SELECT id FROM users WHERE version < floor",
    "an entry past the head": "SELECT sequence FROM revocations WHERE sequence > (SELECT sequence FROM head)",
    "an entry of an unknown kind": (
        "SELECT sequence FROM revocations WHERE kind NOT IN"
        " ('session', 'token', 'user', 'client', 'claims', 'key', 'issuer')"
    ),
    "a user who is deleted and has sessions": (
        "SELECT s.id FROM sessions s JOIN events e ON e.user_id = s.user_id AND e.type = 'user.deleted'"
    ),
    "a banned user whose ban is not in the audit log": (
        "SELECT u.id FROM users u WHERE u.banned AND NOT EXISTS"
        " (SELECT 1 FROM events e WHERE e.user_id = u.id AND e.type = 'user.banned')"
        " AND u.updated_at > (SELECT coalesce(min(at), 0) FROM events)"
    ),
}


def broken(tx: Transaction) -> list[str]:
    """Each broken rule with the first row that breaks it."""
    found = [f"integrity: {row[0]}" for row in tx.all("PRAGMA integrity_check(10)") if row[0] != "ok"]
    found += [f"foreign key: {row[0]} {row[1]}" for row in tx.all("PRAGMA foreign_key_check")]
    for rule, sql in _RULES.items():
        row = tx.one(sql + " LIMIT 1")
        if row is not None:
            found.append(f"{rule}: {row[0]}")
    heads = tx.one("SELECT count(*) FROM head")
    if heads is None or heads[0] != 1:
        found.append("the log has no head")
    for state in ("active", "next"):
        keys = tx.one("SELECT count(*) FROM signing_keys WHERE purpose = 'token' AND state = ?", state)
        any_key = tx.one("SELECT 1 FROM signing_keys")
        if any_key is not None and (keys is None or keys[0] != 1):
            found.append(f"there is not exactly one {state} token key")
    return found
