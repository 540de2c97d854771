"""Refreshing: a spent token, its successor, and what a replay costs (RFC 6749 6, RFC 9700 4.14.2)."""

from __future__ import annotations

from dataclasses import dataclass

from watchword.errors import InvalidGrant
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID
from watchword.protocol.scope import parse_scope
from watchword.server.policies import SessionPolicy
from watchword.server.store.records import Advanced, Origin, Refused, Replayed
from watchword.server.store.store import Sessions
from watchword.server.tokens.issuance import Issuance, TokenSet
from watchword.server.tokens.refresh_token import RefreshTokenCodec
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
            self.issuance.claims.scope(live, asked)
        rules = self.policy.rules(self.issuance.claims.policy.lifetime)
        match await self.sessions.advance(presented.presented(), client_id, rules, origin):
            case Advanced(live=live):
                return await self.issuance.token_set(live, presented.secret, scope=asked)
            case Replayed(reason=reason):
                if reason == "store_rolled_back":
                    await self.feed.went_back(presented.epoch)
                raise InvalidGrant("the refresh token was already used; its session has been ended")
            case Refused():
                raise InvalidGrant("the refresh token is expired or revoked")

    def session_of(self, refresh_token: str) -> str:
        """The session a refresh token belongs to; says nothing about whether it still lives.

        Raises:
            InvalidGrant: it is no refresh token of ours.
        """
        return self.codec.parse(refresh_token).session_id
