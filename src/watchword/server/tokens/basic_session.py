"""Temporary Basic pairs: a user name and, as its password, a short access token of the same session (RFC 7617)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from watchword.errors import InvalidToken, TooManyRequests
from watchword.jose.encoding import encode_base64url
from watchword.protocol.basic import BASIC_USERNAME, format_basic
from watchword.server.store.intentions.sessions import Sessions
from watchword.server.store.records import Live, NewPair, Origin, Refused, User
from watchword.server.tokens.issuance import Issuance

__all__ = ["BasicPair", "BasicSessionService"]

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_NAME: Final = 32


class BasicPair(msgspec.Struct, frozen=True, kw_only=True):
    """A temporary user name and password, and the two as a header field has them."""

    username: str
    password: str
    expires_in: int
    authorization: str

    def __repr__(self) -> str:
        return f"BasicPair(username={self.username!r})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class BasicSessionService:
    """Gives pairs. A pair is a child of its session: it can do no more and lives no longer, and nothing comes of it."""

    sessions: Sessions
    issuance: Issuance
    now: Callable[[], datetime]
    token_bytes: Callable[[int], bytes] = field(repr=False)

    def new(self, until: int | None = None) -> NewPair:
        """A pair that is about to be given, and ends at *until* at the latest."""
        jti = encode_base64url(self.token_bytes(16))
        life = self.issuance.claims.policy.basic_lifetime
        if until is not None:
            life = min(life, timedelta(seconds=until - int(self.now().timestamp())))
        return NewPair(jti=jti, life=life)

    async def give(
        self,
        session_id: str,
        origin: Origin,
        *,
        scope: tuple[str, ...] | None = None,
        until: int | None = None,
    ) -> BasicPair:
        """A new pair for a session; the one that it had dies.

        Args:
            session_id: whose.
            origin: who asks.
            scope: the scope of the token that asked, when that was narrowed.
            until: the ``exp`` of that token, which the pair does not outlive.

        Raises:
            InvalidToken: the session or the token has ended.
            TooManyRequests: it was given too many in a short time; the newest is good.
        """
        pair = self.new(until)
        live = await self.sessions.give_pair(session_id, pair, origin)
        if isinstance(live, Refused):
            if live.reason == "crowded":
                raise TooManyRequests(
                    "use the pair that was given", retry_after=int(pair.life.total_seconds())
                )
            raise InvalidToken("the token has been revoked")
        return await self.write(live, pair, scope=scope)

    async def write(self, live: Live, pair: NewPair, *, scope: tuple[str, ...] | None = None) -> BasicPair:
        """A pair that the session behind *live* was given just now, as its client shows it."""
        facts = live.facts
        granted = self.issuance.claims.scope(facts)
        if scope is not None:
            granted = tuple(word for word in granted if word in scope)
        username = self._username(live.user)
        claims = self.issuance.claims.access_token(
            facts,
            jti=pair.jti,
            now_ms=self.issuance.time_ms(facts),
            scope=granted,
            narrowed=scope is not None,
            lifetime=pair.life,
        )
        claims["exp"] = min(claims["exp"], int(live.session.idle_expires_at.timestamp()))
        claims[BASIC_USERNAME] = username
        password = await self.issuance.sign(claims, facts)
        return BasicPair(
            username=username,
            password=password,
            expires_in=claims["exp"] - claims["iat"],
            authorization=f"Basic {format_basic(username, password)}",
        )

    def _username(self, user: User) -> str:
        # A colon would end it (RFC 7617 2); and it is for logs and screens, so it says whose it is.
        name = _UNSAFE.sub("", user.username or "")[:_LONGEST_NAME] or "user"
        return f"{name}session{int.from_bytes(self.token_bytes(3), 'big') % 1_000_000}"
