"""The store's protocols of what a link opens once: the set-up, another password, a new address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from watchword.server.store.intentions import Engine
from watchword.server.store.records import LinkLimit, NewUser, Origin, User
from watchword.server.store.sql import email_changes, one_time, password_resets

__all__ = ["SqlEmailChanges", "SqlOneTime", "SqlPasswordResets"]


@dataclass(frozen=True, slots=True)
class SqlOneTime:
    """Once-only things (``store.OneTime``)."""

    engine: Engine

    async def add(self, digest: bytes, purpose: str, subject: str | None, expires_at: datetime) -> None:
        """Keep."""
        await self.engine.write(lambda tx: one_time.add(tx, digest, purpose, subject, expires_at), None)

    async def get(self, digest: bytes, purpose: str) -> bool:
        """Whether it could be spent."""
        return await self.engine.read(lambda tx: one_time.get(tx, digest, purpose))

    async def spend(self, digest: bytes, purpose: str, user: NewUser, origin: Origin) -> User | None:
        """Spend for an account."""
        return await self.engine.write(lambda tx: one_time.spend(tx, digest, purpose, user, origin), origin)


@dataclass(frozen=True, slots=True)
class SqlPasswordResets:
    """Links to choose another password by (``store.PasswordResets``)."""

    engine: Engine

    async def offer(
        self,
        email_key: str,
        digest: bytes,
        life: timedelta,
        limit: LinkLimit,
        origin: Origin,
        omitted: int | None = 0,
    ) -> User | None:
        """Keep one for an address."""
        return await self.engine.write(
            lambda tx: password_resets.offer(tx, email_key, digest, life, limit, origin, omitted), origin
        )

    async def grant(self, user_id: str, digest: bytes, life: timedelta, origin: Origin) -> User | None:
        """Keep one for a user."""
        return await self.engine.write(
            lambda tx: password_resets.grant(tx, user_id, digest, life, origin), origin, user_id=user_id
        )

    async def owner(self, digest: bytes) -> User | None:
        """Whose it is."""
        return await self.engine.read(lambda tx: password_resets.owner(tx, digest))

    async def complete(self, digest: bytes, password_digest: str, origin: Origin) -> User | None:
        """Spend it."""
        return await self.engine.write(
            lambda tx: password_resets.complete(tx, digest, password_digest, origin), origin
        )

    async def sweep(self, limit: int) -> int:
        """Delete what is over."""
        return await self.engine.write(lambda tx: password_resets.sweep(tx, limit), None)


@dataclass(frozen=True, slots=True)
class SqlEmailChanges:
    """Addresses that wait for their confirmation (``store.EmailChanges``)."""

    engine: Engine

    async def offer(
        self,
        user_id: str,
        email: tuple[str, str],
        digest: bytes,
        life: timedelta,
        limit: LinkLimit,
        origin: Origin,
    ) -> User | None:
        """Keep one."""
        return await self.engine.write(
            lambda tx: email_changes.offer(tx, user_id, email, digest, life, limit, origin),
            origin,
            user_id=user_id,
        )

    async def wanted(self, email_key: str, user_id: str, limit: int) -> bool:
        """Whether a link may be sent."""
        return await self.engine.read(lambda tx: email_changes.wanted(tx, email_key, user_id, limit))

    async def pending(self, digest: bytes) -> str | None:
        """To which address."""
        found = await self.engine.read(lambda tx: email_changes.owner(tx, digest))
        return None if found is None else found[1]

    async def complete(self, digest: bytes, origin: Origin) -> User | None:
        """Spend it."""
        return await self.engine.write(lambda tx: email_changes.complete(tx, digest, origin), origin)

    async def sweep(self, limit: int) -> int:
        """Delete what is over."""
        return await self.engine.write(lambda tx: email_changes.sweep(tx, limit), None)
