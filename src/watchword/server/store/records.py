"""The records a store keeps, and the facts its intentions answer with. All frozen; times are aware datetimes in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar

import msgspec

__all__ = [
    "Advance",
    "Advanced",
    "Api",
    "Authority",
    "Event",
    "FirstPartyClient",
    "LinkLimit",
    "Live",
    "LoginRecord",
    "NewPair",
    "NewSession",
    "NewUser",
    "Opened",
    "Origin",
    "Page",
    "PresentedRefreshToken",
    "Refused",
    "Replayed",
    "Role",
    "Session",
    "SessionKind",
    "SessionRules",
    "SigningKey",
    "User",
    "UserChange",
]

T = TypeVar("T")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What every record is: frozen, made by keyword, silent about secrets."""

    def __repr__(self) -> str:
        secret = {"password_digest", "secret_digest", "sealed"}
        shown = ", ".join(
            f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in secret
        )
        return f"{type(self).__name__}({shown})"

    __str__ = __repr__


class Authority(Record, frozen=True, kw_only=True):
    """What a request acts on, checked again in the transaction that writes for it: meanwhile much can end.

    Attributes:
        user_id, session_id: the caller.
        jti, kid, exp, uv, cv: the token, its key, its end, and the versions of user and client it was made from.
        role: the role that the route requires.
        proven: the user version under which ``current_password`` was checked, if it was.
    """

    user_id: str
    session_id: str
    jti: str
    kid: str
    exp: float
    uv: int
    cv: int
    role: str | None = None
    proven: int | None = None


