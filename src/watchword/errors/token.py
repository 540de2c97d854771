"""Errors of a guard: why a request is refused (RFC 6750 3.1)."""

from __future__ import annotations

from collections.abc import Iterable

from watchword.errors.error import WatchwordError

__all__ = ["InsufficientScope", "InvalidRequest", "InvalidToken", "MissingCredentials", "TokenError"]


class TokenError(WatchwordError):
    """A guard refused the request; the answer carries a ``WWW-Authenticate`` (RFC 6750 3)."""


class MissingCredentials(TokenError):
    """No credentials came: 401 and a challenge without an error code (RFC 6750 3.1)."""

    error = "unauthorized"
    status = 401
    title = "Credentials are required"


class InvalidToken(TokenError):
    """The access token is malformed, forged, expired, revoked or for somebody else (RFC 6750 3.1)."""

    error = "invalid_token"
    status = 401
    title = "Invalid or expired token"


class InsufficientScope(TokenError):
    """The token is good and too weak: a scope or a role is lacking (RFC 6750 3.1).

    Args:
        scope: the scope the route demands, told to the client in the challenge.
    """

    error = "insufficient_scope"
    status = 403
    title = "The token does not allow this"

    def __init__(self, description: str = "", *, scope: Iterable[str] = ()) -> None:
        super().__init__(description)
        self.scope = tuple(scope)


class InvalidRequest(TokenError):
    """The request is malformed: a parameter is missing, repeated or in the wrong place (RFC 6749 5.2, 6750 3.1)."""

    error = "invalid_request"
    status = 400
    title = "The request is malformed"
