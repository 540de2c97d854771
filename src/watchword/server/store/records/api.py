"""Protected APIs, and the roles that carry their scope."""

from __future__ import annotations

from datetime import datetime

from watchword.server.store.records.record import Record

__all__ = ["Api", "Role"]


class Role(Record, frozen=True, kw_only=True):
    """A role and the scope it may carry."""

    name: str
    scope: tuple[str, ...]
    built_in: bool


class Api(Record, frozen=True, kw_only=True):
    """A protected API (RFC 8707 resource): its audience and the scope it knows; an empty scope takes any.

    ``encryption_jwk`` is the public key that tokens for it alone are encrypted to, as JSON.
    """

    audience: str
    scope: tuple[str, ...]
    built_in: bool
    created_at: datetime
    encryption_jwk: str | None = None
