"""A guard that was handed its keys: no thread, no feed, nothing to wait for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from watchword.errors import ConfigurationError, InvalidKey
from watchword.guard.view import View
from watchword.jose.jwk import KeySet

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
    """Load the keys an API was configured with.

    Raises:
        ConfigurationError: they must not be used, or there is none.
    """
    try:
        found = keys if isinstance(keys, KeySet) else KeySet.parse(keys)
    except InvalidKey as refused:
        raise ConfigurationError(f"keys: {refused.description}") from None
    if not len(found):
        raise ConfigurationError("keys: the set holds no key that can be used")
    return found
