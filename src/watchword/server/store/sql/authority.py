"""Whether a caller still may: asked in the transaction that writes for them, and true until it commits."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, Literal, TypedDict, TypeVar, Unpack

from watchword.errors import InsufficientScope, InvalidCredentials, InvalidToken
from watchword.server.store.records import Authority, Origin
from watchword.server.store.sql.transaction import Row, Transaction, split

__all__ = ["Locks", "authorized"]

T = TypeVar("T")
Intention = Callable[[Transaction], Coroutine[Any, Any, T]]

_STANDING: Final = (
    "SELECT s.user_id, s.kind, s.version, s.epoch, s.ended_at, s.expires_at, s.idle_expires_at,"
    " u.floor, u.banned, u.banned_until, u.roles, c.floor, c.disabled, h.base, h.oldest_epoch,"
    " EXISTS (SELECT 1 FROM signing_keys k WHERE k.kid = ?2 AND k.purpose = 'token'"
    "  AND k.state IN ('next', 'active', 'retired')),"
    # ``id <> ''`` says again what the index is for; without it SQLite walks through the whole log.
    " EXISTS (SELECT 1 FROM revocations r WHERE r.id = ?3 AND r.id <> '' AND r.kind = 'token')"
    " FROM sessions s JOIN users u ON u.id = s.user_id JOIN clients c ON c.id = s.client_id CROSS JOIN head h"
    " WHERE s.id = ?1"
)


class Locks(TypedDict, total=False):
    """What an intention will lock, so that the caller's locks come in the order all intentions share.

    Attributes:
        user_id: the user it acts on.
        session_id: or the session, whose user is meant.
        roles: how it locks the roles.
        alone: whether it locks many users, or ends what all callers rest on: no other caller's write runs meanwhile.
    """

    user_id: str | None
    session_id: str | None
    roles: Literal["UPDATE", "SHARE"] | None
    alone: bool


def authorized(intention: Intention[T], origin: Origin | None, **locks: Unpack[Locks]) -> Intention[T]:
    """*intention* preceded by the check of the caller in *origin*, if there is one.

    Args:
        intention: what is to be done.
        origin: who asks.
        locks: as in ``Locks``.

    Raises (when it runs):
        InvalidToken: the caller's session, token or key has ended.
        InvalidCredentials: the password was changed after it was confirmed.
        InsufficientScope: the caller has lost the role.
    """
    authority = None if origin is None else origin.authority
    if authority is None:
        return intention

    async def act(tx: Transaction) -> T:
        await _hold(tx, authority, **locks)
        row = await tx.one(_STANDING, authority.session_id, authority.kid, authority.jti)
        _check(authority, row, tx.ms)
        return await intention(tx)

    return act


async def _hold(tx: Transaction, caller: Authority, **locks: Unpack[Locks]) -> None:
    """Lock the caller together with who they act on, so that two who act on each other wait in one order."""
    if (roles := locks.get("roles")) is not None:
        await tx.hold_roles(roles)
    await tx.hold_clients("NO KEY UPDATE" if locks.get("alone") else "SHARE")
    user_id, session_id = locks.get("user_id"), locks.get("session_id")
    if session_id is not None:
        row = await tx.one("SELECT user_id FROM sessions WHERE id = ?", session_id)
        user_id = None if row is None else row[0]
    for held in sorted({caller.user_id, user_id or caller.user_id}):
        if held == user_id:
            await tx.hold_user(held)
        else:
            # Shared, so that a program's many requests for one administrator don't wait for each other.
            await tx.connection.hold("SELECT 1 FROM users WHERE id = ? FOR SHARE", (held,))


def _check(caller: Authority, row: Row | None, now_ms: int) -> None:
    if row is None:
        raise InvalidToken("the token has been revoked")
    (
        user_id, kind, version, epoch, ended_at, expires_at, idle_expires_at,
        floor, banned, banned_until, roles, client_floor, disabled, base, oldest_epoch, key_lives, token_revoked,
    ) = row  # fmt: skip
    stands = (
        user_id == caller.user_id
        and kind == "login"
        and ended_at is None
        and min(expires_at, idle_expires_at, caller.exp * 1000) > now_ms
        and version >= floor
        and not (banned and (banned_until is None or banned_until > now_ms))
        and not disabled
        and caller.cv >= client_floor
        and caller.uv >= base
        and epoch >= oldest_epoch
        and key_lives
        and not token_revoked
    )
    if not stands:
        raise InvalidToken("the token has been revoked")
    if caller.proven is not None and caller.proven < floor:
        raise InvalidCredentials("the password was changed in the meantime: confirm with the new one")
    if caller.role is not None and caller.role not in split(roles):
        raise InsufficientScope(f'requires role "{caller.role}"')
