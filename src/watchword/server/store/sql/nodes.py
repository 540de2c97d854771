"""Who serves from a database: each node says so again and again, with the settings that all must agree in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec

from watchword.server.store.sql.transaction import Transaction

__all__ = ["LIFE", "announce", "leave", "live"]

LIFE: Final = timedelta(minutes=1)
"""How long a node counts as live that has said nothing."""

_decode = msgspec.json.Decoder(dict[str, str]).decode


async def announce(tx: Transaction, node: str, settings: Mapping[str, str]) -> None:
    """Add *node* or renew it; those that left without a word go."""
    await tx.run("DELETE FROM nodes WHERE seen_at <= ?", tx.ms - 10 * _milliseconds(LIFE))
    await tx.run(
        "INSERT INTO nodes (id, settings, seen_at) VALUES (?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET settings = excluded.settings, seen_at = excluded.seen_at",
        node, msgspec.json.encode(settings).decode(), tx.ms,
    )  # fmt: skip


async def leave(tx: Transaction, node: str) -> None:
    """Remove it."""
    await tx.run("DELETE FROM nodes WHERE id = ?", node)


async def live(tx: Transaction) -> dict[str, Mapping[str, str]]:
    """Those seen of late, in the order of their ids."""
    rows = await tx.all(
        "SELECT id, settings FROM nodes WHERE seen_at > ? ORDER BY id", tx.ms - _milliseconds(LIFE)
    )
    return {node: _decode(settings) for node, settings in rows}


def _milliseconds(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
