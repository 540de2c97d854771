"""An error as an answer: ``application/problem+json`` with its challenge, in one place (RFC 9457, RFC 6750 3)."""

from __future__ import annotations

from typing import Final

import msgspec

from watchword.errors import (
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    MethodNotAllowed,
    TemporarilyUnavailable,
    TokenError,
    TooManyRequests,
    WatchwordError,
)
from watchword.protocol.challenge import www_authenticate
from watchword.protocol.problem import problem
from watchword.server.web.responses import Response

__all__ = ["PROBLEM", "error_response", "status_of"]

PROBLEM: Final = "application/problem+json"

_FIRST_PARTY: Final[dict[type[WatchwordError], int]] = {
    InvalidGrant: 401,
    InvalidScope: 422,
    InvalidTarget: 422,
}
"""Where the first-party API's status differs from the OAuth one: there the body was JSON and its form was right."""


def status_of(error: WatchwordError) -> int:
    """The status of *error* outside ``/oauth/``."""
    return _FIRST_PARTY.get(type(error), error.status)


def error_response(error: WatchwordError) -> Response:
    """The answer to a request that *error* ended."""
    status = status_of(error)
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, TokenError):
        challenge = www_authenticate(error)
        if challenge is not None:
            headers["WWW-Authenticate"] = challenge
    elif isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allow)
    elif isinstance(error, TooManyRequests | TemporarilyUnavailable):
        headers["Retry-After"] = str(error.retry_after)
    document = {**problem(error), "status": status}
    return Response(status, msgspec.json.encode(document), PROBLEM, headers)
