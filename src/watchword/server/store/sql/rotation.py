"""What a refresh rests on: session, user, client, head, active key and scope, read in one statement.

One statement is one state: what roles and APIs say is never older than the version that the token will bear. Of the
session and its user it has only what a token or a refusal takes; ``facts`` reads the rest, too.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from watchword.server.store.records import Refused, SessionKind, TokenFacts, TokenSession, TokenSubject
from watchword.server.store.sql.facts import api_scope_of, granted_of, key_of, scopes_of
from watchword.server.store.sql.transaction import PRIMARY, split

__all__ = ["ROTATION", "SELECT_ROTATION", "Rotation", "facts_of", "refusal_of"]


class Rotation(NamedTuple):
    """A row of ``ROTATION``; times are milliseconds."""

    id: str
    user_id: str
    client_id: str
    version: int
    counter: int
    audience: str
    scope: str | None
    amr: str
    auth_time: int
    expires_at: int
    idle_expires_at: int
    ended_at: int | None
    kind: SessionKind
    public_key: str | None
    session_epoch: int
    secret_digest: bytes
    spent_1: int | None
    spent_2: int | None
    spent_3: int | None
    spent_4: int | None
    spent_address: str | None
    email: str
    username: str | None
    name: str | None
    roles: str
    banned: bool
    banned_until: int | None
    user_version: int
    user_floor: int
    client_version: int
    client_disabled: bool
    epoch: int
    base: int
    oldest_epoch: int
    clock: int
    instance: str
    old_nodes_until: int
    former_instances: str
    kid: str | None
    role_scopes: str | None
    api_scopes: str | None
    encryption_jwk: str | None


ROTATION: Final = (
    "s.id, s.user_id, s.client_id, s.version, s.counter, s.audience, s.scope, s.amr, s.auth_time, s.expires_at,"
    " s.idle_expires_at, s.ended_at, s.kind, s.public_key, s.epoch, s.secret_digest, s.spent_1, s.spent_2, s.spent_3,"
    " s.spent_4, s.spent_address, u.email, u.username, u.name, u.roles, u.banned, u.banned_until, u.version, u.floor,"
    " c.version, c.disabled, h.epoch, h.base, h.oldest_epoch, h.clock, h.instance, h.old_nodes_until,"
    f" h.former_instances, {key_of('s.audience')}, {scopes_of('s.audience')}"
)
"""Of session ``s``, its user ``u`` and client ``c``, and the head ``h``."""

SELECT_ROTATION: Final = (
    f"SELECT {ROTATION} FROM sessions s JOIN users u ON u.id = s.user_id JOIN clients c ON c.id = s.client_id"
    f" CROSS JOIN head h WHERE s.id = ? AND {PRIMARY}"
)


def refusal_of(row: Rotation, now_ms: int) -> Refused | None:
    """Why no token may be made of it."""
    if row.ended_at is not None:
        return Refused(reason="ended")
    if row.expires_at <= now_ms:
        return Refused(reason="expired")
    if row.idle_expires_at <= now_ms:
        return Refused(reason="idle")
    if row.banned and (row.banned_until is None or row.banned_until > now_ms):
        return Refused(reason="banned")
    if row.version < row.user_floor:
        return Refused(reason="below_floor")
    if row.client_disabled:
        return Refused(reason="client_disabled")
    if row.session_epoch < row.oldest_epoch:
        return Refused(reason="epoch")
    return None


def facts_of(row: Rotation, now_ms: int, *, counter: int, idle_expires_at: int) -> TokenFacts:
    """What a token of it vouches for, once the session has this counter and this end."""
    base, roles = row.base, split(row.roles)
    return TokenFacts(
        subject=TokenSubject(
            id=row.user_id,
            # After a brake a version below the base is one that no token may bear.
            version=max(row.user_version, base),
            roles=roles,
            email=row.email,
            username=row.username,
            name=row.name,
        ),
        client_id=row.client_id,
        client_version=max(row.client_version, base),
        session=TokenSession(
            id=row.id,
            counter=counter,
            scope=None if row.scope is None else split(row.scope),
            amr=split(row.amr),
            auth_time=row.auth_time,
            expires_at=row.expires_at,
            idle_expires_at=idle_expires_at,
            kind=row.kind,
            public_key=row.public_key,
        ),
        audience=split(row.audience),
        granted=granted_of(roles, row.role_scopes),
        api_scope=api_scope_of(row.api_scopes),
        epoch=row.epoch,
        kid=row.kid or "",
        base=base,
        encryption_jwk=row.encryption_jwk,
        clock_ms=row.clock,
        instance="" if now_ms < row.old_nodes_until else row.instance,
    )
