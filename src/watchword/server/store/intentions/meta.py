"""Facts of the installation, and the nodes that serve from it."""

from __future__ import annotations

from watchword.server.store.engine import Topic, reads, writes
from watchword.server.store.sql import meta, nodes

__all__ = ["Meta"]


class Meta(Topic):
    """Small facts of the installation, by name, and who serves it."""

    get = reads(meta.get)
    put_new = writes(meta.put_new)
    """Write *value* unless there is one; the value that stands."""
    announce = writes(nodes.announce)
    """Say that *node* serves from this database, with these settings. It counts as live for a minute."""
    leave = writes(nodes.leave)
    """Say that it does so no longer."""
    nodes = reads(nodes.live)
    """The live nodes by their ids, each with its settings; earlier versions are not among them."""
