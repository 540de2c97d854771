"""Watchword: JWTs you can take back.

``Guard`` verifies access tokens inside an API; ``Principal`` is the caller it finds. The server is
``watchword serve``; the faces for web frameworks are in ``watchword.frameworks``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from watchword.errors import (
    ConfigurationError,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    MissingCredentials,
    TemporarilyUnavailable,
    TokenError,
    WatchwordError,
)

if TYPE_CHECKING:
    from watchword.guard.guard import Guard
    from watchword.guard.principal import Principal

__all__ = [
    "ConfigurationError",
    "Guard",
    "InsufficientScope",
    "InvalidRequest",
    "InvalidToken",
    "MissingCredentials",
    "Principal",
    "TemporarilyUnavailable",
    "TokenError",
    "WatchwordError",
    "__version__",
]

__version__: Final = "0.1.0"

_LATER: Final = {"Guard": "watchword.guard.guard", "Principal": "watchword.guard.principal"}


def __getattr__(name: str) -> Any:
    """Import the guard when it is asked for: the command line answers ``--help`` without cryptography."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value
