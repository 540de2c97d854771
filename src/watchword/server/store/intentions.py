"""The store's protocols over an engine that runs synchronous intentions: which one writes, which only reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar, Unpack

from msgspec import UNSET

from watchword.server.store.past import Past
from watchword.server.store.records import (
    Advance,
    Advanced,
    Api,
    Client,
    Live,
    NewPair,
    NewSession,
    NewUser,
    Opened,
    Origin,
    Page,
    PresentedRefreshToken,
    Refused,
    Role,
    Session,
    SessionKind,
    SessionRules,
    User,
    UserChange,
)
from watchword.server.store.sql import api_keys, apis, basic_pairs, clients, digests, roles, sessions, users
from watchword.server.store.sql.authority import Locks
from watchword.server.store.sql.transaction import Transaction

__all__ = [
    "Engine",
    "Intention",
    "Shortcut",
    "SqlApis",
    "SqlClients",
    "SqlRoles",
    "SqlSessions",
    "SqlUsers",
]

T = TypeVar("T")
Intention = Callable[[Transaction], Coroutine[Any, Any, T]]


class Engine(Protocol):
    """What runs an intention."""

    @property
    def past(self) -> Past:
        """What this process knows of the log, and whether the database contradicts it."""

    async def write(self, intention: Intention[T], origin: Origin | None, **locks: Unpack[Locks]) -> T:
        """In a transaction, durable on return, and only if the caller in *origin* still may (``authorized``).

        It is refused while the database contradicts what is known.
        """

    async def write_anew(self, intention: Intention[T]) -> T:
        """The same for the intention that begins a new epoch because of that."""

    async def read(self, query: Intention[T]) -> T:
        """A look-up by key. What takes several statements may see a later state in the later ones."""

    async def snapshot(self, query: Intention[T]) -> T:
        """A look-up whose statements all see one state."""

    async def scan(self, query: Intention[T]) -> T:
        """The same, a walk through many rows: it must not keep the loop."""

    def watch(self) -> AsyncIterator[None]:
        """After each commit."""


class Shortcut(Protocol):
    """One statement in place of a transaction, where a database has one that decides the same."""

    async def advance(
        self, presented: PresentedRefreshToken, client_id: str, rules: SessionRules, origin: Origin
    ) -> Advanced | None:
        """Move a current counter on. ``None``: nothing was done, and the transaction must tell why."""

    async def open(self, new: NewSession, rules: SessionRules, origin: Origin) -> Opened | None:
        """Open a session that nothing stands in the way of. ``None``: as above."""

    async def live(self, session_id: str) -> Live | Refused:
        """Whether a session lives, and its facts."""


@dataclass(frozen=True, slots=True)
class SqlUsers:
    """People (``store.Users``)."""

    engine: Engine

    async def add(self, user: NewUser, origin: Origin) -> User:
        """Add a user."""
        return await self.engine.write(lambda tx: users.add(tx, user, origin), origin, roles="SHARE")

    async def get(self, user_id: str) -> User | None:
        """By id."""
        return await self.engine.read(lambda tx: users.get(tx, user_id))

    async def find(self, *, email_key: str | None = None, username_key: str | None = None) -> User | None:
        """By e-mail or user name."""
        return await self.engine.read(lambda tx: users.find(tx, email_key, username_key))

    async def list(self, *, q: str = "", cursor: str | None = None, limit: int = 50) -> Page[User]:
        """One page."""
        return await self.engine.scan(lambda tx: users.list_page(tx, q, cursor, limit))

    async def count(self, *, role: str | None = None) -> int:
        """How many."""
        return await self.engine.scan(lambda tx: users.count(tx, role))

    async def other_digests(self, beginning: str, limit: int) -> Sequence[str]:
        """Up to *limit* digests that do not begin so."""
        return await self.engine.scan(lambda tx: digests.other_digests(tx, beginning, limit))

    async def update(self, user_id: str, change: UserChange, origin: Origin) -> User | None:
        """Change."""
        return await self.engine.write(
            lambda tx: users.update(tx, user_id, change, origin),
            origin,
            user_id=user_id,
            roles=None if change.roles is UNSET else "SHARE",
        )

    async def set_password(
        self,
        user_id: str,
        digest: str,
        origin: Origin,
        *,
        expected_version: int | None = None,
        keep_session: str | None = None,
    ) -> User | None:
        """Another password."""
        return await self.engine.write(
            lambda tx: users.set_password(tx, user_id, digest, origin, expected_version, keep_session),
            origin,
            user_id=user_id,
        )

    async def rehash(self, user_id: str, old: str, new: str) -> bool:
        """The same password under better settings."""
        return await self.engine.write(lambda tx: users.rehash(tx, user_id, old, new), None)

    async def ban(
        self, user_id: str, reason: str | None, until: datetime | None, origin: Origin
    ) -> User | None:
        """Ban."""
        return await self.engine.write(
            lambda tx: users.ban(tx, user_id, reason, until, origin), origin, user_id=user_id
        )

    async def unban(self, user_id: str, origin: Origin) -> User | None:
        """Lift a ban."""
        return await self.engine.write(lambda tx: users.unban(tx, user_id, origin), origin, user_id=user_id)

    async def delete(self, user_id: str, origin: Origin) -> bool:
        """Delete."""
        return await self.engine.write(lambda tx: users.delete(tx, user_id, origin), origin, user_id=user_id)

    async def log_out_everywhere(
        self, user_id: str, reason: str, origin: Origin, *, keep_session: str | None = None
    ) -> int:
        """End all sessions."""
        return await self.engine.write(
            lambda tx: users.log_out_everywhere(tx, user_id, reason, origin, keep_session),
            origin,
            user_id=user_id,
        )


@dataclass(slots=True)
class SqlSessions:
    """Log-ins (``store.Sessions``)."""

    engine: Engine
    shortcut: Shortcut | None = None
    """Where the database can decide the usual cases in one statement."""
    _walked: int = field(default=0, repr=False)

    async def open(self, new: NewSession, rules: SessionRules, origin: Origin) -> Opened | Refused:
        """Open."""
        if (pair := new.pair) is not None:
            return await self.engine.write(
                lambda tx: basic_pairs.open_with_pair(tx, new, pair, rules, origin),
                origin,
                user_id=new.user_id,
            )
        if self.shortcut is not None:
            opened = await self.shortcut.open(new, rules, origin)
            if opened is not None:
                return opened
        return await self.engine.write(
            lambda tx: sessions.open_session(tx, new, rules, origin), origin, user_id=new.user_id
        )

    async def advance(
        self, presented: PresentedRefreshToken, client_id: str, rules: SessionRules, origin: Origin
    ) -> Advance:
        """Spend a refresh token."""
        if self.shortcut is not None:
            advanced = await self.shortcut.advance(presented, client_id, rules, origin)
            if advanced is not None:
                return advanced
        return await self.engine.write(
            lambda tx: sessions.advance(tx, presented, client_id, rules, origin),
            origin,
            session_id=presented.session_id,
        )

    async def get(self, session_id: str) -> Session | None:
        """By id."""
        return await self.engine.read(lambda tx: sessions.get(tx, session_id))

    async def live(self, session_id: str) -> Live | Refused:
        """Whether it lives, and its facts."""
        if self.shortcut is not None:
            return await self.shortcut.live(session_id)
        return await self.engine.read(lambda tx: sessions.live(tx, session_id))

    async def give_pair(self, session_id: str, pair: NewPair, origin: Origin) -> Live | Refused:
        """Write down a Basic pair; the one before dies."""
        return await self.engine.write(
            lambda tx: basic_pairs.give_pair(tx, session_id, pair, origin), origin, session_id=session_id
        )

    async def add_key(self, new: NewSession, life: timedelta, maximum: int, origin: Origin) -> Live | Refused:
        """Begin a key."""
        return await self.engine.write(
            lambda tx: api_keys.add(tx, new, life, maximum, origin), origin, user_id=new.user_id
        )

    async def use_key(
        self, session_id: str, secret_digest: bytes | None, life: timedelta, origin: Origin
    ) -> Live | Refused:
        """What a token of a key rests on; most uses only read."""
        found = await self.engine.read(lambda tx: api_keys.look(tx, session_id, secret_digest, life))
        if found is not None:
            return found
        return await self.engine.write(
            lambda tx: api_keys.use(tx, session_id, secret_digest, life, origin),
            origin,
            session_id=session_id,
        )

    async def list(self, user_id: str, kind: SessionKind = "login") -> Sequence[Session]:
        """The living ones of a user."""
        return await self.engine.read(lambda tx: sessions.list_live(tx, user_id, kind))

    async def end(
        self,
        session_id: str,
        reason: str,
        origin: Origin,
        *,
        user_id: str | None = None,
        kind: SessionKind | None = None,
    ) -> Session | None:
        """End one."""
        return await self.engine.write(
            lambda tx: sessions.end(tx, session_id, reason, origin, user_id, kind),
            origin,
            session_id=session_id,
        )

    async def sweep(self, before: datetime, limit: int) -> int:
        """Walk on through the table and delete what is over."""
        deleted, self._walked = await self.engine.write(
            lambda tx: sessions.sweep(tx, before, self._walked, limit), None
        )
        return deleted


@dataclass(frozen=True, slots=True)
class SqlClients:
    """Clients (``store.Clients``)."""

    engine: Engine

    async def get(self, client_id: str) -> Client | None:
        """By id."""
        return await self.engine.read(lambda tx: clients.get(tx, client_id))

    async def disable(self, client_id: str, origin: Origin, *, disabled: bool = True) -> Client | None:
        """Disable or enable."""
        return await self.engine.write(lambda tx: clients.disable(tx, client_id, disabled, origin), origin)


@dataclass(frozen=True, slots=True)
class SqlRoles:
    """Roles (``store.Roles``)."""

    engine: Engine

    async def list(self) -> Sequence[Role]:
        """All."""
        return await self.engine.read(roles.list_all)

    async def get(self, name: str) -> Role | None:
        """By name."""
        return await self.engine.read(lambda tx: roles.get(tx, name))

    async def set(self, name: str, scope: tuple[str, ...], origin: Origin) -> Role:
        """Make or change."""
        return await self.engine.write(
            lambda tx: roles.set_scope(tx, name, scope, origin), origin, roles="UPDATE", alone=True
        )

    async def delete(self, name: str, origin: Origin) -> bool:
        """Delete."""
        return await self.engine.write(
            lambda tx: roles.delete(tx, name, origin), origin, roles="UPDATE", alone=True
        )


@dataclass(frozen=True, slots=True)
class SqlApis:
    """Protected APIs (``store.Apis``)."""

    engine: Engine

    async def list(self) -> Sequence[Api]:
        """All."""
        return await self.engine.read(apis.list_all)

    async def get(self, audience: str) -> Api | None:
        """By audience."""
        return await self.engine.read(lambda tx: apis.get(tx, audience))

    async def add(
        self,
        audience: str,
        scope: tuple[str, ...],
        origin: Origin,
        *,
        built_in: bool = False,
        encryption_jwk: str | None = None,
    ) -> Api:
        """Add."""
        return await self.engine.write(
            lambda tx: apis.add(tx, audience, scope, origin, built_in, encryption_jwk), origin
        )

    async def set_encryption(self, audience: str, encryption_jwk: str | None, origin: Origin) -> Api | None:
        """Set the key that tokens for it alone are encrypted to."""
        return await self.engine.write(
            lambda tx: apis.set_encryption(tx, audience, encryption_jwk, origin), origin
        )

    async def delete(self, audience: str, origin: Origin) -> bool:
        """Delete."""
        return await self.engine.write(lambda tx: apis.delete(tx, audience, origin), origin, alone=True)
