"""What an intention works with: one connection inside a transaction, the time, the head and the log.

Intentions are coroutines in SQL that SQLite and PostgreSQL both read. Over SQLite they never wait; over
PostgreSQL they wait for nothing but their own statements.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol

import msgspec

from watchword.protocol.revocation_list import Entry, Kind
from watchword.server.store.records import Origin, User

__all__ = [
    "CLOCK_ERROR",
    "ENTRY_MARGIN",
    "LONGEST_LOG",
    "PRIMARY",
    "Connection",
    "Overlay",
    "Taken",
    "Transaction",
    "datetime_of",
    "join",
    "maybe_datetime",
    "milliseconds",
    "split",
]

Overlay = Callable[[User, tuple[str, ...]], dict[str, Any]]
"""What tokens already issued to a user show after a change: (the user, the scope his roles carry) -> claims."""

ENTRY_MARGIN: Final = timedelta(minutes=5)
"""How long an entry outlives the longest token it can matter to: leeway, and clocks that differ."""

CLOCK_ERROR: Final = timedelta(hours=1)
"""By how much this machine's clock may be set wrong without a revocation being thought needless."""


PRIMARY: Final = "TRUE /* on the primary */"
"""A condition that fails on a standby, whose data may be old. SQLite has none; PostgreSQL is asked."""

Row = tuple[Any, ...]


class Taken(Exception):
    """A name that must be unique belongs to somebody: the transaction is lost with it."""

    def __init__(self, column: str) -> None:
        super().__init__(column)
        self.column = column


