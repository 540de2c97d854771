"""Keys that look like keys and protect nothing (RFC 7518 3.2-3.3, RFC 8725 2.1, BCPbis 3.4-3.5)."""

from __future__ import annotations

import re
from typing import Final

from watchword.errors import InvalidKey

__all__ = ["check_rsa", "check_secret"]

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192

_PUBLIC_TEXT: Final = re.compile(
    rb"-----BEGIN|-----END|^\s*ssh-(?:rsa|ed25519|dss)\s|^\s*ecdsa-sha2-|\"kty\"|^\s*\{.*\"(?:keys|kty|n|x)\"",
    re.DOTALL,
)
_DER_STARTS: Final = (
    b"\x30\x82",  # SEQUENCE of over 255 bytes: RSA keys and certificates
    b"\x30\x81",
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01",  # SubjectPublicKeyInfo of P-256
    b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01",  # of P-384
    b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70",  # of Ed25519
)
_BASE64_OF_DER: Final = re.compile(rb"^\s*(?:MI[GIH]|MFkw|MHYw|MCow)[A-Za-z0-9+/_=\s-]{40,}\Z")
_BASE64_OF_SSH: Final = re.compile(rb"^\s*AAAA[BCE][0-9A-Za-z+/]{2}[A-Za-z0-9+/_=\s-]{30,}\Z")

_ROCA_PRIMES: Final = (
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
)  # fmt: skip


def check_secret(secret: bytes, size: int) -> None:
    """Refuse a shared secret shorter than the hash, or one that everybody can read: a public key.

    Raises:
        InvalidKey: it is one of these.
    """
    if len(secret) < size:
        raise InvalidKey(f"the secret needs at least {size} bytes")
    public = (
        _PUBLIC_TEXT.search(secret)
        or secret.startswith(_DER_STARTS)
        or _BASE64_OF_DER.match(secret)
        or _BASE64_OF_SSH.match(secret)
    )
    if public:
        raise InvalidKey("the secret is a public key or a certificate")


def check_rsa(n: int, e: int) -> None:
    """Refuse an RSA key that is short, of an even or small exponent, or made by the flawed library of ROCA.

    Raises:
        InvalidKey: it is one of these.
    """
    if not MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS:
        raise InvalidKey(f"an RSA key needs {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
    if e < 3 or e % 2 == 0 or e.bit_length() > 64 or n % 2 == 0:
        raise InvalidKey("the RSA exponent or modulus is weak")
    # CVE-2017-15361: such moduli are powers of 65537 modulo every small prime (Nemec et al. 2017).
    if all(n % prime in _POWERS[prime] for prime in _ROCA_PRIMES):
        raise InvalidKey("the RSA key was made by a library whose keys can be factored (ROCA)")


def _powers(prime: int) -> frozenset[int]:
    found, value = set(), 1
    while value not in found:
        found.add(value)
        value = value * 65537 % prime
    return frozenset(found)


_POWERS: Final = {prime: _powers(prime) for prime in _ROCA_PRIMES}
