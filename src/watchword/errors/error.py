"""The root of all errors, and those that any part may raise."""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ConfigurationError",
    "CrossSite",
    "InvalidKey",
    "ServerError",
    "TemporarilyUnavailable",
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


class CrossSite(WatchwordError):
    """A request that acts by a cookie was not sent by a page that may (ASVS 3.5)."""

    error = "cross_site"
    status = 403
    title = "Another site's page may not do this"


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
