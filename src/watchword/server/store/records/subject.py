"""What an access token is made of: whom it is about, and everything it vouches for."""

from __future__ import annotations

from watchword.server.store.records.record import Record
from watchword.server.store.records.session import SessionKind

__all__ = ["TokenFacts", "TokenSession", "TokenSubject"]


class TokenSubject(Record, frozen=True, kw_only=True):
    """Whom a token is about; ``version`` is that of the user, and all claims of theirs are drawn from the rest."""

    id: str
    version: int
    roles: tuple[str, ...]
    email: str
    username: str | None
    name: str | None


class TokenSession(Record, frozen=True, kw_only=True):
    """The session a token belongs to. Times are milliseconds since the epoch.

    ``scope`` is what the session was opened for, ``None`` for all that the roles carry; ``public_key`` is the JWK that
    a signing key is, as JSON.
    """

    id: str
    counter: int
    scope: tuple[str, ...] | None
    amr: tuple[str, ...]
    auth_time: int
    expires_at: int
    idle_expires_at: int
    kind: SessionKind
    public_key: str | None


class TokenFacts(Record, frozen=True, kw_only=True):
    """Everything a token vouches for, read in one statement.

    Attributes:
        subject: whom it is about.
        client_id, client_version: by which client.
        session: of which session; ``None``: of none.
        audience: for whom.
        granted: the scope that the subject's roles carry now.
        api_scope: the scope that the audience knows; empty: anything.
        epoch: of the log.
        kid: the active key of that audience.
        base: a token made from a version below it is revoked.
        encryption_jwk: the key of the one API that it is for, if it has one.
        clock_ms: the latest time at which the log was written: nothing is issued before it.
        instance: names the database; empty while nodes of an older version may have to read the refresh token.
    """

    subject: TokenSubject
    client_id: str
    client_version: int
    session: TokenSession | None
    audience: tuple[str, ...]
    granted: tuple[str, ...]
    api_scope: tuple[str, ...]
    epoch: int
    kid: str
    base: int = 0
    encryption_jwk: str | None = None
    clock_ms: int = 0
    instance: str = ""
