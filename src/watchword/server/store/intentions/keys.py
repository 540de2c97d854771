"""The issuer's signing keys."""

from __future__ import annotations

from watchword.server.store.engine import Topic, reads, writes
from watchword.server.store.sql import keys

__all__ = ["Keys"]


class Keys(Topic):
    """Signing keys. Each change of what is published writes a ``key`` entry with the published public keys."""

    list = reads(keys.list_all)
    """Every key that is not gone, both purposes, oldest first."""
    add = writes(keys.add)
    """Add a key in the state it bears.

    A no-op if its purpose has a key in that state already: two nodes that start at once make one.
    """
    schedule = writes(keys.schedule)
    """Say when the waiting key becomes active."""
    activate = writes(keys.activate)
    """Make the waiting key *kid* active, retire the active one, put *successor* in wait; one caller wins.

    The retired key stays live for ``longest_life`` + 5 minutes (``gone_at``).
    """
    replace_waiting = writes(keys.replace_waiting)
    """Put *successor* in the place of the waiting key *kid*, which never signed; False if it waits no more."""
    compromise = writes(keys.compromise, alone=True)
    """Revoke a key and its tokens. If it was active, the waiting key becomes active and *successor* waits; if it was
    waiting, *successor* takes its place."""
    sweep = writes(keys.sweep)
    """Forget those of *kids* that are retired and whose last token has expired.

    The wall clock alone does not tell: who knows, by a clock that nobody sets, how long a key has rested says which.
    """
