"""Every error, with its code and its HTTP status.

The tree, so that a caller can catch as wide or as narrow as he wants::

    WatchwordError
    ├── TokenError ............... what a guard refuses (RFC 6750 3.1)
    │   ├── MissingCredentials     401, a bare challenge
    │   ├── InvalidToken           401
    │   ├── InsufficientScope      403
    │   └── InvalidRequest         400
    ├── OAuthError ............... what the token endpoint refuses (RFC 6749 5.2, 8707 2)
    │   └── InvalidClient, InvalidGrant, InvalidScope, InvalidTarget, UnauthorizedClient,
    │       UnsupportedGrantType
    ├── ApiError ................. what the first-party API refuses (RFC 9457)
    │   └── InvalidInput, InvalidCredentials, InvalidResetToken, AccountDisabled, EmailTaken, UsernameTaken,
    │       MailNotConfigured, NotFound, MethodNotAllowed, NotAcceptable, Conflict, AccessDenied,
    │       UnsupportedMediaType, ContentTooLarge, HeaderFieldsTooLarge, RequestTimeout, TooManyRequests,
    │       MalformedContent, LastAdministrator
    ├── CrossSite ................ 403: a cookie, and a page that may not use it
    ├── TemporarilyUnavailable ... 503: try again
    ├── ServerError .............. 500: our fault
    ├── InvalidKey ............... a key that must not be loaded (RFC 7517, 7518)
    └── ConfigurationError ....... a setting that stops the start

An error carries what the client may read (``description``) and nothing else: no token, no secret, no SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "AccessDenied",
    "AccountDisabled",
    "ApiError",
    "ConfigurationError",
    "Conflict",
    "ContentTooLarge",
    "CrossSite",
    "EmailTaken",
    "HeaderFieldsTooLarge",
    "InsufficientScope",
    "InvalidClient",
    "InvalidCredentials",
    "InvalidGrant",
    "InvalidInput",
    "InvalidKey",
    "InvalidRequest",
    "InvalidResetToken",
    "InvalidScope",
    "InvalidTarget",
    "InvalidToken",
    "LastAdministrator",
    "MailNotConfigured",
    "MalformedContent",
    "MethodNotAllowed",
    "MissingCredentials",
    "NotAcceptable",
    "NotFound",
    "OAuthError",
    "RequestTimeout",
    "ServerError",
    "TemporarilyUnavailable",
    "TokenError",
    "TooManyRequests",
    "UnauthorizedClient",
    "UnsupportedGrantType",
    "UnsupportedMediaType",
    "UsernameTaken",
    "WatchwordError",
]


class WatchwordError(Exception):
    """The root of every error Watchword raises on purpose.

    Args:
        description: one sentence for the client; never a secret, never a stack.
    """

    error: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, description: str = "") -> None:
        super().__init__(description or self.title)
        self.description = description or self.title


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


class CrossSite(WatchwordError):
    """A request that acts by a cookie was not sent by a page that may (ASVS 3.5)."""

    error = "cross_site"
    status = 403
    title = "Another site's page may not do this"


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


class ApiError(WatchwordError):
    """The first-party or admin API refused a request (RFC 9457)."""


class MalformedContent(ApiError):
    """The body is not the JSON it claims to be: broken, too deep, or a name twice (RFC 8259 4)."""

    error = "malformed_content"
    status = 400
    title = "The body is not valid JSON"


class AccessDenied(ApiError):
    """The caller is known and this is not for him."""

    error = "access_denied"
    status = 403
    title = "This is not allowed"


class InvalidCredentials(ApiError):
    """E-mail and password do not belong together; which of the two is wrong stays unsaid."""

    error = "invalid_credentials"
    status = 401
    title = "E-mail or password is wrong"


class InvalidResetToken(ApiError):
    """The link to choose another password is unknown, spent, dead or over: the four are not told apart."""

    error = "invalid_reset_token"
    status = 401
    title = "This link is not valid any more"


class AccountDisabled(ApiError):
    """The password is right and the user is banned."""

    error = "account_disabled"
    status = 403
    title = "This account is disabled"


class NotFound(ApiError):
    """There is no such thing, or it belongs to somebody else: the two are not told apart."""

    error = "not_found"
    status = 404
    title = "Not found"


class MailNotConfigured(ApiError):
    """What was asked for comes by mail, and this server sends none."""

    error = "mail_not_configured"
    status = 404
    title = "This server sends no mail"


class MethodNotAllowed(ApiError):
    """The resource exists and does not take this method (RFC 9110 15.5.6).

    Args:
        allow: the methods it does take, for the ``Allow`` field.
    """

    error = "method_not_allowed"
    status = 405
    title = "Method not allowed"

    def __init__(self, description: str = "", *, allow: Iterable[str] = ()) -> None:
        super().__init__(description)
        self.allow = tuple(allow)


class NotAcceptable(ApiError):
    """The client takes none of the forms this resource has (RFC 9110 15.5.7)."""

    error = "not_acceptable"
    status = 406
    title = "This has no form that the client accepts"


class RequestTimeout(ApiError):
    """The request was not complete in time (RFC 9110 15.5.9)."""

    error = "request_timeout"
    status = 408
    title = "The request took too long to arrive"


class Conflict(ApiError):
    """What is asked for collides with what is there."""

    error = "conflict"
    status = 409
    title = "This collides with what is there"


class EmailTaken(Conflict):
    """Another user has this e-mail address."""

    error = "email_taken"
    title = "This e-mail address is taken"


class UsernameTaken(Conflict):
    """Another user has this user name."""

    error = "username_taken"
    title = "This user name is taken"


class LastAdministrator(Conflict):
    """Nobody else could administer the server afterwards."""

    error = "last_administrator"
    title = "This is the last administrator who can sign in"


class ContentTooLarge(ApiError):
    """The body is larger than this route takes (RFC 9110 15.5.14)."""

    error = "content_too_large"
    status = 413
    title = "The body is too large"


class HeaderFieldsTooLarge(ApiError):
    """The request's address and header fields are larger than any we take (RFC 6585 5)."""

    error = "header_fields_too_large"
    status = 431
    title = "The header fields are too large"


