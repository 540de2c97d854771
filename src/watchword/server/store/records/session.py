"""Sessions, refresh tokens as they are looked up, and what became of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from watchword.server.store.records.record import Record

__all__ = [
    "NewPair",
    "NewSession",
    "Session",
    "SessionKind",
    "SessionRules",
]

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
