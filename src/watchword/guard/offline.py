"""A guard that was handed its keys: no thread, no feed, nothing to wait for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchword.errors import ConfigurationError, InvalidKey
from watchword.guard.view import View
from watchword.jose.jwk import Key, KeySet

__all__ = ["Offline", "offline_health", "parse_keys"]


@dataclass(frozen=True, slots=True)
class Offline:
    """A source that never changes."""

    view: View

    def want(self, kid: str) -> None:
        """Nothing can be fetched."""


def offline_health(view: View) -> dict[str, Any]:
    """How the feed of a guard without one is."""
    return {
        "state": "offline",
        "age": None,
        "clock": None,
        "epoch": 0,
        "sequence": 0,
        "entries": 0,
        "kids": list(view.keys),
        "alarms": 0,
        "error": None,
    }


def parse_keys(keys: KeySet | Mapping[str, Any] | str | bytes) -> KeySet:
    """Load the keys an API was configured with; of a private key, which is not for an API to have, the public part.

    Raises:
        ConfigurationError: they must not be used, or there is none.
    """
    if isinstance(keys, str | bytes) and keys[:64].lstrip()[:10] in ("-----BEGIN", b"-----BEGIN"):
        raise ConfigurationError(
            "keys: a PEM file names no key; give the JWK Set that the auth server publishes"
        )
    try:
        found = keys if isinstance(keys, KeySet) else KeySet.parse(keys)
    except InvalidKey as refused:
        raise ConfigurationError(f"keys: {refused.description}") from None
    if not len(found):
        raise ConfigurationError("keys: the set holds no key that can be used")
    private = [key.kid for key in found if key.private and not key.symmetric]
    if not private:
        return found
    import logging  # of no use to a guard that is configured well, and not cheap

    logging.getLogger("watchword.guard").warning(
        "keys: the set holds the private part of %s. An API needs only public keys: whoever reads this one can sign"
        " tokens. Replace the key, and give the guard the set that the auth server publishes.",
        ", ".join(repr(kid) for kid in private),
    )
    return KeySet(key if key.symmetric else Key.parse(key.public_jwk()) for key in found)
