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

from watchword.errors.api import (
    AccessDenied,
    AccountDisabled,
    ApiError,
    Conflict,
    ContentTooLarge,
    EmailTaken,
    HeaderFieldsTooLarge,
    InvalidCredentials,
    InvalidInput,
    InvalidResetToken,
    LastAdministrator,
    MailNotConfigured,
    MalformedContent,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    RequestTimeout,
    TooManyRequests,
    UnsupportedMediaType,
    UsernameTaken,
)
from watchword.errors.error import (
    ConfigurationError,
    CrossSite,
    InvalidKey,
    ServerError,
    TemporarilyUnavailable,
    WatchwordError,
)
from watchword.errors.oauth import (
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from watchword.errors.token import (
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    MissingCredentials,
    TokenError,
)

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
