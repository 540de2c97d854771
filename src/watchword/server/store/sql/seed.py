"""What a new database begins with: the head of an empty log, the built-in roles, the first-party client."""

from __future__ import annotations

import secrets

from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID
from watchword.server.store.sql.transaction import Transaction

__all__ = ["new_instance", "seed"]


async def seed(tx: Transaction) -> None:
    """Write it. The epoch is the time, so that a database made anew is not taken for the one it replaces."""
    await tx.run(
        'INSERT INTO head ("only", epoch, sequence, base, longest_life) VALUES (1, ?, 0, 0, 600000)', tx.ms
    )
    for role in ("user", "admin"):
        await tx.run("INSERT INTO roles (name, scope, built_in) VALUES (?, 'profile email', TRUE)", role)
    await tx.run(
        "INSERT INTO clients (id, name, version, floor, disabled, created_at)"
        " VALUES (?, 'First-party log-ins', ?, 0, FALSE, ?)",
        FIRST_PARTY_CLIENT_ID, tx.ms, tx.ms,
    )  # fmt: skip


def new_instance() -> str:
    """A random id for a database that is no continuation of the one it was made from."""
    return secrets.token_hex(8)
