"""Users."""

from __future__ import annotations

from watchword.server.store.engine import Topic, reads, scans, writes
from watchword.server.store.sql import digests, users

__all__ = ["Users"]


class Users(Topic):
    """Users. What revokes their tokens raises version and floor together and writes a ``user`` entry."""

    add = writes(users.add, roles="SHARE")
    """Add a user.

    Raises:
        EmailTaken: another user has the email address.
        UsernameTaken: another user has the username.
        InvalidInput: a role is not known.
    """
    get = reads(users.get)
    find = reads(users.find)
    """The user with this normalized email or username, and the version read together with their digest."""
    list = scans(users.list_page)
    """Users in order of creation; *q* is found in email, username or name, ignoring case."""
    count = scans(users.count)
    other_digests = scans(digests.other_digests)
    """Up to *limit* password digests that don't begin so."""
    update = writes(users.update, user="user_id", roles="SHARE", roles_with="change.roles")
    """Change a user. Roles raise ``version`` (not ``floor``) and write an overlay. ``None``: no such user.

    Raises:
        EmailTaken, UsernameTaken, InvalidInput: as for ``add``.
    """
    set_password = writes(users.set_password, user="user_id")
    """Replace the password digest and end the user's sessions but *keep_session*, which rises with the version.

    ``None``: no such user, or their floor is above *expected_version* (they changed meanwhile).
    """
    rehash = writes(users.rehash)
    """Replace digest *old* by *new* of the same password; False if it is no longer *old*. No version moves."""
    ban = writes(users.ban, user="user_id")
    """Ban a user: version, floor, all sessions ended, entry, event. A second ban updates reason and end."""
    unban = writes(users.unban, user="user_id")
    """Lift a ban. Tokens from before it stay revoked."""
    delete = writes(users.delete, user="user_id")
    """Delete a user with their sessions; the entry that revokes their tokens stays."""
    log_out_everywhere = writes(users.log_out_everywhere, user="user_id")
    """End all sessions of a user by raising their floor; how many were ended."""
