"""What callers see of users and sessions, and what they may say: the structs of the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from watchword.server.store.records import Session, User
from watchword.server.tokens.issuance import TokenSet
from watchword.server.web.bounds import longest
from watchword.server.web.discreet import Discreet

__all__ = [
    "Audience",
    "BasicBody",
    "BasicView",
    "ConfirmEmailBody",
    "Device",
    "ForgotBody",
    "ForgotView",
    "LeaveBody",
    "LoginBody",
    "LoginView",
    "LogoutBody",
    "Name",
    "Password",
    "PasswordBody",
    "PendingEmailView",
    "ProfileBody",
    "RefreshedView",
    "RegisterBody",
    "RegisteredView",
    "ResetBody",
    "ScopeText",
    "SessionList",
    "SessionView",
    "Token",
    "TokenBody",
    "Typed",
    "UserView",
    "Username",
    "login_view",
    "refreshed_view",
    "session_view",
    "user_view",
]

Email = Annotated[str, Meta(max_length=320, description="An e-mail address")]
Typed = Annotated[str, longest(320)]
"""An e-mail address or user name at sign-in, where a longer text is as unknown as any other."""
Username = Annotated[str, longest(64)]
Name = Annotated[str, longest(800)]
"""A person's name: 200 characters after NFC, which may need four times as many before."""
Password = Annotated[str, longest(1024)]
Token = Annotated[str, longest(1024)]
"""A refresh token, API key, key id or the token of a link: each is far shorter."""
Audience = Annotated[str, longest(255)]
ScopeText = Annotated[str, longest(4096)]
Device = Annotated[str, Meta(max_length=200, description="A name of the device, for the list of sessions")]


class UserView(Struct, frozen=True, kw_only=True):
    """A user."""

    id: str
    email: str
    username: str | None
    name: str | None
    roles: tuple[str, ...]
    email_verified: bool
    created_at: datetime
    last_login_at: datetime | None


class RegisteredView(Struct, frozen=True, kw_only=True):
    """The user who was made."""

    user: UserView


class LoginView(Discreet, frozen=True, kw_only=True):
    """A token set and whose it is; in cookie mode without the tokens."""

    access_token: str | UnsetType = UNSET
    token_type: str | UnsetType = UNSET
    expires_in: int
    refresh_token: str | UnsetType = UNSET
    refresh_token_expires_in: int
    scope: str
    session_id: str
    user: UserView


class RefreshedView(Discreet, frozen=True, kw_only=True):
    """A token set; in cookie mode without the tokens. What an API key is traded for has no refresh token."""

    access_token: str | UnsetType = UNSET
    token_type: str | UnsetType = UNSET
    expires_in: int
    refresh_token: str | UnsetType = UNSET
    refresh_token_expires_in: int | UnsetType = UNSET
    scope: str
    session_id: str


class SessionView(Struct, frozen=True, kw_only=True):
    """A session: where from, since when, last used when."""

    id: str
    device: str | None
    address: str | None
    user_agent: str | None
    audience: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    current: bool


class SessionList(Struct, frozen=True, kw_only=True):
    """The sessions of a user."""

    items: tuple[SessionView, ...]
    next: str | None = None


class RegisterBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new account."""

    email: Email
    password: Password
    name: Name | None = None
    username: Username | None = None


class LoginBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A log-in, by e-mail or by user name."""

    password: Password
    email: Typed | None = None
    username: Typed | None = None
    audience: Audience | None = None
    scope: ScopeText | None = None
    device: Device | None = None
    cookie: bool = False


class BasicBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A log-in, by e-mail or by user name; everything is left out where a bearer token says who."""

    password: Password | None = None
    email: Typed | None = None
    username: Typed | None = None
    audience: Audience | None = None
    scope: ScopeText | None = None
    device: Device | None = None


class BasicView(Discreet, frozen=True, kw_only=True):
    """A temporary pair: ``authorization`` is the whole value of the header field."""

    username: str
    password: str
    expires_in: int
    authorization: str


class TokenBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A refresh, whose token is left out where a cookie brings it, or the exchange of a key."""

    refresh_token: Token | None = None
    api_key: Token | None = None
    signing_key: Annotated[str, longest(1024, "The id of a signing key")] | None = None
    audience: Audience | None = None
    scope: ScopeText | None = None


class LogoutBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A log-out; everything may be left out where a bearer token or a cookie says who."""

    refresh_token: Token | None = None
    everywhere: bool = False


class ProfileBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user may change of himself; what is left out stays."""

    name: Name | None | UnsetType = UNSET
    username: Username | None | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    current_password: Password | None = None


class PendingEmailView(UserView, frozen=True, kw_only=True):
    """The user as they are until the new address is confirmed by the link that was mailed to it."""

    pending_email: str


class ConfirmEmailBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token of the link."""

    token: Token


class LeaveBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password of whoever leaves, where a recent log-in does not prove him."""

    current_password: Password | None = None


class PasswordBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of password."""

    current_password: Password
    new_password: Password


class ForgotBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request for a link to choose another password."""

    email: Email


class ForgotView(Struct, frozen=True, kw_only=True):
    """The same for everybody: how long a link works, if there is one."""

    expires_in: int


class ResetBody(Discreet, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token of such a link, and the password that is chosen."""

    token: Token
    password: Password


def user_view(user: User) -> UserView:
    """A user as he and his clients see him."""
    return UserView(
        id=user.id,
        email=user.email,
        username=user.username,
        name=user.name,
        roles=user.roles,
        email_verified=user.email_verified,
        created_at=user.created_at,
        last_login_at=user.last_login_at,
    )


def login_view(tokens: TokenSet, user: User, *, bare: bool = False) -> LoginView:
    """The answer to a log-in; *bare*: without the tokens, which go by cookie."""
    return LoginView(
        access_token=UNSET if bare else tokens.access_token,
        token_type=UNSET if bare else tokens.token_type,
        expires_in=tokens.expires_in,
        refresh_token=UNSET if bare else tokens.refresh_token,
        refresh_token_expires_in=tokens.refresh_token_expires_in,
        scope=tokens.scope,
        session_id=tokens.session_id,
        user=user_view(user),
    )


def refreshed_view(tokens: TokenSet) -> RefreshedView:
    """The answer to a refresh by cookie: what a page must know, and no token."""
    return RefreshedView(
        expires_in=tokens.expires_in,
        refresh_token_expires_in=tokens.refresh_token_expires_in,
        scope=tokens.scope,
        session_id=tokens.session_id,
    )


def session_view(session: Session, current: str | None = None) -> SessionView:
    """A session as its user sees it."""
    return SessionView(
        id=session.id,
        device=session.device,
        address=session.address,
        user_agent=session.user_agent,
        audience=session.audience,
        created_at=session.created_at,
        last_used_at=session.last_used_at,
        expires_at=min(session.expires_at, session.idle_expires_at),
        current=session.id == current,
    )