class UnsupportedMediaType(ApiError):
    """The body is not ``application/json`` (RFC 9110 15.5.16)."""

    error = "unsupported_media_type"
    status = 415
    title = "The body must be application/json"


class InvalidInput(ApiError):
    """The body is JSON, and a member is missing, unknown or of the wrong form.

    Args:
        errors: pairs of the member's name and what is wrong with it.
    """

    error = "invalid_input"
    status = 422
    title = "Some fields are not valid"

    def __init__(self, description: str = "", *, errors: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(description)
        self.errors = tuple(errors)


class TooManyRequests(ApiError):
    """Too many attempts (RFC 6585 4).

    Args:
        retry_after: seconds until the next attempt may succeed.
    """

    error = "too_many_requests"
    status = 429
    title = "Too many attempts"

    def __init__(self, description: str = "", *, retry_after: int = 1) -> None:
        super().__init__(description)
        self.retry_after = retry_after


class TemporarilyUnavailable(WatchwordError):
    """The answer is not to be had now: the database is away, a queue is full, the feed is stale.

    Args:
        retry_after: seconds until a retry makes sense (RFC 9110 10.2.3).
    """

    error = "temporarily_unavailable"
    status = 503
    title = "Not available right now"

    def __init__(self, description: str = "", *, retry_after: int = 1) -> None:
        super().__init__(description)
        self.retry_after = retry_after


class ServerError(WatchwordError):
    """A fault of ours; what it was stands in the log, not in the answer."""


class InvalidKey(WatchwordError):
    """A key or key set that must not be loaded: too short, of a weak form, or not what it says (RFC 7517, 7518)."""

    error = "invalid_key"
    title = "The key cannot be used"


class ConfigurationError(WatchwordError):
    """A setting is unknown, ill-typed or unsafe; the start stops with this one line."""

    error = "configuration_error"
    title = "A setting is wrong"
