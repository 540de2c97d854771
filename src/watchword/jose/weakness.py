"""Keys that look like keys and protect nothing (RFC 7518 3.2-3.3, RFC 8725 2.1, BCPbis 3.4-3.5)."""

from __future__ import annotations

import binascii
import re
from typing import Final

from watchword.errors import InvalidKey

__all__ = ["check_ed25519", "check_rsa", "check_secret"]

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192

_PUBLIC_TEXT: Final = re.compile(
    rb"-----? ?(?:BEGIN|END) "  # PEM, and the SSH form of RFC 4716
    rb"|(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp\d{3})(?:@openssh\.com)?\s+AAAA"
    rb"|^\s*\{.*\"(?:keys|kty|n|x)\"",
    re.DOTALL,
)
_DER_STARTS: Final = (
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01",  # SubjectPublicKeyInfo of P-256
    b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01",  # of P-384
    b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70",  # of Ed25519
)
_SSH_START: Final = re.compile(rb"\0\0\0[\x07-\x40](?:sk-)?(?:ssh|ecdsa)-")

_ROCA_PRIMES: Final = (
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
)  # fmt: skip


_FIELD: Final = 2**255 - 19
_SMALL_ORDER: Final = (
    0,
    1,
    2707385501144840649318225287225658788936804267575313519463743609750303402022,
)
"""The y of the points of order 4, 1 and 2, and 8, up to sign (RFC 8032 5.1)."""


def check_secret(secret: bytes, size: int) -> None:
    """Refuse a shared secret shorter than the hash, or one that everybody can read: a public key.

    Raises:
        InvalidKey: it is one of these.
    """
    if len(secret) < size:
        raise InvalidKey(f"the secret needs at least {size} bytes")
    if _PUBLIC_TEXT.search(secret) or _is_public(secret) or _is_public(_from_base64(secret)):
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


def check_ed25519(x: bytes) -> None:
    """Refuse a public key of small order: under it a signature that anybody can write is good for any message.

    Raises:
        InvalidKey: it is one of these points, in whatever encoding.
    """
    y = (int.from_bytes(x, "little") & (1 << 255) - 1) % _FIELD
    if y in _SMALL_ORDER or _FIELD - y in _SMALL_ORDER:
        raise InvalidKey("the Ed25519 key is a point of small order")


def _is_public(data: bytes) -> bool:
    """Whether *data* is a DER structure of a key or certificate, or an SSH key.

    Long DER is told by its length, which must be that of the whole: two first bytes alone would refuse one
    random secret in 30 000.
    """
    if data.startswith(_DER_STARTS) or _SSH_START.match(data):
        return True
    size = {b"\x30\x81": 1, b"\x30\x82": 2}.get(data[:2])
    return size is not None and int.from_bytes(data[2 : 2 + size], "big") == len(data) - 2 - size


def _from_base64(text: bytes) -> bytes:
    joined = b"".join(text.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return binascii.a2b_base64(joined + b"=" * (-len(joined) % 4), strict_mode=True)
    except binascii.Error:
        return b""


def _powers(prime: int) -> frozenset[int]:
    found, value = set(), 1
    while value not in found:
        found.add(value)
        value = value * 65537 % prime
    return frozenset(found)


_POWERS: Final = {prime: _powers(prime) for prime in _ROCA_PRIMES}
