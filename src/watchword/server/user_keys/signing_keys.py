"""Signing keys: a user hands in a public key, and requests that the private one signed are his (RFC 9421)."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from watchword.errors import InvalidGrant, InvalidInput, InvalidKey
from watchword.jose.jwk import Key
from watchword.server.store.records import Origin, Session, User
from watchword.server.tokens.issuance import AccessTokenSet
from watchword.server.tokens.refresh_token import session_id
from watchword.server.user_keys.keys import REFUSED, KeyTerms, UserKeys

__all__ = ["ALGORITHMS", "SigningKeyService"]

ALGORITHMS = ("ES256", "ES384", "EdDSA")
"""Of the keys that may be handed in: short public keys, which every token of theirs holds."""

_MAX_ID = 64


@dataclass(frozen=True, slots=True)
class SigningKeyService:
    """Takes in signing keys and trades their names.

    Its name in signatures is the session's id and not its thumbprint: whoever hands in another one's public key gets
    another name for it, under which nobody signs.
    """

    keys: UserKeys
    token_bytes: Callable[[int], bytes] = field(repr=False)

    async def create(self, user: User, jwk: Mapping[str, Any], terms: KeyTerms, origin: Origin) -> Session:
        """Take in a public key of *user*, who has proved himself.

        Raises:
            InvalidInput: it is no public key of an algorithm that is taken, or name or lifetime is not valid.
            InvalidScope, InvalidTarget, Conflict, InvalidCredentials: as ``UserKeys.begin``.
        """
        key = _public_key(jwk)
        members = {
            part: value for part, value in key.public_jwk().items() if part in ("kty", "crv", "x", "y")
        }
        return await self.keys.begin(
            user,
            terms,
            kind="signing_key",
            session_id=session_id(self.token_bytes(16)),
            secret_digest=urlsafe_b64decode(key.thumbprint() + "="),
            public_key=msgspec.json.encode(members).decode(),
            origin=origin,
        )

    async def exchange(
        self, keyid: str, *, audience: str | None = None, scope: str | None = None, origin: Origin
    ) -> AccessTokenSet:
        """Trade the name of a key for a short access token that is bound to it; no secret is asked for it.

        Raises:
            InvalidGrant, InvalidTarget, InvalidScope, TooManyRequests: as ``UserKeys.trade``.
        """
        if len(keyid) > _MAX_ID or not keyid.isascii():
            raise InvalidGrant(REFUSED)
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