class Connection(Protocol):
    """One connection inside a transaction. Values stand in the SQL as ``?`` in order, or as ``?1``."""

    def run(self, sql: str, values: Sequence[Any]) -> Coroutine[Any, Any, int]:
        """Execute one statement; the count of rows it touched.

        Raises:
            Taken: a name belongs to somebody else.
        """

    def first(self, sql: str, values: Sequence[Any]) -> Coroutine[Any, Any, Row | None]:
        """The first row of a query."""

    def all(self, sql: str, values: Sequence[Any]) -> Coroutine[Any, Any, list[Row]]:
        """Every row of a query."""

    def hold(self, sql: str, values: Sequence[Any]) -> Coroutine[Any, Any, None]:
        """Lock the rows that a ``SELECT ... FOR`` finds, where others may write meanwhile."""

    def turn(self) -> Coroutine[Any, Any, bool]:
        """Whether nobody else is clearing up; it is ours until the transaction ends."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One intention's view of the database.

    ``now`` is read once, so that everything an intention writes bears one time; ``ms`` is the same in
    milliseconds since the epoch.
    """

    connection: Connection
    now: datetime
    overlay: Overlay
    longest_log: int
    ms: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ms", milliseconds(self.now))

    def run(self, sql: str, *values: Any) -> Coroutine[Any, Any, int]:
        """Execute one statement; the count of rows it touched."""
        return self.connection.run(sql, values)

    def one(self, sql: str, *values: Any) -> Coroutine[Any, Any, Row | None]:
        """The first row of a query."""
        return self.connection.first(sql, values)

    def all(self, sql: str, *values: Any) -> Coroutine[Any, Any, list[Row]]:
        """Every row of a query."""
        return self.connection.all(sql, values)

    # Locks are taken in one order: roles, API, client, user, sessions, head. What is read after a lock is what stands.

    def hold_roles(self, strength: Literal["UPDATE", "SHARE"]) -> Coroutine[Any, Any, None]:
        """Let no role change until this transaction ends."""
        return self.connection.hold(f"SELECT 1 FROM roles ORDER BY name FOR {strength}", ())

    def hold_clients(self, strength: Literal["NO KEY UPDATE", "SHARE"]) -> Coroutine[Any, Any, None]:
        """Shared: act for a caller. Alone: end what all callers rest on, a key or every token, when none is acting."""
        return self.connection.hold(f"SELECT 1 FROM clients ORDER BY id FOR {strength}", ())

    def hold_user(self, user_id: str) -> Coroutine[Any, Any, None]:
        """Let nobody else act on this user until this transaction ends."""
        return self.connection.hold("SELECT 1 FROM users WHERE id = ? FOR NO KEY UPDATE", (user_id,))

    def hold_user_of(self, session_id: str) -> Coroutine[Any, Any, None]:
        """The same for the user of a session."""
        return self.connection.hold(
            "SELECT 1 FROM users WHERE id = (SELECT user_id FROM sessions WHERE id = ?) FOR NO KEY UPDATE",
            (session_id,),
        )

    def hold_head(self) -> Coroutine[Any, Any, None]:
        """Let nothing else be written to the log until this transaction ends."""
        return self.connection.hold("SELECT 1 FROM head FOR UPDATE", ())

    async def next_version(self, version: int) -> int:
        """The version after *version*: it never repeats, not after a restore or a second import either.

        It is above the base, too: a token of a user whose row is older bears the base as his version.
        """
        base = await self.one("SELECT base FROM head")
        return max(version + 1, self.ms, base[0] + 1 if base else 0)

    async def version_above_all(self) -> int:
        """A version above every one there is."""
        row = await self.one(
            "SELECT (SELECT coalesce(max(version), 0) FROM users), (SELECT coalesce(max(version), 0) FROM clients)"
        )
        return await self.next_version(max(row) if row else 0)

    async def revoke(
        self,
        kind: Kind,
        id: str = "",
        *,
        below: int = 0,
        excepted: str = "",
        owner: str | None = None,
        claims: dict[str, Any] | None = None,
        clients: tuple[str, ...] = (),
        keys: Sequence[dict[str, Any]] = (),
        lasting: bool = False,
    ) -> int:
        """Append an entry to the log; the last thing an intention does, so that sequence follows commits.

        Args:
            kind, id, below, excepted, claims, clients, keys: as in ``Entry``.
            owner: what this entry folds into when there are many like it.
            lasting: it never ends.
        """
        if kind == "claims":
            await self.hold_head()
            # The newest overlay of a user says all that the older ones said.
            await self.run("DELETE FROM revocations WHERE id = ? AND id <> '' AND kind = 'claims'", id)
        row = await self.one("UPDATE head SET sequence = sequence + 1 RETURNING sequence, longest_life")
        assert row is not None
        sequence, longest_life = row
        end = 0 if lasting else self.ms + longest_life + int(ENTRY_MARGIN.total_seconds() * 1000)
        entry = Entry(
            sequence=sequence,
            kind=kind,
            id=id,
            below=below,
            excepted=excepted,
            at=self.ms // 1000,
            exp=-(-end // 1000),
            claims=claims or {},
            clients=clients,
            keys=tuple(keys),
        )
        await self.run(
            "INSERT INTO revocations (sequence, kind, id, owner, body, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            sequence, kind, id, owner, msgspec.json.encode(entry).decode(), end,
        )  # fmt: skip
        # The one ``key`` entry is replaced with each change and may be as old as the installation.
        oldest = await self.one(
            "SELECT sequence FROM revocations WHERE kind <> 'key' ORDER BY sequence LIMIT 1"
        )
        if oldest is not None and sequence - oldest[0] >= self.longest_log:
            await self.brake(Origin())
        return int(sequence)

    async def brake(self, origin: Origin) -> None:
        """Kill every token there is: one entry says what too many would have to say.

        Sessions live, so clients refresh and go on; the entries that it outbids go.
        """
        await self.hold_head()
        base = await self.version_above_all()
        await self.run("UPDATE head SET base = ?", base)
        await self.run("DELETE FROM revocations WHERE kind <> 'key'")
        await self.record("issuer.braked", origin, detail={"below": base})
        await self.revoke("issuer", below=base)

    async def record(
        self,
        type: str,
        origin: Origin,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        client_id: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Write an audit event."""
        await self.run(
            "INSERT INTO events (at, type, actor, user_id, session_id, client_id, address, user_agent, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self.ms, type, origin.actor, user_id, session_id or origin.session_id, client_id,
            origin.address, origin.agent, msgspec.json.encode(detail or {}).decode(),
        )  # fmt: skip


LONGEST_LOG: Final = 1_000_000
"""Entries a guard must be able to hold; beyond, one that kills everything takes their place."""


def milliseconds(at: datetime) -> int:
    """A time as the database keeps it."""
    return int(at.timestamp() * 1000)


def datetime_of(ms: int) -> datetime:
    """A time as the records bear it."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def maybe_datetime(ms: int | None) -> datetime | None:
    """The same, of a column that may be empty."""
    return None if ms is None else datetime_of(ms)


def join(words: Sequence[str]) -> str:
    """A list of words as one column."""
    return " ".join(words)


def split(text: str) -> tuple[str, ...]:
    """The list a column holds."""
    return tuple(text.split())
