"""Errors of the first-party and admin API (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterable

from watchword.errors.error import WatchwordError

__all__ = [
    "AccessDenied",
    "AccountDisabled",
    "ApiError",
    "Conflict",
    "ContentTooLarge",
    "EmailTaken",
    "HeaderFieldsTooLarge",
    "InvalidCredentials",
    "InvalidInput",
    "InvalidResetToken",
    "LastAdministrator",
    "MailNotConfigured",
    "MalformedContent",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "RequestTimeout",
    "TooManyRequests",
    "UnsupportedMediaType",
    "UsernameTaken",
]


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
