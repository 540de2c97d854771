"""Protected APIs (RFC 8707)."""

from __future__ import annotations

from watchword.server.store.engine import Topic, reads, writes
from watchword.server.store.sql import apis

__all__ = ["Apis"]


class Apis(Topic):
    """Protected APIs."""

    list = reads(apis.list_all)
    """All APIs by audience."""
    get = reads(apis.get)
    add = writes(apis.add)
    """Add an API.

    Raises:
        Conflict: there is one of this audience.
    """
    set_encryption = writes(apis.set_encryption)
    """Set the public key that tokens for it alone are encrypted to; ``None``: they are not."""
    delete = writes(apis.delete, alone=True)
    """Delete an API; its sessions end, and their tokens are revoked.

    Raises:
        Conflict: it is built in.
    """
