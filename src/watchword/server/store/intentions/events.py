"""The audit log."""

from __future__ import annotations

from watchword.server.store.engine import Topic, scans, writes
from watchword.server.store.sql import events

__all__ = ["Events"]


class Events(Topic):
    """The audit log."""

    add = writes(events.add, by_anybody=True)
    """Write an event that no other intention writes, such as a failed sign-in."""
    list = scans(events.list_page)
    """Events, newest first."""
    sweep = writes(events.sweep)
    """Delete up to *limit* events older than *before*; how many went."""
