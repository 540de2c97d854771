"""Private keys encrypted at rest, and every other key that the master key ``SECRET`` makes."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from watchword.errors import ConfigurationError

__all__ = ["Sealing"]


@dataclass(frozen=True, slots=True)
class Sealing:
    """Keys drawn from ``SECRET`` by HKDF (RFC 5869), one a purpose, so that no two uses share one.

    Neither the database alone nor ``SECRET`` alone opens a private key or forges a refresh token.
    """

    secret: bytes = field(repr=False)
    token_bytes: Callable[[int], bytes] = field(repr=False)

    @classmethod
    def from_secret(cls, secret: str, token_bytes: Callable[[int], bytes]) -> Self:
        """Take the master key as text of at least 32 characters.

        Raises:
            ConfigurationError: it is shorter.
        """
        if len(secret) < 32:
            raise ConfigurationError("secret: the master key needs at least 32 characters")
        return cls(secret.encode(), token_bytes)

    def fitting(self, check_value: str, before: str | None) -> Self:
        """This one if *check_value* is its own, else that of the secret as earlier versions read the same text.

        Raises:
            ConfigurationError: it is of another secret.
        """
        if check_value == self.check_value():
            return self
        if before is not None and len(before) >= 32:
            older = self.from_secret(before, self.token_bytes)
            if check_value == older.check_value():
                logging.getLogger("watchword").warning(
                    "secret: this database was made with the byte order mark or the line break around the master key as"
                    " a part of it, and goes on with that. Keep the text as it is"
                )
                return older
        raise ConfigurationError("secret: it is not the one this database was made with")

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt *plain*; the outcome opens only under the same *context* (AES-256-GCM, 96-bit random nonce)."""
        nonce = self.token_bytes(12)
        return nonce + AESGCM(self.derive("seal")).encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what ``seal`` made.

        Raises:
            ConfigurationError: ``SECRET`` is another one, or the text was changed.
        """
        try:
            return AESGCM(self.derive("seal")).decrypt(sealed[:12], sealed[12:], context.encode())
        except InvalidTag:
            raise ConfigurationError("secret: it does not open the keys of this database") from None

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose."""
        return HKDF(SHA256(), 32, None, f"watchword {purpose}".encode()).derive(self.secret)

    def check_value(self) -> str:
        """A text that tells one ``SECRET`` from another and gives neither away; it stands in the database."""
        return hmac.new(self.derive("check"), b"watchword", sha256).hexdigest()
