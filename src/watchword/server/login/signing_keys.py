"""Signing keys: a user hands in a public key, and requests that the private one signed are his (RFC 9421)."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from watchword.errors import InvalidGrant, InvalidInput, InvalidKey, NotFound
from watchword.jose.jwk import Key
from watchword.server.login.api_keys import ApiKeyService
from watchword.server.store.records import Origin, Session, User
from watchword.server.tokens.issuance import AccessTokenSet
from watchword.server.tokens.refresh_token import session_id

__all__ = ["ALGORITHMS", "SigningKeyService"]

ALGORITHMS = ("ES256", "ES384", "EdDSA")
"""Of the keys that may be handed in: short public keys, which every token of theirs holds."""

_MAX_ID = 64


@dataclass(frozen=True, slots=True)
class SigningKeyService:
    """Takes in, lists, ends and exchanges signing keys. A key is a session of its own kind: what ends sessions ends it.

    Its name in signatures is the session's id and not its thumbprint: whoever hands in another one's public key gets
    another name for it, under which nobody signs.
    """

    keys: ApiKeyService

    async def create(
        self,
        user: User,
        name: str,
        jwk: Mapping[str, Any],
        *,
        version: int,
        audience: str | None = None,
        scope: str | None = None,
        lifetime: timedelta | None = None,
        parent: str | None = None,
        origin: Origin,
    ) -> Session:
        """Take in a public key of *user*; the other arguments are those of an API key.

        Raises:
            InvalidInput: it is no public key of an algorithm that is taken, or name or lifetime is not valid.
            InvalidScope, InvalidTarget, Conflict, InvalidCredentials: as for an API key.
        """
        key = _public_key(jwk)
        members = {
            part: value for part, value in key.public_jwk().items() if part in ("kty", "crv", "x", "y")
        }
        return await self.keys.begin(
            user,
            name,
            kind="signing_key",
            session_id=session_id(self.keys.token_bytes(16)),
            secret_digest=urlsafe_b64decode(key.thumbprint() + "="),
            public_key=msgspec.json.encode(members).decode(),
            version=version,
            audience=audience,
            scope=scope,
            lifetime=lifetime,
            parent=parent,
            origin=origin,
        )

    async def list(self, user_id: str) -> Sequence[Session]:
        """The living keys of a user, most recently used first."""
        return await self.keys.sessions.list(user_id, "signing_key")

    async def revoke(self, keyid: str, reason: str, origin: Origin, user_id: str | None = None) -> None:
        """End one key, of *user_id* when given; what it signs is refused at once.

        Raises:
            NotFound: there is no such living key, or it is somebody else's.
        """
        ended = await self.keys.sessions.end(keyid, reason, origin, user_id=user_id, kind="signing_key")
        if ended is None:
            raise NotFound("there is no such signing key")

    async def exchange(
        self, keyid: str, *, audience: str | None = None, scope: str | None = None, origin: Origin
    ) -> AccessTokenSet:
        """Trade the name of a key for a short access token that is bound to it; no secret is asked for it.

        Raises:
            InvalidGrant, InvalidTarget, InvalidScope, TooManyRequests: as for an API key.
        """
        if len(keyid) > _MAX_ID or not keyid.isascii():
            raise InvalidGrant("the key is unknown, expired or revoked")
        return await self.keys.trade(keyid, None, audience=audience, scope=scope, origin=origin)


def _public_key(jwk: Mapping[str, Any]) -> Key:
    try:
        key = Key.parse(jwk)
    except InvalidKey as fault:
        raise InvalidInput(errors=[("jwk", fault.description)]) from None
    if key.private:
        raise InvalidInput(
            errors=[("jwk", "holds a private key, which nobody else must ever see: make a new one")]
        )
    if not key.algorithms & set(ALGORITHMS):
        raise InvalidInput(errors=[("jwk", f"must be a key for {', '.join(ALGORITHMS)}")])
    return key
