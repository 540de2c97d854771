"""Users, and what changes them."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from watchword.server.store.records.record import Record

__all__ = ["LinkLimit", "NewUser", "User", "UserChange"]


class User(Record, frozen=True, kw_only=True):
    """A person who can log in.

    ``version`` rises with each change that live tokens must feel; ``floor`` is the last version
    that kills. ``banned_until`` is ``None`` for a ban without an end.
    """

    id: str
    email: str
    username: str | None
    name: str | None
    roles: tuple[str, ...]
    banned: bool
    ban_reason: str | None
    banned_until: datetime | None
    email_verified: bool
    password_digest: str | None
    version: int
    floor: int
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


class NewUser(Record, frozen=True, kw_only=True):
    """A user about to be added; ``email_key`` and ``username_key`` are the normalised forms that must be unique.

    ``created_at`` is when another system added them; ``None`` is now.
    """

    id: str
    email: str
    email_key: str
    username: str | None = None
    username_key: str | None = None
    name: str | None = None
    roles: tuple[str, ...] = ("user",)
    password_digest: str | None = None
    email_verified: bool = False
    banned: bool = False
    ban_reason: str | None = None
    banned_until: datetime | None = None
    created_at: datetime | None = None


class UserChange(Record, frozen=True, kw_only=True):
    """What an update changes; ``UNSET`` members stay.

    ``seen`` is the email and username by which it was decided that the caller may: the update is refused if the user
    has others by now.

    A change of ``roles`` raises the version and writes an overlay for tokens already issued;
    a change of e-mail or user name raises neither: no claim rests on them.
    """

    email: str | msgspec.UnsetType = msgspec.UNSET
    email_key: str | msgspec.UnsetType = msgspec.UNSET
    username: str | None | msgspec.UnsetType = msgspec.UNSET
    username_key: str | None | msgspec.UnsetType = msgspec.UNSET
    name: str | None | msgspec.UnsetType = msgspec.UNSET
    roles: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    seen: tuple[str, str | None] | msgspec.UnsetType = msgspec.UNSET


class LinkLimit(Record, frozen=True, kw_only=True):
    """How many links a user is sent in how long; no links is no limit."""

    links: int
    window: timedelta
