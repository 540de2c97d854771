"""HS256 keys, derived from a root secret that server and API share (RFC 5869), so that they rotate unsent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from watchword.errors import ConfigurationError, InvalidKey
from watchword.jose.encoding import without_mark
from watchword.jose.jwk import Key
from watchword.jose.weakness import check_secret
from watchword.protocol.key_derivation import SIZE, derive

__all__ = ["RootSecrets", "derive"]


@dataclass(frozen=True, slots=True)
class RootSecrets:
    """The root secrets of one audience: the current one and, after a leak, its successor."""

    issuer: str
    audience: str
    roots: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def parse(cls, secrets: bytes | str | Iterable[bytes | str], *, issuer: str, audience: str) -> Self:
        """Take the secrets an API was configured with.

        Raises:
            ConfigurationError: one is shorter than 32 bytes, or a public key, or there is none.
        """
        given = (secrets,) if isinstance(secrets, bytes | str) else tuple(secrets)
        roots = tuple(map(_root, given))
        try:
            for root in roots:
                check_secret(root, SIZE)
        except InvalidKey as refused:
            raise ConfigurationError(f"secrets: {refused.description}") from None
        if not roots:
            raise ConfigurationError("secrets: there is none")
        return cls(issuer, audience, roots)

    def key(self, jwk: Mapping[str, Any]) -> Key | None:
        """The key that the feed announces as number ``n`` with this ``kid``; ``None`` when no root gives it."""
        number, kid = jwk.get("n"), jwk.get("kid")
        if jwk.get("kty") != "oct" or type(number) is not int or number < 0:
            return None
        for root in self.roots:
            key = derive(root, issuer=self.issuer, audience=self.audience, number=number)
            if key.kid == kid:
                return key
        return None


def _root(given: bytes | str) -> bytes:
    """The secret as the server reads it: what stands around a text in a file is no part of it."""
    raw = given.encode() if isinstance(given, str) else given
    text = without_mark(raw).rstrip(b"\r\n")
    # Drawn bytes may end with any.
    return text if isinstance(given, str) or (text.isascii() and text.decode().isprintable()) else raw
