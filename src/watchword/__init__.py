"""Watchword: JWTs you can take back.

``Guard`` verifies access tokens inside an API; ``Principal`` is the caller it finds. The server is
``watchword serve``; the faces for web frameworks are in ``watchword.frameworks``.
"""

from __future__ import annotations

from typing import Final

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
