"""HS256 keys, derived from a root secret that server and API share (RFC 5869), so that they rotate unsent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from watchword.errors import ConfigurationError, InvalidKey
from watchword.jose.jwk import Key
from watchword.jose.weakness import check_secret

__all__ = ["RootSecrets", "derive"]

_SIZE: Final = 32


def derive(root: bytes, *, issuer: str, audience: str, number: int) -> Key:
    """Key *number* of the root secret of one audience; its kid is the thumbprint (RFC 5869, 7638)."""
    info = f"{issuer}|{audience}|{number}".encode()
    return Key.from_secret(HKDF(hashes.SHA256(), _SIZE, None, info).derive(root))


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
        roots = tuple(one.encode() if isinstance(one, str) else one for one in given)
        try:
            for root in roots:
                check_secret(root, _SIZE)
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
