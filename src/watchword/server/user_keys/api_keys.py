"""API keys: what a user's programs show in place of a log-in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from watchword.errors import InvalidGrant
from watchword.protocol.api_key import SECRET_SIZE, ApiKey, parse_api_key
from watchword.server.store.records import Origin, Session, User
from watchword.server.tokens.issuance import AccessTokenSet
from watchword.server.user_keys.keys import REFUSED, KeyTerms, UserKeys

__all__ = ["ApiKeyService", "NewKey"]


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: what it is, and its text, which nobody can show again."""

    session: Session
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiKeyService:
    """Makes API keys and trades them."""

    keys: UserKeys
    token_bytes: Callable[[int], bytes] = field(repr=False)

    async def create(self, user: User, terms: KeyTerms, origin: Origin) -> NewKey:
        """Make a key of *user*, who has proved himself, for one API.

        Raises:
            InvalidInput, InvalidScope, InvalidTarget, Conflict, InvalidCredentials: as ``UserKeys.begin``.
        """
        key = ApiKey(self.token_bytes(16), self.token_bytes(SECRET_SIZE))
        session = await self.keys.begin(
            user,
            terms,
            kind="api_key",
            session_id=key.session_id,
            secret_digest=key.secret_digest,
            origin=origin,
        )
        return NewKey(session, key.text())

    async def exchange(
        self, text: str, *, audience: str | None = None, scope: str | None = None, origin: Origin
    ) -> AccessTokenSet:
        """Trade a key for a short access token; there is no refresh token, the key itself is asked with again.

        Raises:
            InvalidGrant, InvalidTarget, InvalidScope, TooManyRequests: as ``UserKeys.trade``.
        """
        try:
            key = parse_api_key(text)
        except InvalidGrant:
            raise InvalidGrant(REFUSED) from None
        return await self.keys.trade(
            key.session_id, key.secret_digest, audience=audience, scope=scope, origin=origin
        )
