"""What a database says of itself: small facts, and the nodes that serve from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from watchword.server.store.intentions import Engine
from watchword.server.store.sql import meta, nodes

__all__ = ["Meta", "SqlMeta"]


class Meta(Protocol):
    """Small facts of the installation, by name, and who serves it."""

    async def get(self, name: str) -> str | None:
        """The value of this name."""

    async def put_new(self, name: str, value: str) -> str:
        """Write *value* unless there is one; the value that stands."""

    async def announce(self, node: str, settings: dict[str, str]) -> None:
        """Say that *node* serves from this database, with these settings. It counts as live for a minute."""

    async def leave(self, node: str) -> None:
        """Say that it does so no longer."""

    async def nodes(self) -> Mapping[str, Mapping[str, str]]:
        """The live nodes by their ids, each with its settings; earlier versions are not among them."""


@dataclass(frozen=True, slots=True)
class SqlMeta:
    """Facts of the installation (``Meta``)."""

    engine: Engine

    async def get(self, name: str) -> str | None:
        """By name."""
        row = await self.engine.read(lambda tx: tx.one("SELECT value FROM meta WHERE name = ?", name))
        return None if row is None else str(row[0])

    async def put_new(self, name: str, value: str) -> str:
        """Write unless there."""
        return await self.engine.write(lambda tx: meta.put_new(tx, name, value), None)

    async def announce(self, node: str, settings: dict[str, str]) -> None:
        """Add or renew."""
        await self.engine.write(lambda tx: nodes.announce(tx, node, settings), None)

    async def leave(self, node: str) -> None:
        """Remove."""
        await self.engine.write(lambda tx: nodes.leave(tx, node), None)

    async def nodes(self) -> Mapping[str, Mapping[str, str]]:
        """Those seen of late."""
        return await self.engine.read(nodes.live)
