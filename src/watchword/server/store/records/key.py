"""The issuer's signing keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from watchword.server.store.records.record import Record

__all__ = ["SigningKey"]


class SigningKey(Record, frozen=True, kw_only=True):
    """A key of the issuer: ``purpose`` tells tokens from the feed; ``sealed`` is the private part, encrypted.

    ``audience`` is the one API it signs for; empty for the issuer's own, which sign for all that have none.
    """

    kid: str
    purpose: Literal["token", "feed"]
    audience: str = ""
    algorithm: str
    state: Literal["next", "active", "retired", "compromised"]
    public_jwk: dict[str, Any]
    sealed: bytes
    created_at: datetime
    active_at: datetime | None
    retired_at: datetime | None
    gone_at: datetime | None
