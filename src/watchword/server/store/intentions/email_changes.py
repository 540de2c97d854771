"""New email addresses that wait for their confirmation."""

from __future__ import annotations

from watchword.server.store.engine import Topic, reads, writes
from watchword.server.store.sql import email_changes

__all__ = ["EmailChanges"]


class EmailChanges(Topic):
    """Addresses that users want to change to. One a user: the newest.

    It is void after a ban, another password, a logout everywhere, or another change of the address.
    """

    offer = writes(email_changes.offer, user="user_id")
    """Keep *email* (as shown, as compared) and the digest of its link. ``None``: the user asked too often."""
    wanted = reads(email_changes.wanted)
    """Whether a link may be sent there: it is nobody else's address, and at most *limit* users ask for it."""
    pending = reads(email_changes.pending)
    """The address that the link would confirm now; ``None``: it is unknown, spent, void or over."""
    complete = writes(email_changes.complete)
    """Spend the link and change the address, for exactly one caller; the user before that, or ``None``.

    Raises:
        EmailTaken: it is another user's by now.
    """
    sweep = writes(email_changes.sweep)
    """Delete up to *limit* that neither open anything nor count; how many went."""
