"""How issuer and API make the same HS256 key out of the secret they share, without sending it (RFC 5869)."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from watchword.jose.jwk import Key

__all__ = ["SIZE", "derive"]

SIZE: Final = 32
"""Bytes of a derived key, and the least a root secret must have (RFC 7518 3.2)."""


def derive(root: bytes, *, issuer: str, audience: str, number: int) -> Key:
    """Key *number* of the root secret of one audience; its kid is the thumbprint (RFC 5869, 7638)."""
    info = f"{issuer}|{audience}|{number}".encode()
    return Key.from_secret(HKDF(SHA256(), SIZE, None, info).derive(root))
