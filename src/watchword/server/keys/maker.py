"""Making a key for the ring: drawn at random, or derived from the secret that one API shares (RFC 5869)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from watchword.errors import InvalidKey
from watchword.jose.algorithms import ASYMMETRIC
from watchword.jose.jwk import Key
from watchword.protocol.key_derivation import derive
from watchword.server.keys.sealing import Sealing
from watchword.server.policies import KeyPolicy
from watchword.server.store.records import SigningKey

__all__ = ["FEED_ALGORITHM", "HS256", "KeyMaker", "Purpose", "Ring"]

FEED_ALGORITHM: Final = "ES256"
HS256: Final = "HS256"

Purpose = Literal["token", "feed"]
Ring = tuple[Purpose, str]
"""Purpose and audience: the keys that succeed each other."""


@dataclass(frozen=True, slots=True)
class KeyMaker:
    """Makes keys and seals them.

    Args:
        sealing: seals the private parts.
        policy: the algorithm of a key that nobody asked another for, and the secrets by audience.
        issuer: what a derived key is bound to.
        now: the clock.
    """

    sealing: Sealing = field(repr=False)
    policy: KeyPolicy
    issuer: str
    now: Callable[[], datetime]

    async def make(
        self, ring: Ring, state: Literal["next", "active"], algorithm: str | None = None
    ) -> SigningKey:
        """A fresh key of *ring*.

        Raises:
            InvalidKey: the algorithm signs nothing here, or the API shares no secret with us.
        """
        purpose, audience = ring
        name = FEED_ALGORITHM if purpose == "feed" else algorithm or self.policy.algorithm
        now = self.now()
        if name == HS256:
            key, public = self._derive(audience, int.from_bytes(self.sealing.token_bytes(6)))
        elif name in ASYMMETRIC:
            key = await asyncio.to_thread(Key.generate, name)  # RSA takes its time
            public = key.public_jwk()
        else:
            raise InvalidKey(f"{name} is not an algorithm this server signs with")
        return SigningKey(
            kid=key.kid,
            purpose=purpose,
            audience=audience,
            algorithm=name,
            state=state,
            public_jwk=public,
            sealed=self.sealing.seal(msgspec.json.encode(key.private_jwk()), key.kid),
            created_at=now,
            active_at=now if state == "active" else None,
            retired_at=None,
            gone_at=None,
        )

    def open(self, record: SigningKey) -> Key:
        """The key of *record*, private part and all.

        Raises:
            ConfigurationError: ``SECRET`` does not open it.
        """
        jwk = msgspec.json.decode(self.sealing.open(record.sealed, record.kid))
        return Key.parse(jwk, algorithm=record.algorithm)

    def is_outdated(self, record: SigningKey) -> bool:
        """Whether a derived key comes from a secret that has been replaced since."""
        if record.algorithm != HS256 or not self._secrets(record.audience):
            return False
        return self._derive(record.audience, record.public_jwk["n"])[0].kid != record.kid

    def _derive(self, audience: str, number: int) -> tuple[Key, dict[str, Any]]:
        # Numbers are drawn, not counted: after a restore a count would come to a number again that was killed.
        secrets = self._secrets(audience)
        if not secrets:
            raise InvalidKey(f"{HS256} needs a secret shared with the API: set api_secrets for {audience}")
        key = derive(secrets[-1].encode(), issuer=self.issuer, audience=audience, number=number)
        return key, {"kty": "oct", "kid": key.kid, "alg": HS256, "use": "sig", "n": number}

    def _secrets(self, audience: str) -> tuple[str, ...]:
        return self.policy.secrets.get(audience, ())
