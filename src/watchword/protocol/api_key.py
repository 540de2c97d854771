"""The API key as a text: the id of its session, a secret and a checksum.

    wwk_ base62( session 16 | secret 16 ) base62( CRC-32 of all before )

Fixed length, letters and digits: one double click takes it, a scanner finds it by ``PATTERN`` and knows by the
checksum, offline, that it is one. A slip of the pen is refused without a query, at the guard and at the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from zlib import crc32

from watchword.errors import InvalidGrant
from watchword.jose.encoding import encode_base64url

__all__ = ["PATTERN", "PREFIX", "SECRET_SIZE", "ApiKey", "is_api_key", "parse_api_key"]

PREFIX: Final = "wwk_"
PATTERN: Final = r"\bwwk_[0-9A-Za-z]{49}\b"
"""What secret scanners look for."""
SECRET_SIZE: Final = 16

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES: Final = {digit: value for value, digit in enumerate(_DIGITS)}
_BODY: Final = 43
"""Digits of 32 bytes."""
_CHECK: Final = 6
"""Digits of a CRC-32."""
_WHOLE: Final = re.compile(PREFIX + r"[0-9A-Za-z]{49}\Z")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key whose form and checksum are right; whether it is good only the server knows.

    Attributes:
        session: the 16 random bytes of its session's id.
        secret: as many that only its holder has.
    """

    session: bytes
    secret: bytes = field(repr=False)

    @property
    def session_id(self) -> str:
        """The id of its session, which is its own."""
        return "ses_" + encode_base64url(self.session)

    @property
    def secret_digest(self) -> bytes:
        """What is kept of the secret: it is random enough that one hash hides it for ever."""
        return sha256(self.secret).digest()

    def text(self) -> str:
        """The key as its holder gets it."""
        body = PREFIX + _encode(int.from_bytes(self.session + self.secret, "big"), _BODY)
        return body + _encode(crc32(body.encode()), _CHECK)


def is_api_key(text: str) -> bool:
    """Whether *text* wants to be an API key: only the prefix is looked at."""
    return text.startswith(PREFIX)


def parse_api_key(text: str) -> ApiKey:
    """Read an API key, without a query.

    Raises:
        InvalidGrant: it is none.
    """
    if not _WHOLE.match(text) or _encode(crc32(text[:-_CHECK].encode()), _CHECK) != text[-_CHECK:]:
        raise InvalidGrant("this is not an API key")
    value = 0
    for digit in text[len(PREFIX) : -_CHECK]:
        value = value * 62 + _VALUES[digit]
    if value >> 256:
        raise InvalidGrant("this is not an API key")
    raw = value.to_bytes(32, "big")
    return ApiKey(raw[:16], raw[16:])


def _encode(value: int, width: int) -> str:
    digits = []
    for _ in range(width):
        value, digit = divmod(value, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
