"""Everything a token of a session rests on, and what became of a session that was asked for."""

from __future__ import annotations

from typing import Literal

from watchword.server.store.records.client import Client
from watchword.server.store.records.record import Record, milliseconds
from watchword.server.store.records.session import Session
from watchword.server.store.records.subject import TokenFacts, TokenSession, TokenSubject
from watchword.server.store.records.user import User

__all__ = ["Advance", "Advanced", "Live", "Opened", "PresentedRefreshToken", "Refused", "Replayed"]


class Live(Record, frozen=True, kw_only=True):
    """Every fact a token vouches for, read in one statement: user, client, session, roles' scope, active key.

    ``granted`` is the scope the user's roles carry now; ``api_scope`` what the session's audience
    knows (empty: anything); ``kid`` the active key of that audience; a token made from a version below
    ``base`` is dead. ``encryption_jwk`` is the key of the one API that the session is for, if it has one.
    ``clock_ms`` is the latest time the log was written at: nothing is issued before it. ``instance`` names the
    database; empty while nodes of an older version may have to read the refresh token.
    """

    user: User
    client: Client
    session: Session
    granted: tuple[str, ...]
    api_scope: tuple[str, ...]
    epoch: int
    kid: str
    base: int = 0
    encryption_jwk: str | None = None
    clock_ms: int = 0
    instance: str = ""

    @property
    def facts(self) -> TokenFacts:
        """What a token of the session vouches for."""
        user, session = self.user, self.session
        return TokenFacts(
            subject=TokenSubject(
                id=user.id,
                version=user.version,
                roles=user.roles,
                email=user.email,
                username=user.username,
                name=user.name,
            ),
            client_id=session.client_id,
            client_version=self.client.version,
            session=TokenSession(
                id=session.id,
                counter=session.counter,
                scope=session.scope,
                amr=session.amr,
                auth_time=milliseconds(session.auth_time),
                expires_at=milliseconds(session.expires_at),
                idle_expires_at=milliseconds(session.idle_expires_at),
                kind=session.kind,
                public_key=session.public_key,
            ),
            audience=session.audience,
            granted=self.granted,
            api_scope=self.api_scope,
            epoch=self.epoch,
            kid=self.kid,
            base=self.base,
            encryption_jwk=self.encryption_jwk,
            clock_ms=self.clock_ms,
            instance=self.instance,
        )


class Opened(Record, frozen=True, kw_only=True):
    """A session was opened; ``evicted`` names the sessions that made room for it."""

    live: Live
    evicted: tuple[str, ...] = ()

    @property
    def facts(self) -> TokenFacts:
        """What a token of it vouches for."""
        return self.live.facts


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
    """The refresh token was current or a recent repeat; the counter of its session is the head to hand out.

    ``repeated``: the same head was handed out before (a lost answer, a second tab).
    """

    facts: TokenFacts
    repeated: bool = False


class Replayed(Record, frozen=True, kw_only=True):
    """A spent token came again past the grace, or one from the future: the session has been ended."""

    session_id: str
    reason: Literal["refresh_token_replayed", "store_rolled_back", "refresh_token_stolen"]


Advance = Advanced | Replayed | Refused
