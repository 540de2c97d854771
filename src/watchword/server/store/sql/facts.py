"""What a token of a session rests on: session, user, client, head, active key and scope, read in one statement.

One statement is one state: what roles and APIs say is never older than the version that the token will bear.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from watchword.server.store.records import Client, Live, NewSession, Origin, Refused, Session, User
from watchword.server.store.sql import users
from watchword.server.store.sql.transaction import PRIMARY, Row, datetime_of, maybe_datetime, split

__all__ = [
    "CLOCK",
    "COLUMNS",
    "FACTS",
    "OPENING_CLOCK",
    "REST",
    "SELECT_FACTS",
    "SELECT_OPENING",
    "api_scope_of",
    "granted_of",
    "key_of",
    "live_of",
    "opening_of",
    "opening_refusal_of",
    "refusal_of",
    "scopes_of",
    "session_of",
]

COLUMNS: Final = (
    "s.id, s.user_id, s.client_id, s.version, s.counter, s.audience, s.scope, s.amr, s.auth_time, s.device,"
    " s.address, s.user_agent, s.created_at, s.last_used_at, s.expires_at, s.idle_expires_at, s.ended_at, s.end_reason,"
    " s.kind, s.public_key"
)
"""Of a session alone."""

_CLIENT_COLUMNS: Final = "c.id, c.name, c.version, c.floor, c.disabled"


def key_of(audience: str) -> str:
    """The key that signs for an audience; both states are named because the index is of both."""
    return (
        "(SELECT k.kid FROM signing_keys k WHERE k.purpose = 'token' AND k.state IN ('next', 'active')"
        " AND k.state = 'active' AND (k.audience = ''"
        f" OR instr(' ' || {audience} || ' ', ' ' || k.audience || ' ') > 0) ORDER BY k.audience DESC LIMIT 1)"
    )


def scopes_of(audience: str) -> str:
    """What the user's roles carry and what the APIs of an audience know, a line each; the key of one that is alone."""
    return (
        "(SELECT group_concat(r.name || ' ' || r.scope, '\n') FROM roles r"
        " WHERE instr(' ' || u.roles || ' ', ' ' || r.name || ' ') > 0),"
        " (SELECT group_concat(a.scope, '\n') FROM apis a"
        f" WHERE instr(' ' || {audience} || ' ', ' ' || a.audience || ' ') > 0),"
        f" (SELECT a.encryption_jwk FROM apis a WHERE a.audience = {audience})"
    )


_HEAD: Final = "h.clock, h.instance, h.old_nodes_until, h.former_instances"
"""Of the head, what a token's time and its refresh token rest on."""

FACTS: Final = (
    f"{COLUMNS}, {users.COLUMNS}, {_CLIENT_COLUMNS}, h.epoch, {key_of('s.audience')},"
    " s.epoch, s.secret_digest, s.token_expires_at, s.spent_1, s.spent_2, s.spent_3, s.spent_4, s.spent_address,"
    f" h.base, h.oldest_epoch, {scopes_of('s.audience')}, {_HEAD}"
)
"""Of session ``s``, its user ``u`` and client ``c``, and the head ``h``."""

SELECT_FACTS: Final = (
    f"SELECT {FACTS} FROM sessions s JOIN users u ON u.id = s.user_id JOIN clients c ON c.id = s.client_id"
    f" CROSS JOIN head h WHERE s.id = ? AND {PRIMARY}"
)

_ASKED: Final = "CAST(?3 AS TEXT)"

SELECT_OPENING: Final = (
    f"SELECT {users.COLUMNS}, {_CLIENT_COLUMNS}, h.epoch, {key_of(_ASKED)}, h.base, {scopes_of(_ASKED)}, {_HEAD},"
    " (SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND s.ended_at IS NULL)"
    " FROM users u CROSS JOIN head h LEFT JOIN clients c ON c.id = ?2 WHERE u.id = ?1"
)
"""What a session that is about to open rests on: (user, client, audience); at the end how many he has at most."""

_USER: Final = 20
_CLIENT: Final = _USER + users.WIDTH
REST: Final = _CLIENT + 5
"""Where what is neither session, user nor client begins."""
CLOCK: Final = REST + 15
"""Where the head's clock is in ``FACTS``; its instance, and those before, follow."""
OPENING_CLOCK: Final = users.WIDTH + 5 + 6
"""The same in ``SELECT_OPENING``."""


def refusal_of(row: Row, now_ms: int) -> Refused | None:
    """Why no token may be made of these facts."""
    user_row, client_row = row[_USER:_CLIENT], row[_CLIENT:REST]
    if row[16] is not None:
        return Refused(reason="ended")
    if row[14] <= now_ms:
        return Refused(reason="expired")
    if row[15] <= now_ms:
        return Refused(reason="idle")
    if (refusal := _refusal(user_row, client_row, row[3], now_ms)) is not None:
        return refusal
    if row[REST + 2] < row[REST + 11]:
        return Refused(reason="epoch")
    return None


