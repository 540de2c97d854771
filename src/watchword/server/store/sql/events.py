"""The audit log, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from watchword.errors import InvalidInput
from watchword.server.store.records import Event, Origin, Page
from watchword.server.store.sql.transaction import Transaction, datetime_of, milliseconds

__all__ = ["add", "list_page", "sweep"]


async def add(
    tx: Transaction,
    type: str,
    origin: Origin,
    *,
    user_id: str | None = None,
    session_id: str | None = None,
    client_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write one that no other intention writes."""
    await tx.record(type, origin, user_id=user_id, session_id=session_id, client_id=client_id, detail=detail)


async def list_page(
    tx: Transaction,
    *,
    type: str | None = None,
    user_id: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Event]:
    """One page, by keyset."""
    where, values = ["TRUE"], []
    for column, value in (("type", type), ("user_id", user_id)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    if cursor is not None:
        if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
            raise InvalidInput(errors=[("cursor", "is not one that a list gave")])
        where.append("id < ?")
        values.append(int(cursor))  # type: ignore[arg-type]
    rows = await tx.all(
        "SELECT id, at, type, actor, user_id, session_id, client_id, address, user_agent, detail FROM events"
        f" WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?",
        *values, limit + 1,
    )  # fmt: skip
    return Page(
        tuple(_read(row) for row in rows[:limit]), str(rows[limit - 1][0]) if len(rows) > limit else None
    )


async def sweep(tx: Transaction, before: datetime, limit: int) -> int:
    """Delete old events, oldest first: the id rises with the time, so the walk stops at the first young one."""
    if not await tx.connection.turn():
        return 0
    return await tx.run(
        "DELETE FROM events WHERE at < ? AND id IN (SELECT id FROM events ORDER BY id LIMIT ?)",
        milliseconds(before), limit,
    )  # fmt: skip


def _read(row: tuple[Any, ...]) -> Event:
    return Event(
        id=row[0],
        at=datetime_of(row[1]),
        type=row[2],
        actor=row[3],
        user_id=row[4],
        session_id=row[5],
        client_id=row[6],
        address=row[7],
        user_agent=row[8],
        detail=msgspec.json.decode(row[9]),
    )
