"""Clients."""

from __future__ import annotations

from watchword.server.store.records.record import Record

__all__ = ["Client"]


class Client(Record, frozen=True, kw_only=True):
    """A client, as far as tokens rest on it."""

    id: str
    name: str
    version: int
    floor: int
    disabled: bool