def opening_refusal_of(row: Row, version: int, now_ms: int) -> Refused | None:
    """Why no session opens on the facts of *row*, as ``SELECT_OPENING`` selects it, for a user read at *version*."""
    return _refusal(row[: users.WIDTH], row[users.WIDTH : users.WIDTH + 5], version, now_ms)


def _refusal(user: Row, client: Row, version: int, now_ms: int) -> Refused | None:
    if user[5] and (user[7] is None or user[7] > now_ms):
        return Refused(reason="banned")
    if version < user[11]:
        return Refused(reason="below_floor")
    if client[0] is None or client[4]:
        return Refused(reason="client_disabled")
    return None


def live_of(row: Row, now_ms: int) -> Live:
    """The facts of *row*, as ``FACTS`` selects it, as a record."""
    session, user = session_of(row), users.read(row[_USER:_CLIENT], now_ms)
    return _live(
        session, user, row[_CLIENT:REST], row[REST : REST + 2], row[REST + 10], row[REST + 12 : REST + 15],
        row[CLOCK : CLOCK + 3], now_ms,
    )  # fmt: skip


def opening_of(row: Row, new: NewSession, origin: Origin, ends: tuple[int, ...], now_ms: int) -> Live:
    """The facts of a session that opens now.

    Args:
        row: as ``SELECT_OPENING`` selects it.
        new, origin: what is asked for, and by whom.
        ends: when it expires, when it does if nobody uses it, and when its newest token does.
        now_ms: the time.
    """
    width = users.WIDTH
    now = datetime_of(now_ms)
    seen = now_ms if new.kind == "login" else row[width - 1]
    user = users.read((*row[: width - 1], seen), now_ms)
    session = Session(
        id=new.id,
        user_id=new.user_id,
        client_id=new.client_id,
        version=new.version,
        counter=0,
        audience=new.audience,
        scope=new.scope,
        amr=new.amr,
        auth_time=now,
        device=new.device,
        address=origin.address,
        user_agent=origin.agent,
        created_at=now,
        last_used_at=now,
        expires_at=datetime_of(ends[0]),
        idle_expires_at=datetime_of(ends[1]),
        ended_at=None,
        end_reason=None,
        kind=new.kind,
        public_key=new.public_key,
    )
    rest = width + 5
    return _live(
        session, user, row[width:rest], row[rest : rest + 2], row[rest + 2], row[rest + 3 : rest + 6],
        row[OPENING_CLOCK : OPENING_CLOCK + 3], now_ms,
    )  # fmt: skip


def _live(
    session: Session, user: User, client: Row, signs: Row, base: int, scopes: Row, head: Row, now_ms: int
) -> Live:
    roles, apis, encryption_jwk = scopes
    clock_ms, instance, old_nodes_until = head
    if user.version < base:
        # After the brake a version below the base is one that no token may bear.
        user = msgspec.structs.replace(user, version=base)
    return Live(
        user=user,
        client=Client(
            id=client[0],
            name=client[1],
            version=max(client[2], base),
            floor=client[3],
            disabled=bool(client[4]),
        ),
        session=session,
        granted=granted_of(user.roles, roles),
        api_scope=api_scope_of(apis),
        epoch=signs[0],
        kid=signs[1] or "",
        base=base,
        encryption_jwk=encryption_jwk,
        clock_ms=clock_ms,
        instance="" if now_ms < old_nodes_until else instance,
    )


# Many sessions, a handful of roles and APIs: what they come to is worked out once for each text.
@lru_cache(1024)
def granted_of(roles: tuple[str, ...], carried: str | None) -> tuple[str, ...]:
    """The scope that *roles* carry; *carried* has each role and its scope, a line each."""
    scopes = dict([line.split(" ", 1) for line in carried.split("\n")]) if carried else {}
    return users.combine(roles, scopes)


@lru_cache(1024)
def api_scope_of(apis: str | None) -> tuple[str, ...]:
    """The scope that an audience knows; *apis* has that of each API, a line each."""
    # An API without a list of its own takes any scope.
    scopes = apis.split("\n") if apis else [""]
    return tuple(dict.fromkeys(split(" ".join(scopes)))) if all(scopes) else ()


def session_of(row: Row) -> Session:
    """A row that begins with ``COLUMNS`` as a record."""
    return Session(
        id=row[0],
        user_id=row[1],
        client_id=row[2],
        version=row[3],
        counter=row[4],
        audience=split(row[5]),
        scope=None if row[6] is None else split(row[6]),
        amr=split(row[7]),
        auth_time=datetime_of(row[8]),
        device=row[9],
        address=row[10],
        user_agent=row[11],
        created_at=datetime_of(row[12]),
        last_used_at=datetime_of(row[13]),
        expires_at=datetime_of(row[14]),
        idle_expires_at=datetime_of(row[15]),
        ended_at=maybe_datetime(row[16]),
        end_reason=row[17],
        kind=row[18],
        public_key=row[19],
    )
