"""What a request says of its caller, as a guard takes it in: texts, bytes, one value or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from watchword.errors import InvalidRequest, InvalidToken, MissingCredentials
from watchword.protocol.api_key import PREFIX, is_api_key
from watchword.protocol.basic import parse_basic
from watchword.protocol.challenge import MAX_SIZE, Credentials, parse_authorization

__all__ = ["Header", "api_key_of", "credentials_of", "may_be_api_key", "text_of"]

Header = str | bytes | Sequence[str | bytes] | None
"""The value of ``Authorization``, every value where there were several, ``None`` without one."""

_LONGEST: Final = 512
"""Characters of a Basic value in which an API key may stand; a temporary pair's is longer."""


def text_of(token: object) -> str:
    """A token as text.

    Raises:
        InvalidToken: it is none.
    """
    if isinstance(token, bytes):
        # What is no ASCII is refused where every token is read, and so is what is still too long.
        return token[: MAX_SIZE + 1].decode("latin-1")
    if isinstance(token, str):
        return str(token)
    raise InvalidToken("the token is not a text")


def credentials_of(header: Header) -> Credentials:
    """The one pair of scheme and token of a request.

    Raises:
        MissingCredentials: there is none.
        InvalidRequest: there is more than one.
        InvalidToken: what stands there has no known form.
    """
    if header is None:
        raise MissingCredentials
    return parse_authorization((header,) if isinstance(header, str | bytes) else header)


def may_be_api_key(header: Header) -> bool:
    """Whether a look at *header* is worth while: of a plain bearer token the first letters tell."""
    return header is not None and not (
        type(header) is str and header.startswith("Bearer ") and not header.startswith((PREFIX, " "), 7)
    )


def api_key_of(credentials: Credentials) -> str | None:
    """The API key that came as a bearer token, as a Basic password, or as a user name without one.

    The user name beside a password says nothing, unless it is a key too: tools that ask for both send what they like.

    Raises:
        InvalidRequest: there are two keys.
        InvalidToken: the Basic credentials are malformed.
    """
    if credentials.scheme == "bearer":
        return credentials.token if is_api_key(credentials.token) else None
    if credentials.scheme != "basic" or len(credentials.token) > _LONGEST:
        return None
    user_name, password = parse_basic(credentials.token)
    if is_api_key(user_name) and is_api_key(password):
        raise InvalidRequest("credentials came twice: two API keys")
    key = password or user_name
    return key if is_api_key(key) else None
