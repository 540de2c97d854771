"""Spending refresh tokens: on, again, or the end of the session (feed document, section 5; RFC 9700 4.14.2)."""

from __future__ import annotations

import hmac
from typing import Literal

from msgspec.structs import replace

from watchword.server.store.records import (
    Advance,
    Advanced,
    Origin,
    PresentedRefreshToken,
    Refused,
    Replayed,
    SessionRules,
)
from watchword.server.store.sql import sessions
from watchword.server.store.sql.rotation import SELECT_ROTATION, Rotation, facts_of, refusal_of
from watchword.server.store.sql.transaction import Transaction, milliseconds, split

__all__ = ["advance"]


async def advance(
    tx: Transaction, presented: PresentedRefreshToken, client_id: str, rules: SessionRules, origin: Origin
) -> Advance:
    """Spend a refresh token and tell what became of it."""
    await tx.hold_user_of(presented.session_id)
    found = await tx.one(SELECT_ROTATION, presented.session_id)
    row = None if found is None else Rotation._make(found)
    if row is None or not hmac.compare_digest(row.secret_digest, presented.secret_digest):
        return Refused(reason="unknown")
    refusal = refusal_of(row, tx.ms)
    if refusal is not None:
        return refusal
    instance = presented.instance
    if instance not in ("", row.instance) and instance not in split(row.former_instances):
        return Refused(reason="other_instance")
    if presented.epoch < row.oldest_epoch:
        return Refused(reason="epoch")
    if client_id != row.client_id:
        return await _replayed(tx, row, "refresh_token_stolen", origin)
    access = milliseconds(tx.now + rules.access_lifetime) + sessions.ahead(tx, row.clock)
    if presented.counter > row.counter or presented.epoch > row.epoch:
        if not instance:
            # A token of the older form doesn't say which database issued it, so it proves nothing about this one.
            return Refused(reason="other_instance")
        return await _replayed(tx, row, "store_rolled_back", origin)
    if presented.counter < row.counter:
        return await _repeat(tx, row, row.counter - presented.counter, access, rules, origin)
    idle_expires_at = milliseconds(tx.now + rules.idle)
    spent = await tx.run(
        "UPDATE sessions SET counter = counter + 1, last_used_at = ?1, idle_expires_at = ?2,"
        " token_expires_at = CASE WHEN token_expires_at > ?3 THEN token_expires_at ELSE ?3 END,"
        " spent_4 = spent_3, spent_3 = spent_2, spent_2 = spent_1, spent_1 = ?7, spent_address = ?4"
        " WHERE id = ?5 AND counter = ?6",
        tx.ms, idle_expires_at, access, origin.address, presented.session_id, row.counter,
        await tx.clock_ms(),
    )  # fmt: skip
    if not spent:
        # A batch of another node, which holds no user, has spent it meanwhile: it is looked at anew.
        return await advance(tx, presented, client_id, rules, origin)
    return Advanced(facts=facts_of(row, tx.ms, counter=row.counter + 1, idle_expires_at=idle_expires_at))


async def _repeat(
    tx: Transaction, row: Rotation, behind: int, access: int, rules: SessionRules, origin: Origin
) -> Advance:
    """A counter behind the head: three tabs or a lost answer within the grace, a replay past it."""
    spent = (row.spent_1, row.spent_2, row.spent_3, row.spent_4)
    spent_at = spent[behind - 1] if behind <= len(spent) else None
    grace = int(rules.grace.total_seconds() * 1000)
    # A clock that was set back a little must not end the sessions of everybody with two tabs.
    if spent_at is None or abs(await tx.clock_ms() - spent_at) >= grace:
        return await _replayed(tx, row, "refresh_token_replayed", origin)
    await tx.run(
        "UPDATE sessions SET token_expires_at = ?1 WHERE id = ?2 AND token_expires_at < ?1", access, row.id
    )
    await tx.record(
        "refresh_token.repeated",
        origin,
        user_id=row.user_id,
        session_id=row.id,
        client_id=row.client_id,
        detail={"first_address": row.spent_address, "behind": behind},
    )
    facts = facts_of(row, tx.ms, counter=row.counter, idle_expires_at=row.idle_expires_at)
    return Advanced(facts=facts, repeated=True)


async def _replayed(
    tx: Transaction,
    row: Rotation,
    reason: Literal["refresh_token_replayed", "store_rolled_back", "refresh_token_stolen"],
    origin: Origin,
) -> Replayed:
    detail = {"first_address": row.spent_address}
    await tx.record(
        reason, origin, user_id=row.user_id, session_id=row.id, client_id=row.client_id, detail=detail
    )
    await sessions.end_row(tx, row.id, row.user_id, reason, replace(origin, user_agent=None))
    return Replayed(session_id=row.id, reason=reason)
