"""What a guard may be told, and within which bounds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from watchword.errors import ConfigurationError
from watchword.jose.algorithms import ALGORITHMS

__all__ = ["MAX_LEEWAY", "check_alone", "check_arguments", "secret_in"]

MAX_LEEWAY: Final = 240
"""Seconds. A revocation is kept five minutes past the last token it is for; a leeway must end before."""

_MAX_CACHE: Final = 10_000_000


def check_arguments(
    audience: object,
    algorithms: Collection[str],
    leeway: float,
    max_staleness: float,
    on_stale: str,
    cache_size: int,
    feed_secret: str | None,
) -> None:
    """Check what was said to ``Guard``, as far as it can be judged by itself.

    Raises:
        ConfigurationError: one of them is not usable.
    """
    if not isinstance(audience, str) or not audience:
        raise ConfigurationError("audience: must be a text")
    if audience != audience.strip() or not audience.isprintable():
        raise ConfigurationError(
            f"audience: {audience!a} has spaces or line ends around it, so no token is for it"
        )
    if isinstance(algorithms, str) or not algorithms:
        raise ConfigurationError("algorithms: must be a list of names")
    if unknown := [name for name in algorithms if name not in ALGORITHMS]:
        raise ConfigurationError(f"algorithms: {unknown[0]!r} is not allowed")
    if not 0 <= leeway <= MAX_LEEWAY:
        raise ConfigurationError(f"leeway: must be 0 to {MAX_LEEWAY} seconds")
    if not max_staleness > 0:
        raise ConfigurationError("max_staleness: must be more than 0 seconds")
    if on_stale not in ("accept", "reject", "introspect"):
        raise ConfigurationError("on_stale: must be accept, reject or introspect")
    secret = secret_in(feed_secret) or "-"
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise ConfigurationError("feed_secret: must be printable ASCII without spaces")
    if not 0 <= cache_size <= _MAX_CACHE:
        raise ConfigurationError(f"cache_size: must be 0 to {_MAX_CACHE}")


def secret_in(text: str | None) -> str | None:
    """The secret in a text from a file or the environment, read as the server reads its settings; empty: none."""
    return (text or "").removeprefix("\ufeff").rstrip("\r\n") or None


def check_alone(*others: object) -> None:
    """Check that a guard with keys of its own was given nothing that it would take from an issuer.

    Raises:
        ConfigurationError: it was.
    """
    if any(other is not None for other in others):
        raise ConfigurationError(
            "keys: a guard with keys of its own takes no secrets, no snapshot, no origin and no feed"
        )
