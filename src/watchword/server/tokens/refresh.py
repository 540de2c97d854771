"""Refreshing: a spent token, its successor, and what a replay costs (RFC 6749 6, RFC 9700 4.14.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final

from watchword.errors import InvalidGrant, InvalidScope
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID
from watchword.protocol.scope import parse_scope
from watchword.server.ephemeral.counters import Turnstile
from watchword.server.feed.feed import RevocationFeed
from watchword.server.policies import SessionPolicy
from watchword.server.store.intentions.sessions import Sessions
from watchword.server.store.records import Advanced, Origin, Refused, Replayed, TokenFacts
from watchword.server.tokens.issuance import Issuance, TokenSet
from watchword.server.tokens.refresh_token import RefreshToken, RefreshTokenCodec

__all__ = ["RefreshTokenService"]


_REMEMBERED: Final = 10_000
"""Sessions whose spent tokens are counted, those seen last."""
_EVERY: Final = 2**32
"""Above every counter: no token of the session brings another one."""


@dataclass(frozen=True, slots=True)
class RefreshTokenService:
    """Trades refresh tokens for token sets.

    A token that is known to be spent, or to belong to a session that is over, is counted before the store is asked.
    A current one never is: it costs a look into a small table.
    """

    sessions: Sessions
    issuance: Issuance
    codec: RefreshTokenCodec
    policy: SessionPolicy
    feed: RevocationFeed
    repeats: Turnstile
    _spent: dict[str, tuple[int, str]] = field(default_factory=dict, repr=False)
    """By session, the highest counter known to be spent, and whose attempts another use of it takes."""

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
            TooManyRequests: it is known to be spent, and was presented too often.
        """
        presented = self.codec.parse(refresh_token)
        asked = parse_scope(scope) if scope is not None else None
        if asked is not None:
            live = await self.sessions.live(presented.session_id)
            if isinstance(live, Refused):
                raise InvalidGrant("the refresh token is expired or revoked")
            try:
                self.issuance.claims.scope(live.facts, asked)
            except InvalidScope:
                if presented.counter != live.session.counter:
                    # A spent token moves nothing on, and a replay is one whatever else it asks for.
                    await self._advance(presented, client_id, origin)
                raise
        facts = await self._advance(presented, client_id, origin)
        return await self.issuance.token_set(facts, presented.secret, scope=asked)

    async def _advance(self, presented: RefreshToken, client_id: str, origin: Origin) -> TokenFacts:
        known = self._spent.get(presented.session_id) if self._spent else None
        if known is not None and presented.counter <= known[0]:
            await self.repeats.enter(known[1])
        rules = self.policy.rules(self.issuance.claims.policy.lifetime)
        match await self.sessions.advance(presented.presented(), client_id, rules, origin):
            case Advanced(facts=facts, repeated=repeated):
                if repeated:
                    self._remember(presented.session_id, presented.counter, f"user {facts.subject.id}")
                return facts
            case Replayed(reason=reason):
                self._remember(presented.session_id, _EVERY, presented.session_id)
                # Of another instance it proves nothing about this one, though sessions may be kept over a restore.
                if reason == "store_rolled_back" and presented.instance == self.feed.instance:
                    await self.feed.went_back(presented.epoch)
                raise InvalidGrant("the refresh token was already used; its session has been ended")
            case _:
                self._remember(presented.session_id, _EVERY, presented.session_id)
                raise InvalidGrant("the refresh token is expired or revoked")

    def _remember(self, session_id: str, counter: int, key: str) -> None:
        self._spent.pop(session_id, None)
        self._spent[session_id] = counter, key
        if len(self._spent) > _REMEMBERED:
            del self._spent[next(iter(self._spent))]

    async def give_up(self, refresh_token: str, origin: Origin) -> tuple[str, str | None]:
        """Spend a refresh token for nothing: its session, and the user it could still speak for.

        That is none where it is spent past the grace, which is a replay here too, or its session is over.

        Raises:
            InvalidGrant: it is no refresh token of ours.
        """
        presented = self.codec.parse(refresh_token)
        with suppress(InvalidGrant):
            facts = await self._advance(presented, FIRST_PARTY_CLIENT_ID, origin)
            return presented.session_id, facts.subject.id
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
