"""API keys: made by a user who has just proved himself, traded by programs for short access tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

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
from watchword.protocol.api_key import SECRET_SIZE, ApiKey, parse_api_key
from watchword.protocol.scope import parse_scope
from watchword.server.accounts.address import normalise_name
from watchword.server.ephemeral.counters import Turnstile
from watchword.server.ephemeral.networks import network_of
from watchword.server.login.target import Targets
from watchword.server.policies import ApiKeyPolicy
from watchword.server.store.records import NewSession, Origin, Refused, Session, User
from watchword.server.store.store import Events, Sessions
from watchword.server.tokens.issuance import AccessTokenSet, Issuance

__all__ = ["ApiKeyService", "KeyKind", "NewKey"]

_REFUSED = "the key is unknown, expired or revoked"

KeyKind = Literal["api_key", "signing_key"]


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: what it is, and its text, which nobody can show again."""

    session: Session
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiKeyService:
    """Makes, lists, ends and exchanges API keys. A key is a session of its own kind: what ends sessions ends it."""

    sessions: Sessions
    targets: Targets
    events: Events
    issuance: Issuance
    policy: ApiKeyPolicy
    failures: Turnstile
    token_bytes: Callable[[int], bytes] = field(repr=False)

    async def create(
        self,
        user: User,
        name: str,
        *,
        version: int,
        audience: str | None = None,
        scope: str | None = None,
        lifetime: timedelta | None = None,
        parent: str | None = None,
        origin: Origin,
    ) -> NewKey:
        """Make a key of *user*, who proved himself at *version*, for one API.

        It is never for this server itself: what a leaked key opens must not make the next one.

        Args:
            user: whose.
            name: what he knows it by.
            version: the user version under which his proof was read.
            audience: the API; the default one unless said.
            scope: what it may do there at most; all that his roles carry, unless said.
            lifetime: how long it lives.
            parent: the session in which it is asked for.
            origin: who asks.

        Raises:
            InvalidInput: name or lifetime is not valid.
            InvalidScope, InvalidTarget: scope or audience is unknown or beyond the user's roles.
            Conflict: he has as many as he may.
            InvalidCredentials: what he proved holds no longer.
        """
        key = ApiKey(self.token_bytes(16), self.token_bytes(SECRET_SIZE))
        session = await self.begin(
            user,
            name,
            kind="api_key",
            session_id=key.session_id,
            secret_digest=key.secret_digest,
            version=version,
            audience=audience,
            scope=scope,
            lifetime=lifetime,
            parent=parent,
            origin=origin,
        )
        return NewKey(session, key.text())

    async def begin(
        self,
        user: User,
        name: str,
        *,
        kind: KeyKind,
        session_id: str,
        secret_digest: bytes,
        public_key: str | None = None,
        version: int,
        audience: str | None,
        scope: str | None,
        lifetime: timedelta | None,
        parent: str | None,
        origin: Origin,
    ) -> Session:
        """Begin the session that a key of any kind is; the arguments are those of ``create``.

        Raises:
            InvalidInput, InvalidScope, InvalidTarget, Conflict, InvalidCredentials: as ``create``.
        """
        life = self.policy.lifetime if lifetime is None else lifetime
        if life > self.policy.longest:
            most = int(self.policy.longest.total_seconds())
            raise InvalidInput(errors=[("expires_in", f"must be at most {most}")])
        aud = self.targets.policy.audience if audience is None else audience
        if aud == self.targets.policy.issuer:
            raise InvalidTarget("a key is for APIs, not for this server itself")
        await self.targets.require(aud)
        asked = parse_scope(scope) if scope is not None else None
        if asked is not None:
            await self.targets.check_scope(user, (aud,), asked)
        new = NewSession(
            id=session_id,
            user_id=user.id,
            client_id=FIRST_PARTY_CLIENT_ID,
            version=version,
            audience=(aud,),
            scope=asked,
            amr=(kind,),
            secret_digest=secret_digest,
            apis=(aud,),
            device=normalise_name(name),
            kind=kind,
            parent=parent,
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

    async def list(self, user_id: str) -> Sequence[Session]:
        """The living keys of a user, most recently used first."""
        return await self.sessions.list(user_id, "api_key")

    async def revoke(self, key_id: str, reason: str, origin: Origin, user_id: str | None = None) -> None:
        """End one key, of *user_id* when given; its access tokens die at once.

        Raises:
            NotFound: there is no such living key, or it is somebody else's.
        """
        if await self.sessions.end(key_id, reason, origin, user_id=user_id, kind="api_key") is None:
            raise NotFound("there is no such API key")

    async def exchange(
        self, text: str, *, audience: str | None = None, scope: str | None = None, origin: Origin
    ) -> AccessTokenSet:
        """Trade a key for a short access token; there is no refresh token, the key itself is asked with again.

        Only keys that nobody was given are counted, and no other is refused for them: an API to which strangers
        send made-up keys trades the keys of its callers from the same address.

        Raises:
            InvalidGrant: the key is unknown, expired, revoked, or its user may not come in.
            InvalidTarget: it is for another API.
            InvalidScope: *scope* goes beyond its own.
            TooManyRequests: nobody was given it, nor many others from this address.
        """
        try:
            key = parse_api_key(text)
        except InvalidGrant:
            raise InvalidGrant(_REFUSED) from None
        return await self.trade(
            key.session_id, key.secret_digest, audience=audience, scope=scope, origin=origin
        )

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

        Raises:
            InvalidGrant, InvalidTarget, InvalidScope, TooManyRequests: as ``exchange``.
        """
        asked = parse_scope(scope) if scope is not None else None
        life = self.issuance.claims.policy.lifetime
        live = await self.sessions.use_key(session_id, secret_digest, life, origin)
        if isinstance(live, Refused):
            if live.reason == "unknown":
                await self.failures.enter(network_of(origin.address))
            else:
                await self._record(session_id, live, origin)
            raise InvalidGrant(_REFUSED)
        if audience is not None and audience not in live.session.audience:
            raise InvalidTarget("the key is for another audience")
        return await self.issuance.access_token(live, scope=asked)

    async def _record(self, session_id: str, refusal: Refused, origin: Origin) -> None:
        """Write down that somebody still uses a key that is over, and not without end."""
        session = await self.sessions.get(session_id)
        if session is None:
            return
        try:
            await self.failures.enter(session.id)
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
