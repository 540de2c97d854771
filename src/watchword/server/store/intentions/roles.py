"""Roles and the scope that each may carry."""

from __future__ import annotations

from watchword.server.store.engine import Topic, reads, writes
from watchword.server.store.sql import roles

__all__ = ["Roles"]


class Roles(Topic):
    """Roles."""

    list = reads(roles.list_all)
    """All roles by name."""
    get = reads(roles.get)
    set = writes(roles.set_scope, roles="UPDATE", alone=True)
    """Make or change a role. Users who have it get a new version; scope taken away is taken by an overlay."""
    delete = writes(roles.delete, roles="UPDATE", alone=True)
    """Delete a role and take it from every user.

    Raises:
        Conflict: the role is built in.
    """
