"""Who calls one of the server's own endpoints: the token's word, and then what the store says now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from watchword.errors import InsufficientScope, InvalidToken, TemporarilyUnavailable
from watchword.protocol.access_token import ADMIN, AccessToken
from watchword.protocol.challenge import parse_authorization
from watchword.server.feed.feed import RevocationFeed
from watchword.server.keys.ring import KeyRing
from watchword.server.policies import AccessTokenPolicy
from watchword.server.store.intentions.sessions import Sessions
from watchword.server.store.records import Authority, Live, Refused, Session, User
from watchword.server.tokens.verified import VerifiedTokens

__all__ = ["Caller", "Introspection"]

Door = Literal["first-party", "admin"]

_REVOKED: Final = "the token has been revoked"


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller whose token verified and whose session lives."""

    token: AccessToken
    live: Live
    by_cookie: bool = False
    """Whether a browser sent it by itself: who acts may be a script in the page, which has never seen the token."""
    role: str | None = None
    """The role that the route requires."""
    proven: int | None = None
    """The user version under which the password was confirmed in this request, if it was."""

    @property
    def user(self) -> User:
        """The user, as he stands in the store now."""
        return self.live.user

    @property
    def session(self) -> Session:
        """The session the token belongs to."""
        return self.live.session

    @property
    def authority(self) -> Authority:
        """What a write for this caller is checked against."""
        token = self.token
        return Authority(
            user_id=self.live.user.id,
            session_id=self.live.session.id,
            jti=token.jti,
            kid=token.kid,
            exp=token.exp,
            uv=token.uv,
            cv=token.cv,
            role=self.role,
            proven=self.proven,
        )


@dataclass(frozen=True, slots=True)
class Introspection:
    """Authenticates callers of the server itself; here a refusal is immediate, not fed."""

    ring: KeyRing
    sessions: Sessions
    feed: RevocationFeed
    policy: AccessTokenPolicy
    now: Callable[[], datetime]
    verified: VerifiedTokens = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "verified", VerifiedTokens(self.policy.issuer))

    async def authenticate(
        self, authorization: Sequence[str | bytes], *, audience: Door, by_cookie: bool = False
    ) -> Caller:
        """Verify the bearer token of a request and read what it rests on.

        Args:
            authorization: every ``Authorization`` value of the request.
            audience: ``first-party``: the token's ``aud`` holds the issuer; ``admin``: it *is* the
                issuer alone, and the user has the role ``admin`` now. A token that some API has
                seen cannot administer the server.
            by_cookie: whether it stands for a cookie.

        Raises:
            MissingCredentials, InvalidRequest: there are no credentials, or there are two.
            InvalidToken: it is forged, expired, revoked, or of an ended session.
            InsufficientScope: it is good and does not open this door.
            TemporarilyUnavailable: nothing recent can be read of what was revoked.
        """
        # Keys, and tokens revoked by their ``jti``, are known from the log; both may have ended since it was read.
        await self.feed.ensure_recent()
        caller = await self._authenticate(authorization, audience, by_cookie)
        if not self.feed.is_recent:
            # This process was stopped while it read the session, so that the answer may be as old.
            await self.feed.ensure_recent()
            caller = await self._authenticate(authorization, audience, by_cookie)
            if not self.feed.is_recent:
                raise TemporarilyUnavailable("the database answers too slowly")
        return caller

    async def _authenticate(
        self, authorization: Sequence[str | bytes], audience: Door, by_cookie: bool
    ) -> Caller:
        credentials = parse_authorization(authorization)
        if credentials.scheme != "bearer":
            raise InvalidToken("a bearer token is required")
        token = self._verify(credentials.token)
        if token.user_name is not None:
            # Here tokens and pairs are made, and nothing is made out of a pair.
            raise InvalidToken("a temporary Basic pair is for APIs")
        if token.sid is None or self.feed.is_token_revoked(token.jti):
            raise InvalidToken(_REVOKED)
        live = await self.sessions.live(token.sid)
        if isinstance(live, Refused) or live.user.id != token.sub:
            raise InvalidToken(_REVOKED)
        if token.cv < live.client.floor or token.uv < live.base:
            raise InvalidToken(_REVOKED)
        if live.session.kind != "login":
            raise InvalidToken("a key is for APIs")
        if audience == "admin":
            if token.aud != (self.policy.issuer,):
                raise InsufficientScope("this needs a token for the issuer alone")
            # A token narrowed by scope was made to do less than its user may.
            if ADMIN not in live.user.roles or token.claims.get("narrowed"):
                raise InsufficientScope("this needs the role admin")
        return Caller(token, live, by_cookie, ADMIN if audience == "admin" else None)

    def session_id(self, token: str) -> str | None:
        """The session of an access token that verifies, whatever became of it; ``None`` for every other text."""
        try:
            return self._verify(token).sid
        except InvalidToken:
            return None

    def _verify(self, token: str | bytes) -> AccessToken:
        return self.verified.verify(token, self.ring.keyset, self.now().timestamp())
