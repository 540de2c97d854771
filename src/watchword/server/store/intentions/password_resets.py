"""Links to choose another password by."""

from __future__ import annotations

from watchword.server.store.engine import Topic, reads, writes
from watchword.server.store.sql import password_resets

__all__ = ["PasswordResets"]


class PasswordResets(Topic):
    """Links to choose another password by. One a user: the newest.

    It is void after another password, a ban, another email address, and the deletion of the user.
    """

    offer = writes(password_resets.offer)
    """Keep the digest of a link that is sent to this address; whose it is.

    ``None``: nobody has the address, they are banned, or were sent *limit* of late. There is an event either way, which
    says how many like it were *omitted*; with ``None`` a refusal has none.
    """
    grant = writes(password_resets.grant, user="user_id")
    """The same for one handed over by an administrator. ``None``: there is no such user, or they are banned."""
    owner = reads(password_resets.owner)
    """Whose password the link would replace now; ``None``: it is unknown, spent, void or over."""
    complete = writes(password_resets.complete)
    """Spend the link: the new password, all sessions ended, entry, event; for exactly one caller.

    ``None``: as for ``owner``.
    """
    sweep = writes(password_resets.sweep)
    """Delete up to *limit* that neither open anything nor count; how many went."""
