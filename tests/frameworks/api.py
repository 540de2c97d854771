"""The guard that every face is tried behind: it takes whatever a guard can take."""

from __future__ import annotations

from tests.frameworks.box import BOX
from watchword import Guard

__all__ = ["make_guard"]


def make_guard() -> Guard:
    """A guard of one application."""
    return Guard(
        "https://auth.example.com",
        origin="https://api.example.com",
        cookie="watchword",
        cookie_origins=["https://app.example.com"],
        decryption_keys={"keys": [BOX.private_jwk()]},
    )
