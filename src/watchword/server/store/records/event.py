"""Entries of the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from watchword.server.store.records.record import Record

__all__ = ["Event"]


class Event(Record, frozen=True, kw_only=True):
    """An entry of the audit log."""

    id: int
    at: datetime
    type: str
    actor: str
    user_id: str | None = None
    session_id: str | None = None
    client_id: str | None = None
    address: str | None = None
    user_agent: str | None = None
    detail: dict[str, Any] = msgspec.field(default_factory=dict)
