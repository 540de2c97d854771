"""Clients."""

from __future__ import annotations

from watchword.server.store.engine import Topic, reads, writes
from watchword.server.store.sql import clients

__all__ = ["Clients"]


class Clients(Topic):
    """Clients, as far as first-party sign-ins need them."""

    get = reads(clients.get)
    disable = writes(clients.disable)
    """Disable a client: version, floor, entry, event; or enable it, and what was revoked stays so.

    ``None``: there is no such client.
    """
