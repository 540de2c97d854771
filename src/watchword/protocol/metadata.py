"""Where an issuer says of itself what it offers (RFC 8414)."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from watchword.errors import ConfigurationError

__all__ = [
    "JWKS_PATH",
    "METADATA_PATH",
    "REVOCATIONS_JWKS",
    "REVOCATIONS_PATH",
    "REVOCATIONS_STREAM_PATH",
    "TOKEN_PATH",
    "check_issuer_url",
    "is_loopback",
    "metadata_urls",
]

METADATA_PATH: Final = "/.well-known/oauth-authorization-server"
JWKS_PATH: Final = "/.well-known/jwks.json"
REVOCATIONS_PATH: Final = "/revocations"
REVOCATIONS_STREAM_PATH: Final = "/revocations/stream"
TOKEN_PATH: Final = "/auth/token"  # noqa: S105 - an address
"""Where a key, or a refresh token, is traded for an access token."""
REVOCATIONS_JWKS: Final = "watchword_revocations_jwks"
"""The metadata member that holds the keys of the feed: a key set of their own, so that no token key signs the feed."""


_VISIBLE: Final = re.compile(r"[!-~]+\Z")


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where *issuer*'s metadata are, the first place first: the well-known part between host and path (RFC 8414 3.1).

    An issuer with a path has them below that path, too: a proxy may pass on nothing else of the host.
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    first = f"{parts.scheme}://{parts.netloc}{METADATA_PATH}{path}"
    return (first, issuer + METADATA_PATH) if path else (first,)


def check_issuer_url(issuer: str, *, setting: str = "issuer") -> str:
    """Return *issuer* when it may be one: an absolute URL, no query, fragment, user or trailing slash (RFC 8414 2).

    ``http`` passes on a loopback address only: a token sent in the clear is anybody's. A refusal names *setting*.

    Raises:
        ConfigurationError: it may not.
    """
    # urlsplit drops tabs and line ends and takes spaces: it would judge another text than is compared later.
    try:
        parts = urlsplit(issuer if _VISIBLE.match(issuer) else "")
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ConfigurationError(f"{setting}: {issuer!r} is not an http(s) URL")
    if parts.query or parts.fragment or parts.username is not None or "?" in issuer or "#" in issuer:
        raise ConfigurationError(f"{setting}: {issuer!r} must have no query, fragment or user")
    if issuer.endswith("/"):
        raise ConfigurationError(f"{setting}: {issuer!r} must not end with a slash")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationError(f"{setting}: {issuer!r} must be https beyond this machine")
    return issuer


def is_loopback(host: str) -> bool:
    """Whether *host* names this machine: 127.0.0.0/8, ::1 or localhost (RFC 6761 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
