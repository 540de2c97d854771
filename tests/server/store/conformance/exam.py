"""What a case is given: a fresh store, the clock it was opened with, and short words for what cases do often."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from watchword.errors import WatchwordError
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID
from watchword.protocol.revocation_list import Entry
from watchword.server.store.records import (
    Advance,
    Advanced,
    Event,
    NewSession,
    NewUser,
    Opened,
    Origin,
    PresentedRefreshToken,
    Refused,
    SessionRules,
    SigningKey,
    User,
)
from watchword.server.store.store import Store

__all__ = ["CLIENT", "ORIGIN", "RULES", "Case", "Clock", "Exam", "refused", "secret_of"]

CLIENT: Final = FIRST_PARTY_CLIENT_ID
ORIGIN: Final = Origin(actor="usr_examiner", address="192.0.2.1", user_agent="examiner/1")
RULES: Final = SessionRules(
    lifetime=timedelta(days=180),
    idle=timedelta(days=30),
    grace=timedelta(seconds=10),
    maximum_per_user=20,
    access_lifetime=timedelta(minutes=10),
)


@dataclass(slots=True)
class Clock:
    """A clock that moves when told to."""

    at: datetime = datetime(2030, 1, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        """The time."""
        return self.at

    def forward(self, **span: float) -> None:
        """Move on, or back by a negative span."""
        self.at += timedelta(**span)

    @property
    def ms(self) -> int:
        """The time in milliseconds since the epoch."""
        return int(self.at.timestamp() * 1000)


@dataclass(slots=True)
class Exam:
    """One fresh database and the store, or several of them, that stand over it.

    Args:
        stores: one store a node; a back-end that nodes share is examined with two.
        clock: what all of them were opened with.
        rounds: how often each race is run.
        longest_log: the bound of the log they were opened with.
    """

    stores: tuple[Store, ...]
    clock: Clock
    rounds: int = 3
    longest_log: int = 1_000_000
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    @property
    def store(self) -> Store:
        """The store of the first node."""
        return self.stores[0]

    def node(self, number: int) -> Store:
        """The store of any node: races are spread over all of them."""
        return self.stores[number % len(self.stores)]

    def new_user(self, *roles: str, **members: Any) -> NewUser:
        """Somebody about to be added, with these roles beside ``user``."""
        number = next(self._numbers)
        email = members.pop("email", f"user{number}@example.com")
        return NewUser(
            id=members.pop("id", f"usr_{number}"),
            email=email,
            email_key=email.casefold(),
            username_key=members["username"].casefold() if "username" in members else None,
            roles=("user", *roles),
            password_digest=f"digest-{number}",
            **members,
        )

    async def user(self, *roles: str, **members: Any) -> User:
        """Somebody new, with these roles beside ``user``."""
        return await self.store.users.add(self.new_user(*roles, **members), ORIGIN)

    def new_session(self, user: User, **members: Any) -> NewSession:
        """A session of *user* about to open."""
        id_ = f"ses_{next(self._numbers)}"
        asked = NewSession(
            id=id_,
            user_id=user.id,
            client_id=CLIENT,
            version=user.version,
            audience=("api",),
            scope=None,
            amr=("pwd",),
            secret_digest=secret_of(id_),
        )
        return replace(asked, **members)

    async def session(self, user: User, rules: SessionRules = RULES, **members: Any) -> str:
        """Open a session of *user*; its id."""
        opened = await self.store.sessions.open(self.new_session(user, **members), rules, ORIGIN)
        assert isinstance(opened, Opened), opened
        return opened.live.session.id

    async def advance(
        self,
        session_id: str,
        counter: int,
        *,
        node: int = 0,
        client_id: str = CLIENT,
        rules: SessionRules = RULES,
        **members: Any,
    ) -> Advance:
        """Spend the refresh token that bears *counter*."""
        head = await self.store.revocations.head()
        presented = PresentedRefreshToken(
            session_id=session_id,
            epoch=head.epoch,
            counter=counter,
            secret_digest=secret_of(session_id),
            instance=head.instance,
        )
        return await self.node(node).sessions.advance(replace(presented, **members), client_id, rules, ORIGIN)

    async def counter(self, session_id: str, counter: int) -> int:
        """Spend that token, which must succeed; the counter to hand out."""
        advanced = await self.advance(session_id, counter)
        assert isinstance(advanced, Advanced), advanced
        assert advanced.facts.session is not None
        return advanced.facts.session.counter

    async def is_alive(self, session_id: str) -> bool:
        """Whether the session lives."""
        return not isinstance(await self.store.sessions.live(session_id), Refused)

    async def why_dead(self, session_id: str) -> str:
        """Why it does not."""
        refused = await self.store.sessions.live(session_id)
        assert isinstance(refused, Refused), refused
        return refused.reason

    async def entries(self, kind: str | None = None) -> list[Entry]:
        """The log, oldest first."""
        _, entries = await self.store.revocations.since(0)
        return [entry for entry in entries if kind is None or entry.kind == kind]

    async def events(self, type: str | None = None) -> list[Event]:
        """The audit log, newest first."""
        return list((await self.store.events.list(type=type, limit=1000)).items)

    def key(self, kid: str, state: Any = "next", purpose: Any = "token") -> SigningKey:
        """A signing key as the ring would make it."""
        return SigningKey(
            kid=kid,
            purpose=purpose,
            algorithm="ES256",
            state=state,
            public_jwk={"kty": "EC", "kid": kid},
            sealed=b"sealed " + kid.encode(),
            created_at=self.clock.now(),
            active_at=self.clock.now() if state == "active" else None,
            retired_at=None,
            gone_at=None,
        )

    async def ring(self) -> None:
        """An active and a waiting token key: ``k1`` and ``k2``."""
        await self.store.keys.add(self.key("k1", "active"), ORIGIN)
        await self.store.keys.add(self.key("k2"), ORIGIN)


Case = Callable[[Exam], Awaitable[None]]


def secret_of(session_id: str) -> bytes:
    """The digest of the secret that only the session's refresh tokens hold."""
    return hashlib.sha256(session_id.encode()).digest()


async def refused(error: type[WatchwordError], attempt: Awaitable[Any]) -> None:
    """*attempt* must fail in this way."""
    try:
        await attempt
    except error:
        return
    raise AssertionError(f"{error.__name__} was expected")
