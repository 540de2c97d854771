"""What a token of a session rests on: session, user, client, head and active key, read in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from watchword.server.store.records import FirstPartyClient, Live, Refused, Session
from watchword.server.store.sql import users
from watchword.server.store.sql.transaction import Row, Transaction, datetime_of, maybe_datetime, split

__all__ = [
    "COLUMNS",
    "FACTS",
    "REST",
    "SELECT_FACTS",
    "WIDTH",
    "live_of",
    "read_live",
    "refusal_of",
    "session_of",
]

COLUMNS: Final = (
    "s.id, s.user_id, s.client_id, s.version, s.counter, s.audience, s.scope, s.amr, s.auth_time, s.device,"
    " s.address, s.user_agent, s.created_at, s.last_used_at, s.expires_at, s.idle_expires_at, s.ended_at, s.end_reason,"
    " s.kind, s.public_key"
)
"""Of a session alone."""

FACTS: Final = (
    f"{COLUMNS}, {users.COLUMNS}, c.id, c.name, c.version, c.floor, c.disabled, h.epoch,"
    " (SELECT k.kid FROM signing_keys k WHERE k.purpose = 'token' AND k.state = 'active' AND (k.audience = ''"
    "   OR instr(' ' || s.audience || ' ', ' ' || k.audience || ' ') > 0) ORDER BY k.audience DESC LIMIT 1),"
    " s.epoch, s.secret_digest, s.token_expires_at, s.spent_1, s.spent_2, s.spent_3, s.spent_4, s.spent_address,"
    " h.base, h.oldest_epoch"
)
"""Of session ``s``, its user ``u`` and client ``c``, and the head ``h``."""

SELECT_FACTS: Final = (
    f"SELECT {FACTS} FROM sessions s JOIN users u ON u.id = s.user_id JOIN clients c ON c.id = s.client_id"
    " CROSS JOIN head h WHERE s.id = ?"
)

_USER: Final = 20
_CLIENT: Final = _USER + users.WIDTH
REST: Final = _CLIENT + 5
"""Where what is neither session, user nor client begins."""

WIDTH: Final = REST + 12
"""How many columns the facts are."""


def refusal_of(row: Row, now_ms: int) -> Refused | None:
    """Why no token may be made of these facts."""
    user_row, client_row = row[_USER:_CLIENT], row[_CLIENT:REST]
    if row[16] is not None:
        return Refused(reason="ended")
    if row[14] <= now_ms:
        return Refused(reason="expired")
    if row[15] <= now_ms:
        return Refused(reason="idle")
    if user_row[5] and (user_row[7] is None or user_row[7] > now_ms):
        return Refused(reason="banned")
    if row[3] < user_row[11]:
        return Refused(reason="below_floor")
    if client_row[4]:
        return Refused(reason="client_disabled")
    if row[REST + 2] < row[REST + 11]:
        return Refused(reason="epoch")
    return None


async def read_live(tx: Transaction, row: Row) -> Live:
    """The facts of *row* with what roles and APIs say to them.

    These are read after the user: what they say is never older than the version that the token will bear.
    """
    carried: dict[str, str] = dict(await tx.all("SELECT name, scope FROM roles"))
    audience = split(row[5])
    marks = ", ".join("?" * len(audience))
    scopes = await tx.all(f"SELECT scope FROM apis WHERE audience IN ({marks})", *audience)
    return live_of(row, tx.ms, carried, [scope for (scope,) in scopes])


def live_of(row: Row, now_ms: int, carried: Mapping[str, str], api_scopes: Sequence[str]) -> Live:
    """The facts of *row* as a record.

    Args:
        row: as ``FACTS`` selects it.
        now_ms: the time.
        carried: the scope of each role, of this user's at least.
        api_scopes: the scope of each API the session is for.
    """
    user = users.read(row[_USER:_CLIENT], now_ms)
    session = session_of(row)
    client, base = row[_CLIENT:REST], row[REST + 10]
    if user.version < base:
        # After the brake a version below the base is one that no token may bear.
        user = msgspec.structs.replace(user, version=base)
    return Live(
        user=user,
        client=FirstPartyClient(
            id=client[0],
            name=client[1],
            version=max(client[2], base),
            floor=client[3],
            disabled=bool(client[4]),
        ),
        session=session,
        granted=users.combine(user.roles, carried),
        api_scope=_combine(api_scopes),
        epoch=row[REST],
        kid=row[REST + 1] or "",
        base=base,
    )


def _combine(api_scopes: Sequence[str]) -> tuple[str, ...]:
    # An API without a list of its own takes any scope.
    return tuple(dict.fromkeys(w for scope in api_scopes for w in split(scope))) if all(api_scopes) else ()


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
