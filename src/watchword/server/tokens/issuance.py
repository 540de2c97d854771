"""The one place that signs an access token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from watchword.jose import jws
from watchword.jose.encoding import encode_base64url
from watchword.protocol import access_token
from watchword.server.keys.ring import KeyRing
from watchword.server.keys.signatures import Signatures
from watchword.server.store.records import TokenFacts
from watchword.server.store.records.record import milliseconds
from watchword.server.tokens.claims import Claims
from watchword.server.tokens.refresh_token import RefreshTokenCodec

if TYPE_CHECKING:
    from watchword.jose.jwe import EncryptionKey

__all__ = ["AccessTokenSet", "Issuance", "TokenSet"]


class TokenSet(msgspec.Struct, frozen=True, kw_only=True):
    """An access token and what belongs to it (RFC 6749 5.1); ready to be encoded as JSON."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int
    refresh_token: str
    refresh_token_expires_in: int
    scope: str
    session_id: str

    def __repr__(self) -> str:
        return f"TokenSet(session_id={self.session_id!r}, scope={self.scope!r})"

    __str__ = __repr__


class AccessTokenSet(msgspec.Struct, frozen=True, kw_only=True):
    """An access token alone (RFC 6749 5.1): whoever got it asks again with what he asked with."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int
    scope: str
    session_id: str

    def __repr__(self) -> str:
        return f"AccessTokenSet(session_id={self.session_id!r}, scope={self.scope!r})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Issuance:
    """Signs tokens from facts that one store intention has just read together.

    It takes ``TokenFacts`` and nothing else about user, client, session, roles or key: who wants a token must first
    make an intention read them, in one transaction.
    """

    claims: Claims
    codec: RefreshTokenCodec
    ring: KeyRing
    now: Callable[[], datetime]
    token_bytes: Callable[[int], bytes] = field(repr=False)
    signatures: Signatures = field(default_factory=Signatures, repr=False)

    async def token_set(
        self, facts: TokenFacts, secret: bytes, *, scope: tuple[str, ...] | None = None
    ) -> TokenSet:
        """Mint an access token and write the session's current refresh token (RFC 9068 2, RFC 6749 5.1).

        Args:
            facts: of a session, just read.
            secret: the session secret, which only the refresh token holds in the clear.
            scope: a narrower scope for this access token; the session keeps its own.

        Raises:
            InvalidScope: *scope* goes beyond the session's.
        """
        issued, session = await self.access_token(facts, scope=scope), facts.session
        assert session is not None
        left = min(session.expires_at, session.idle_expires_at) - milliseconds(self.now())
        return TokenSet(
            access_token=issued.access_token,
            expires_in=issued.expires_in,
            refresh_token=self.codec.mint(facts.epoch, session.id, session.counter, secret, facts.instance),
            refresh_token_expires_in=max(0, left // 1000),
            scope=issued.scope,
            session_id=session.id,
        )

    async def access_token(
        self, facts: TokenFacts, *, scope: tuple[str, ...] | None = None
    ) -> AccessTokenSet:
        """Mint an access token; *scope* is a narrower one than its session's (RFC 9068 2).

        Raises:
            InvalidScope: *scope* goes beyond the session's.
        """
        granted = self.claims.scope(facts, scope)
        claims = self.claims.access_token(
            facts,
            jti=encode_base64url(self.token_bytes(16)),
            now_ms=self.time_ms(facts),
            scope=granted,
            narrowed=scope is not None,
        )
        return AccessTokenSet(
            access_token=await self.sign(claims, facts),
            # RFC 9200 8.7: who has no proof gets nowhere with it.
            token_type="PoP" if "cnf" in claims else "Bearer",
            expires_in=claims["exp"] - claims["iat"],
            scope=claims["scope"],
            session_id=claims["sid"],
        )

    def time_ms(self, facts: TokenFacts) -> int:
        """When a token made of *facts* is issued: never before anything in the log was written.

        A clock that was ahead and was set back would make tokens that outlive their revocation otherwise.
        """
        return max(milliseconds(self.now()), facts.clock_ms)

    async def sign(self, claims: Mapping[str, Any], facts: TokenFacts) -> str:
        """Sign *claims*, and encrypt the token where it is for one API alone that has a key for that (RFC 9068 4).

        The issuer could not read it any more, so a token that is for the issuer too stays as it is.
        """
        key = await self.ring.signing_key(facts.kid)
        signed = access_token.signing_input(claims, key)
        token = jws.complete(signed, await self.signatures.of(key, signed.encode()))
        if facts.encryption_jwk is None:
            return token
        from watchword.jose.jwe import encrypt

        return encrypt(token, _encryption_key(facts.encryption_jwk), typ=access_token.TYP)


@lru_cache(256)
def _encryption_key(jwk: str) -> EncryptionKey:
    from watchword.jose.jwe import EncryptionKey

    return EncryptionKey.parse(msgspec.json.decode(jwk))
