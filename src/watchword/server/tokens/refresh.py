"""Refreshing: a spent token, its successor, and what a replay costs (RFC 6749 6, RFC 9700 4.14.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hmac import compare_digest

from watchword.errors import InvalidGrant, InvalidScope
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID
from watchword.protocol.scope import parse_scope
from watchword.server.policies import SessionPolicy
from watchword.server.store.records import Advanced, Live, Origin, Refused, Replayed
from watchword.server.store.store import Sessions
from watchword.server.tokens.issuance import Issuance, TokenSet
from watchword.server.tokens.refresh_token import RefreshToken, RefreshTokenCodec
from watchword.server.tokens.revocation import RevocationFeed

__all__ = ["RefreshTokenService"]


@dataclass(frozen=True, slots=True)
class RefreshTokenService:
    """Trades refresh tokens for token sets."""

    sessions: Sessions
    issuance: Issuance
    codec: RefreshTokenCodec
    policy: SessionPolicy
    feed: RevocationFeed

    async def rotate(
        self,
        refresh_token: str,
        *,
        scope: str | None = None,
        client_id: str = FIRST_PARTY_CLIENT_ID,
        origin: Origin,
    ) -> TokenSet:
        """Spend one refresh token and return a token set with its successor.

        Scope is checked before anything is spent: a request that must fail leaves the token whole.

        Raises:
            InvalidGrant: the token is unknown, expired, replayed, revoked or another client's.
            InvalidScope: *scope* goes beyond what the session may have.
        """
        presented = self.codec.parse(refresh_token)
        asked = parse_scope(scope) if scope is not None else None
        if asked is not None:
            live = await self.sessions.live(presented.session_id)
            if isinstance(live, Refused):
                raise InvalidGrant("the refresh token is expired or revoked")
            try:
                self.issuance.claims.scope(live, asked)
            except InvalidScope:
                if presented.counter != live.session.counter:
                    # A spent token moves nothing on, and a replay is one whatever else it asks for.
                    await self._advance(presented, client_id, origin)
                raise
        live = await self._advance(presented, client_id, origin)
        return await self.issuance.token_set(live, presented.secret, scope=asked)

    async def _advance(self, presented: RefreshToken, client_id: str, origin: Origin) -> Live:
        rules = self.policy.rules(self.issuance.claims.policy.lifetime)
        match await self.sessions.advance(presented.presented(), client_id, rules, origin):
            case Advanced(live=live):
                return live
            case Replayed(reason=reason):
                # Of another instance it proves nothing about this one, though sessions may be kept over a restore.
                if reason == "store_rolled_back" and presented.instance == self.feed.instance:
                    await self.feed.went_back(presented.epoch)
                raise InvalidGrant("the refresh token was already used; its session has been ended")
            case _:
                raise InvalidGrant("the refresh token is expired or revoked")

    async def give_up(self, refresh_token: str, origin: Origin) -> tuple[str, str | None]:
        """Spend a refresh token for nothing: its session, and the user it could still speak for.

        That is none where it is spent past the grace, which is a replay here too, or its session is over.

        Raises:
            InvalidGrant: it is no refresh token of ours.
        """
        presented = self.codec.parse(refresh_token)
        with suppress(InvalidGrant):
            live = await self._advance(presented, FIRST_PARTY_CLIENT_ID, origin)
            return presented.session_id, live.user.id
        return presented.session_id, None

    def binder(self, refresh_token: str) -> str:
        """The text that a browser shows beside *refresh_token*, one of ours, when it comes in a cookie."""
        return self.codec.binders(self.codec.parse(refresh_token))[0]

    def bound(self, refresh_tokens: Iterable[str], binders: Sequence[str]) -> str | None:
        """The newest of *refresh_tokens* that one of *binders* belongs to."""
        found: tuple[tuple[int, int], str] | None = None
        for text in refresh_tokens:
            with suppress(InvalidGrant):
                token = self.codec.parse(text)
                own = self.codec.binders(token)
                place = (token.epoch, token.counter)
                if (found is None or place > found[0]) and any(
                    compare_digest(one.encode(), given.encode()) for one in own for given in binders
                ):
                    found = place, text
        return found[1] if found else None

    def session_id(self, refresh_token: str) -> str | None:
        """The session of a refresh token whose MAC holds."""
        with suppress(InvalidGrant):
            return self.codec.parse(refresh_token).session_id
        return None
