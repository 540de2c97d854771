"""The ``Authorization`` and ``WWW-Authenticate`` fields (RFC 6750, 7617, 9110 11): read and written in one place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from watchword.errors import (
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    MissingCredentials,
    WatchwordError,
)

__all__ = ["MAX_SIZE", "Credentials", "holds_token", "parse_authorization", "www_authenticate"]

MAX_SIZE: Final = 16384
"""Characters of an Authorization field that anybody looks at: an access token as the password of a Basic pair."""

_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*\Z")
_SCHEME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+\Z")
_TWICE = re.compile(r",[ \t]*(?:bearer|basic)[ \t]", re.IGNORECASE)
# A parameter whose name is twelve letters, each as it is or percent-encoded; by length most are passed over at once.
_LETTERS = b"".join(b"(?:%c|(?i:%%%02x))" % (letter, letter) for letter in b"access_token")
_NAMED = re.compile(rb"[&;](?=[^=&;]{12})" + _LETTERS + rb"(?=[=&;]|\Z)")


class Credentials(msgspec.Struct, frozen=True):
    """What came in one ``Authorization`` field: the scheme in lower case and its token68."""

    scheme: str
    token: str

    def __repr__(self) -> str:
        return f"Credentials(scheme={self.scheme!r})"

    __str__ = __repr__


def parse_authorization(values: Sequence[str | bytes]) -> Credentials:
    """Read the ``Authorization`` fields of one request (RFC 9110 11.6.2, RFC 6750 2.1).

    The one rule: exactly one field, one scheme, spaces, one token68. Scheme names compare without case, and
    spaces and tabs around the field's value don't belong to it (RFC 9110 5.5, 11.4). Anything else is refused,
    so that no two readers of a request differ: twice is a bad request, one field that holds no credentials of
    any form is a bad token.

    Args:
        values: every value the request carried, in order; an empty list is a request without any.

    Raises:
        MissingCredentials: there is no field.
        InvalidRequest: there is more than one, or one with two credentials in it.
        InvalidToken: it is too long or not of this form.
    """
    if not values:
        raise MissingCredentials
    if len(values) > 1:
        raise InvalidRequest("credentials came twice")
    value = values[0]
    value = (value.decode("latin-1") if isinstance(value, bytes) else value).strip(" \t")[: MAX_SIZE + 1]
    scheme, space, token = value.partition(" ")
    token = token.lstrip(" ")
    if len(value) > MAX_SIZE or not _SCHEME.match(scheme) or not space or not _TOKEN68.match(token):
        if _TWICE.search(value):
            raise InvalidRequest("credentials came twice")
        raise InvalidToken("the Authorization field is malformed")
    return Credentials(scheme.lower(), token)


def holds_token(query: bytes) -> bool:
    """Whether a query string names an access token, however it spells the name (RFC 6750 2.3: never do)."""
    return (b"%" in query or b"access_token" in query) and _NAMED.search(b"&" + query) is not None


def www_authenticate(
    error: WatchwordError, *, realm: str | None = None, scheme: str = "Bearer"
) -> str | None:
    """Write the challenge that goes with *error*, ``None`` where no challenge belongs (RFC 6750 3).

    A request without credentials gets the bare scheme: an error code would tell a client that
    never tried that it failed.
    """
    parts: list[str] = []
    if realm is not None:
        parts.append(f'realm="{_quoted(realm)}"')
    if isinstance(error, MissingCredentials):
        return f"{scheme} {', '.join(parts)}" if parts else scheme
    if error.status not in (400, 401, 403):
        return None
    parts.append(f'error="{error.error}"')
    parts.append(f'error_description="{_quoted(error.description)}"')
    if isinstance(error, InsufficientScope) and error.scope:
        parts.append(f'scope="{_quoted(" ".join(error.scope))}"')
    return f"{scheme} {', '.join(parts)}"


def _quoted(text: str) -> str:
    # RFC 6750 3: printable ASCII without the quote and the backslash.
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
