"""What tokens already issued to a user show after a change."""

from __future__ import annotations

from typing import Any

from watchword.server.store.records import User
from watchword.server.store.sql.transaction import Overlay, join

__all__ = ["Overlay", "plain_overlay"]


def plain_overlay(user: User, granted: tuple[str, ...]) -> dict[str, Any]:
    """The roles a user has now, and the scope *granted* by them."""
    return {"roles": list(user.roles), "scope": join(granted)}