class Origin(Record, frozen=True, kw_only=True):
    """Who asks, for the audit log: an actor (``usr_…``, ``cli_…``, ``command-line``, ``system``) and his address."""

    actor: str = "system"
    address: str | None = None
    user_agent: str | None = None
    session_id: str | None = None
    authority: Authority | None = None
    """``None``: the operator, or the server itself, who need none."""

    @property
    def agent(self) -> str | None:
        """As much of the user agent as is kept: 200 bytes."""
        text = (self.user_agent or "")[:200]
        if text.isascii():
            return text or None
        return text.encode("utf-8", "replace")[:200].decode("utf-8", "ignore") or None


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

    A change of ``roles`` raises the version and writes an overlay for tokens already issued;
    a change of e-mail or user name raises neither: no claim rests on them.
    """

    email: str | msgspec.UnsetType = msgspec.UNSET
    email_key: str | msgspec.UnsetType = msgspec.UNSET
    username: str | None | msgspec.UnsetType = msgspec.UNSET
    username_key: str | None | msgspec.UnsetType = msgspec.UNSET
    name: str | None | msgspec.UnsetType = msgspec.UNSET
    roles: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class LoginRecord(Record, frozen=True, kw_only=True):
    """What a log-in needs to know of a user before his password is checked; ``version`` is read with the digest."""

    user: User
    version: int


class LinkLimit(Record, frozen=True, kw_only=True):
    """How many links a user is sent in how long; no links is no limit."""

    links: int
    window: timedelta


class FirstPartyClient(Record, frozen=True, kw_only=True):
    """A client, as far as tokens rest on it."""

    id: str
    name: str
    version: int
    floor: int
    disabled: bool


class Role(Record, frozen=True, kw_only=True):
    """A role and the scope it may carry."""

    name: str
    scope: tuple[str, ...]
    built_in: bool


class Api(Record, frozen=True, kw_only=True):
    """A protected API (RFC 8707 resource): its audience and the scope it knows; an empty scope takes any.

    ``encryption_jwk`` is the public key that tokens for it alone are encrypted to, as JSON.
    """

    audience: str
    scope: tuple[str, ...]
    built_in: bool
    created_at: datetime
    encryption_jwk: str | None = None


SessionKind = Literal["login", "api_key", "signing_key"]


class Session(Record, frozen=True, kw_only=True):
    """A log-in that lasts, or a key: one row, updated in place by each refresh (never one row a token).

    A key's ``device`` is its name, and its ``counter`` tells whether it was ever used; ``public_key`` is the JWK
    that a signing key is, as JSON.
    """

    id: str
    user_id: str
    client_id: str
    version: int
    counter: int
    audience: tuple[str, ...]
    scope: tuple[str, ...] | None
    amr: tuple[str, ...]
    auth_time: datetime
    device: str | None
    address: str | None
    user_agent: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    idle_expires_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    kind: SessionKind = "login"
    public_key: str | None = None


class SessionRules(Record, frozen=True, kw_only=True):
    """The policy an intention on sessions applies; spans, never points in time."""

    lifetime: timedelta
    idle: timedelta
    grace: timedelta
    maximum_per_user: int
    access_lifetime: timedelta


class NewPair(Record, frozen=True, kw_only=True):
    """A temporary Basic pair about to be given: the token *jti* is its password, for so long at most."""

    jti: str
    life: timedelta


class NewSession(Record, frozen=True, kw_only=True):
    """A session about to open.

    Attributes:
        version: the user version under which the password hash was read; a session opened below
            the user's floor is dead on arrival and is refused.
        scope: what was asked for, ``None`` for all that the user's roles carry.
        audience: the ``aud`` of its tokens.
        apis: those of *audience* that must be there still when it opens; its end is theirs.
        secret_digest: SHA-256 of the 128-bit session secret.
        parent: the session in which it was asked for, which must live still.
        pair: the Basic pair that it begins with.
    """

    id: str
    user_id: str
    client_id: str
    version: int
    audience: tuple[str, ...]
    scope: tuple[str, ...] | None
    amr: tuple[str, ...]
    secret_digest: bytes
    apis: tuple[str, ...] = ()
    device: str | None = None
    kind: SessionKind = "login"
    parent: str | None = None
    public_key: str | None = None
    pair: NewPair | None = None


class Live(Record, frozen=True, kw_only=True):
    """Every fact a token vouches for, read in one statement: user, client, session, roles' scope, active key.

    ``granted`` is the scope the user's roles carry now; ``api_scope`` what the session's audience
    knows (empty: anything); ``kid`` the active key of that audience; a token made from a version below
    ``base`` is dead. ``encryption_jwk`` is the key of the one API that the session is for, if it has one.
    ``clock_ms`` is the latest time the log was written at: nothing is issued before it. ``instance`` names the
    database; empty while nodes of an older version may have to read the refresh token.
    """

    user: User
    client: FirstPartyClient
    session: Session
    granted: tuple[str, ...]
    api_scope: tuple[str, ...]
    epoch: int
    kid: str
    base: int = 0
    encryption_jwk: str | None = None
    clock_ms: int = 0
    instance: str = ""


class Opened(Record, frozen=True, kw_only=True):
    """A session was opened; ``evicted`` names the sessions that made room for it."""

    live: Live
    evicted: tuple[str, ...] = ()


class Refused(Record, frozen=True, kw_only=True):
    """A session was not opened, or is not alive: why, in one word for the log."""

    reason: Literal[
        "unknown",
        "banned",
        "deleted",
        "ended",
        "expired",
        "idle",
        "below_floor",
        "client_disabled",
        "api_deleted",
        "epoch",
        "crowded",
        "too_many",
        "parent_ended",
        "other_instance",
    ]


class PresentedRefreshToken(Record, frozen=True, kw_only=True):
    """A refresh token whose MAC holds, as an intention looks it up.

    ``instance`` names the database that issued it; empty for a token of the older form.
    """

    session_id: str
    epoch: int
    counter: int
    secret_digest: bytes
    instance: str = ""


class Advanced(Record, frozen=True, kw_only=True):
    """The refresh token was current or a recent repeat; ``live.session.counter`` is the head to hand out.

    ``repeated``: the same head was handed out before (a lost answer, a second tab).
    """

    live: Live
    repeated: bool = False


class Replayed(Record, frozen=True, kw_only=True):
    """A spent token came again past the grace, or one from the future: the session has been ended."""

    session_id: str
    reason: Literal["refresh_token_replayed", "store_rolled_back", "refresh_token_stolen"]


Advance = Advanced | Replayed | Refused


class SigningKey(Record, frozen=True, kw_only=True):
    """A key of the issuer: ``purpose`` tells tokens from the feed; ``sealed`` is the private part, encrypted.

    ``audience`` is the one API it signs for; empty for the issuer's own, which sign for all that have none.
    """

    kid: str
    purpose: Literal["token", "feed"]
    audience: str = ""
    algorithm: str
    state: Literal["next", "active", "retired", "compromised"]
    public_jwk: dict[str, Any]
    sealed: bytes
    created_at: datetime
    active_at: datetime | None
    retired_at: datetime | None
    gone_at: datetime | None


class Event(Record, frozen=True, kw_only=True):
    """An entry of the audit log."""

    id: int
    at: datetime
    type: str
    actor: str
    user_id: str | None = None
    session_id: str | None = None
    client_id: str | None = None
    address: str | None = None
    user_agent: str | None = None
    detail: dict[str, Any] = {}


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list and the cursor of the next, ``None`` at the end."""

    items: tuple[T, ...]
    next: str | None = None
