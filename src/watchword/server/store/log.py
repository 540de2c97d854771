"""The store's protocols of what is kept in order: signing keys, the audit log, the log of what died."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from watchword.protocol.revocation_list import Entry
from watchword.server.store.intentions import Engine
from watchword.server.store.position import Head, LogPage, Position
from watchword.server.store.records import Event, Origin, Page, SigningKey
from watchword.server.store.sql import events, keys, revocations

__all__ = ["SqlEvents", "SqlKeys", "SqlRevocations"]

_FEW: Final = 256
"""Entries that may be read on the loop."""


@dataclass(frozen=True, slots=True)
class SqlKeys:
    """Signing keys (``store.Keys``)."""

    engine: Engine

    async def list(self) -> Sequence[SigningKey]:
        """All that are not gone."""
        return await self.engine.read(keys.list_all)

    async def add(self, key: SigningKey, origin: Origin) -> None:
        """Add."""
        await self.engine.write(lambda tx: keys.add(tx, key, origin), origin)

    async def schedule(self, kid: str, active_at: datetime, origin: Origin) -> SigningKey | None:
        """Say when."""
        return await self.engine.write(lambda tx: keys.schedule(tx, kid, active_at, origin), origin)

    async def activate(self, kid: str, successor: SigningKey, origin: Origin) -> bool:
        """Take over."""
        return await self.engine.write(lambda tx: keys.activate(tx, kid, successor, origin), origin)

    async def replace_waiting(self, kid: str, successor: SigningKey, origin: Origin) -> bool:
        """Another one waits."""
        return await self.engine.write(lambda tx: keys.replace_waiting(tx, kid, successor, origin), origin)

    async def compromise(self, kid: str, successor: SigningKey, origin: Origin) -> SigningKey | None:
        """Kill."""
        return await self.engine.write(
            lambda tx: keys.compromise(tx, kid, successor, origin), origin, alone=True
        )

    async def sweep(self, kids: Sequence[str]) -> int:
        """Forget what is over."""
        return await self.engine.write(lambda tx: keys.sweep(tx, kids), None)


@dataclass(frozen=True, slots=True)
class SqlEvents:
    """The audit log (``store.Events``)."""

    engine: Engine

    async def add(
        self,
        type: str,
        origin: Origin,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        client_id: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Write one."""
        await self.engine.write(
            lambda tx: tx.record(
                type, origin, user_id=user_id, session_id=session_id, client_id=client_id, detail=detail
            ),
            None,  # what happened is written down, whether or not who did it still may do anything
        )

    async def list(
        self,
        *,
        type: str | None = None,
        user_id: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Event]:
        """One page, newest first."""
        return await self.engine.scan(lambda tx: events.list_page(tx, type, user_id, cursor, limit))

    async def sweep(self, before: datetime, limit: int) -> int:
        """Delete old ones."""
        return await self.engine.write(lambda tx: events.sweep(tx, before, limit), None)


@dataclass(frozen=True, slots=True)
class SqlRevocations:
    """The log of what died (``store.Revocations``)."""

    engine: Engine

    async def head(self) -> Head:
        """Where the log stands."""
        return await self.engine.snapshot(revocations.head)

    async def since(self, after: int, limit: int = 100_000) -> tuple[Head, Sequence[Entry]]:
        """What came after."""
        page = await self.read(after, limit)
        return page.head, page.entries

    async def read(self, after: int, limit: int = 100_000, known: Position | None = None) -> LogPage:
        """The same with marks, and whether *known* is of this log."""
        behind = (await self.engine.read(revocations.head)).sequence - after
        if behind <= _FEW:
            return await self.engine.snapshot(lambda tx: revocations.read(tx, after, limit, known))
        return await self.engine.scan(lambda tx: revocations.read(tx, after, limit, known))

    async def mark_at(self, sequence: int) -> int | None:
        """The mark of a sequence."""
        return await self.engine.read(lambda tx: revocations.mark_at(tx, sequence))

    @property
    def contradicted(self) -> Position | None:
        """What was seen here and isn't in the database any more."""
        return self.engine.past.contradicted

    def believe(self, head: Head) -> None:
        """Take *head* for what the next connection must agree with."""
        self.engine.past.believe(head.position)

    async def name_issuer(self, issuer: str) -> None:
        """Write down whose database it is."""
        await self.engine.write(lambda tx: revocations.name_issuer(tx, issuer), None)

    async def revoke_token(
        self, jti: str, session_id: str | None, expires_at: datetime, origin: Origin
    ) -> None:
        """Kill one token."""
        await self.engine.write(
            lambda tx: revocations.revoke_token(tx, jti, session_id, expires_at, origin),
            origin,
            session_id=session_id,
        )

    async def brake(self, origin: Origin) -> None:
        """Kill all tokens."""
        await self.engine.write(lambda tx: revocations.brake(tx, origin), origin, alone=True)

    async def open_epoch(
        self,
        seen: tuple[int, ...],
        keys: Sequence[SigningKey],
        origin: Origin,
        *,
        keep_sessions: bool = False,
        restored: bool = False,
    ) -> bool:
        """Begin anew."""
        return await self.engine.write_anew(
            lambda tx: revocations.open_epoch(tx, Position(*seen), keys, origin, keep_sessions, restored)
        )

    async def set_longest_life(self, life: timedelta) -> None:
        """Up at once, down later."""
        await self.engine.write(lambda tx: revocations.set_longest_life(tx, life), None)

    def watch(self) -> AsyncIterator[None]:
        """After each commit."""
        return self.engine.watch()

    async def sweep(self, limit: int, through: int | None = None) -> int:
        """Delete what is over."""
        return await self.engine.write(lambda tx: revocations.sweep(tx, limit, through), None)
