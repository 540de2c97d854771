"""What an administrator sees and says: the structs of the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from watchword.server.endpoints.views import Name, Password, Typed, Username, UserView
from watchword.server.store.records import Api, Event, Role, SigningKey, User
from watchword.server.web.discreet import Discreet

__all__ = [
    "AdminUserView",
    "ApiBody",
    "ApiChangeBody",
    "ApiList",
    "ApiView",
    "BanBody",
    "EventList",
    "EventView",
    "KeyList",
    "KeyView",
    "NewUserBody",
    "RevokeBody",
    "RevokedView",
    "RoleBody",
    "RoleList",
    "RoleView",
    "RotateBody",
    "RotationView",
    "ScopeBody",
    "SessionsEnded",
    "UserBody",
    "UserList",
    "admin_user_view",
    "key_view",
]

RoleName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_.:-]{0,63}$")]
RoleNames = Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=200)]
ScopeWords = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=128)], ...], Meta(max_length=200)]


class AdminUserView(UserView, frozen=True, kw_only=True):
    """A user, with what only administrators see."""

    banned: bool
    ban_reason: str | None
    banned_until: datetime | None
    updated_at: datetime


class UserList(Struct, frozen=True, kw_only=True):
    """One page of users."""

    items: tuple[AdminUserView, ...]
    next: str | None


class NewUserBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user to make; without a password nobody logs in until one is set."""

    email: Typed
    password: Password | None = None
    name: Name | None = None
    username: Username | None = None
    roles: RoleNames = ("user",)


class UserBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes of a user; what is left out stays."""

    email: Typed | UnsetType = UNSET
    name: Name | None | UnsetType = UNSET
    username: Username | None | UnsetType = UNSET
    roles: RoleNames | UnsetType = UNSET


class BanBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ban; without ``until`` it has no end."""

    reason: Annotated[str, Meta(max_length=500)] | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None


class SessionsEnded(Struct, frozen=True, kw_only=True):
    """How many sessions were ended."""

    ended: int


class RoleView(Struct, frozen=True, kw_only=True):
    """A role and the scope it may carry."""

    name: str
    scope: tuple[str, ...]
    built_in: bool


class RoleList(Struct, frozen=True, kw_only=True):
    """All roles."""

    items: tuple[RoleView, ...]
    next: str | None = None


class RoleBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role to make or change."""

    name: RoleName
    scope: ScopeWords = ()


class ScopeBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The scope of a role."""

    scope: ScopeWords


class ApiView(Struct, frozen=True, kw_only=True):
    """A protected API; an empty scope takes any."""

    audience: str
    scope: tuple[str, ...]
    built_in: bool
    created_at: datetime
    encryption_jwk: dict[str, str] | None = None


class ApiList(Struct, frozen=True, kw_only=True):
    """All APIs."""

    items: tuple[ApiView, ...]
    next: str | None = None


class ApiBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API to add."""

    audience: Annotated[str, Meta(min_length=1, max_length=255)]
    scope: ScopeWords = ()
    encryption_jwks: dict[str, Any] | None = None


class ApiChangeBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The public key that tokens for an API alone are encrypted to, in a key set; ``null``: none."""

    encryption_jwks: dict[str, Any] | None


class KeyView(Struct, frozen=True, kw_only=True):
    """A signing key: its public side and where it is in its life."""

    kid: str
    purpose: str
    audience: str | None
    algorithm: str
    state: str
    created_at: datetime
    active_at: datetime | None
    retired_at: datetime | None
    gone_at: datetime | None


class KeyList(Struct, frozen=True, kw_only=True):
    """The token keys."""

    items: tuple[KeyView, ...]
    next: str | None = None


class RotateBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rotation; ``now`` is for an incident, ``audience`` for an API with keys of its own."""

    purpose: Literal["token", "feed"] = "token"
    audience: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    algorithm: Annotated[str, Meta(min_length=1, max_length=20)] | None = None
    now: bool = False


class RevokeBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An access token, shown whole."""

    token: Annotated[str, Meta(min_length=1, max_length=8192)]


class RevokedView(Struct, frozen=True, kw_only=True):
    """The token that died, by its name, and whose it was."""

    jti: str
    user_id: str
    session_id: str | None


class RotationView(Struct, frozen=True, kw_only=True):
    """Which key signs from when, and which one retires then."""

    kid: str
    algorithm: str
    active_at: datetime
    retiring: str | None


class EventView(Struct, frozen=True, kw_only=True):
    """An entry of the audit log."""

    id: int
    at: datetime
    type: str
    actor: str
    user_id: str | None
    session_id: str | None
    client_id: str | None
    address: str | None
    user_agent: str | None
    detail: dict[str, Any]


class EventList(Struct, frozen=True, kw_only=True):
    """One page of the audit log, newest first."""

    items: tuple[EventView, ...]
    next: str | None


def admin_user_view(user: User) -> AdminUserView:
    """A user as administrators see him."""
    return AdminUserView(
        id=user.id,
        email=user.email,
        username=user.username,
        name=user.name,
        roles=user.roles,
        email_verified=user.email_verified,
        created_at=user.created_at,
        last_login_at=user.last_login_at,
        banned=user.banned,
        ban_reason=user.ban_reason,
        banned_until=user.banned_until,
        updated_at=user.updated_at,
    )


def role_view(role: Role) -> RoleView:
    """A role."""
    return RoleView(name=role.name, scope=role.scope, built_in=role.built_in)


def api_view(api: Api) -> ApiView:
    """An API."""
    return ApiView(
        audience=api.audience,
        scope=api.scope,
        built_in=api.built_in,
        created_at=api.created_at,
        encryption_jwk=None if api.encryption_jwk is None else msgspec.json.decode(api.encryption_jwk),
    )


def key_view(key: SigningKey) -> KeyView:
    """A key, without its private part."""
    return KeyView(
        kid=key.kid,
        purpose=key.purpose,
        audience=key.audience or None,
        algorithm=key.algorithm,
        state=key.state,
        created_at=key.created_at,
        active_at=key.active_at,
        retired_at=key.retired_at,
        gone_at=key.gone_at,
    )


def event_view(event: Event) -> EventView:
    """An audit event."""
    return EventView(
        id=event.id,
        at=event.at,
        type=event.type,
        actor=event.actor,
        user_id=event.user_id,
        session_id=event.session_id,
        client_id=event.client_id,
        address=event.address,
        user_agent=event.user_agent,
        detail=event.detail,
    )
