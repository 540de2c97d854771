"""A user's keys, of whatever kind: made by one who has proved himself, traded for short access tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal

from watchword.errors import (
    Conflict,
    InvalidCredentials,
    InvalidGrant,
    InvalidInput,
    InvalidTarget,
    NotFound,
    TooManyRequests,
)
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID
from watchword.protocol.scope import parse_scope
from watchword.server.accounts.address import normalise_name
from watchword.server.ephemeral.counters import Turnstile
from watchword.server.ephemeral.networks import network_of
from watchword.server.policies import ApiKeyPolicy
from watchword.server.store.intentions.events import Events
from watchword.server.store.intentions.sessions import Sessions
from watchword.server.store.records import NewSession, Origin, Refused, Session, User
from watchword.server.tokens.issuance import AccessTokenSet, Issuance
from watchword.server.tokens.target import Targets

__all__ = ["REFUSED", "KeyKind", "KeyTerms", "UserKeys"]

REFUSED: Final = "the key is unknown, expired or revoked"

KeyKind = Literal["api_key", "signing_key"]

_NAMES: Final[dict[KeyKind, str]] = {"api_key": "API key", "signing_key": "signing key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTerms:
    """What a key is for and how far it goes.

    Attributes:
        name: what its user knows it by.
        version: the user version under which his proof was read.
        audience: the API; the default one unless said, never this server itself.
        scope: what it may do there at most; all that its user's roles carry, unless said.
        lifetime: how long it lives.
        parent: the session in which it is asked for.
    """

    name: str
    version: int
    audience: str | None = None
    scope: str | None = None
    lifetime: timedelta | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class UserKeys:
    """Begins, lists, ends and trades keys. A key is a session of its own kind: what ends sessions ends it."""

    sessions: Sessions
    targets: Targets
    events: Events
    issuance: Issuance
    policy: ApiKeyPolicy
    failures: Turnstile
    trades: Turnstile

    async def begin(
        self,
        user: User,
        terms: KeyTerms,
        *,
        kind: KeyKind,
        session_id: str,
        secret_digest: bytes,
        public_key: str | None = None,
        origin: Origin,
    ) -> Session:
        """Begin the session that a key of *user* is.

        Raises:
            InvalidInput: name or lifetime is not valid.
            InvalidScope, InvalidTarget: scope or audience is unknown or beyond the user's roles.
            Conflict: he has as many as he may.
            InvalidCredentials: what he proved holds no longer.
        """
        life = self.policy.lifetime if terms.lifetime is None else terms.lifetime
        if life > self.policy.longest:
            most = int(self.policy.longest.total_seconds())
            raise InvalidInput(errors=[("expires_in", f"must be at most {most}")])
        aud = self.targets.policy.audience if terms.audience is None else terms.audience
        if aud == self.targets.policy.issuer:
            # What a leaked key opens must not make the next one.
            raise InvalidTarget("a key is for APIs, not for this server itself")
        await self.targets.require(aud)
        asked = parse_scope(terms.scope) if terms.scope is not None else None
        if asked is not None:
            await self.targets.check_scope(user, (aud,), asked)
        new = NewSession(
            id=session_id,
            user_id=user.id,
            client_id=FIRST_PARTY_CLIENT_ID,
            version=terms.version,
            audience=(aud,),
            scope=asked,
            amr=(kind,),
            secret_digest=secret_digest,
            apis=(aud,),
            device=normalise_name(terms.name),
            kind=kind,
            parent=terms.parent,
            public_key=public_key,
        )
        match await self.sessions.add_key(new, life, self.policy.maximum_per_user, origin):
            case Refused(reason="too_many"):
                raise Conflict(f"a user may have {self.policy.maximum_per_user} such keys; revoke one first")
            case Refused(reason="api_deleted"):
                raise InvalidTarget("no such audience")
            case Refused():
                raise InvalidCredentials("log in again")
            case live:
                return live.session

    async def list(self, user_id: str, kind: KeyKind) -> Sequence[Session]:
        """The living keys of a user and of one kind, most recently used first."""
        return await self.sessions.list(user_id, kind)

    async def revoke(
        self, key_id: str, kind: KeyKind, reason: str, origin: Origin, user_id: str | None = None
    ) -> None:
        """End one key, of *user_id* when given; its access tokens die at once.

        Raises:
            NotFound: there is no such living key, or it is somebody else's.
        """
        if await self.sessions.end(key_id, reason, origin, user_id=user_id, kind=kind) is None:
            raise NotFound(f"there is no such {_NAMES[kind]}")

    async def trade(
        self,
        session_id: str,
        secret_digest: bytes | None,
        *,
        audience: str | None,
        scope: str | None,
        origin: Origin,
    ) -> AccessTokenSet:
        """Trade the key that a session is for a short access token; without a secret, a signing key.

        Only keys that nobody was given are counted, and no other is refused for them: an API to which strangers
        send made-up keys trades the keys of its callers from the same address.

        Raises:
            InvalidGrant: the key is unknown, expired, revoked, or its user may not come in.
            InvalidTarget: it is for another API.
            InvalidScope: *scope* goes beyond its own.
            TooManyRequests: nobody was given it, nor many others from this address.
        """
        asked = parse_scope(scope) if scope is not None else None
        life = self.issuance.claims.policy.lifetime
        live = await self.sessions.use_key(session_id, secret_digest, life, origin)
        if isinstance(live, Refused):
            if live.reason == "unknown":
                await self.failures.enter(network_of(origin.address))
            else:
                await self._record(session_id, live, origin)
            raise InvalidGrant(REFUSED)
        if audience is not None and audience not in live.session.audience:
            raise InvalidTarget("the key is for another audience")
        # A signing key's name is no secret: whoever knows it may use up what there is from his own network only.
        await self.trades.enter(f"{session_id} {network_of(origin.address)}")
        return await self.issuance.access_token(live.facts, scope=asked)

    async def _record(self, session_id: str, refusal: Refused, origin: Origin) -> None:
        """Write down that somebody still uses a key that is over, and not without end."""
        session = await self.sessions.get(session_id)
        if session is None:
            return
        try:
            await self.failures.enter(f"user {session.user_id}")
        except TooManyRequests:
            return
        said: dict[str, Any] = {
            "user_id": session.user_id,
            "session_id": session.id,
            "detail": {"reason": refusal.reason},
        }
        if session.kind == "signing_key":
            await self.events.add("signing_key.refused", origin, **said)
        else:
            await self.events.add("api_key.refused", origin, **said)
