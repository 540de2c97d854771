"""HTTP Basic credentials (RFC 7617 2): one text, one reading."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from watchword.errors import InvalidToken
from watchword.protocol.challenge import MAX_SIZE

__all__ = ["BASIC_USERNAME", "format_basic", "parse_basic"]

BASIC_USERNAME: Final = "basic_username"
"""The claim that makes a token the password of a temporary Basic pair: the user name that belongs to it."""


def parse_basic(token: str) -> tuple[str, str]:
    """User name and password of a Basic token68, strictly encoded (RFC 7617 2).

    Raises:
        InvalidToken: it is too long, not canonical base64 of UTF-8 text with a colon, or holds a control character.
    """
    if len(token) > MAX_SIZE:
        raise InvalidToken("the Basic credentials are too long")
    try:
        raw = base64.b64decode(token, validate=True)
        text = raw.decode("utf-8")
    except (binascii.Error, ValueError):
        raise InvalidToken("the Basic credentials are malformed") from None
    user_name, colon, password = text.partition(":")
    if not colon or base64.b64encode(raw).decode() != token:
        raise InvalidToken("the Basic credentials are malformed")
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        raise InvalidToken("the Basic credentials are malformed")
    return user_name, password


def format_basic(user_name: str, password: str) -> str:
    """The token68 of a user name, in which no colon may be, and its password (RFC 7617 2)."""
    return base64.b64encode(f"{user_name}:{password}".encode()).decode()
