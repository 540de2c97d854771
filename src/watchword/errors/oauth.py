"""Errors of the token endpoint (RFC 6749 5.2, RFC 8707 2)."""

from __future__ import annotations

from watchword.errors.error import WatchwordError

__all__ = [
    "InvalidClient",
    "InvalidGrant",
    "InvalidScope",
    "InvalidTarget",
    "OAuthError",
    "UnauthorizedClient",
    "UnsupportedGrantType",
]


class OAuthError(WatchwordError):
    """The authorization server refused a grant (RFC 6749 5.2)."""

    status = 400


class InvalidClient(OAuthError):
    """The client is unknown or did not prove who it is (RFC 6749 5.2)."""

    error = "invalid_client"
    status = 401
    title = "Client authentication failed"


class InvalidGrant(OAuthError):
    """The code or refresh token is unknown, expired, spent, revoked or another client's (RFC 6749 5.2)."""

    error = "invalid_grant"
    title = "The grant is not valid"


class InvalidScope(OAuthError):
    """The scope asked for is unknown or beyond what may be given (RFC 6749 5.2)."""

    error = "invalid_scope"
    title = "The scope is not allowed"


class InvalidTarget(OAuthError):
    """The audience or resource asked for is unknown (RFC 8707 2)."""

    error = "invalid_target"
    title = "The audience is not known"


class UnauthorizedClient(OAuthError):
    """The client may not use this grant type (RFC 6749 5.2)."""

    error = "unauthorized_client"
    title = "The client may not use this grant"


class UnsupportedGrantType(OAuthError):
    """The grant type is not offered here (RFC 6749 5.2)."""

    error = "unsupported_grant_type"
    title = "The grant type is not supported"
