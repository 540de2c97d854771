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
from watchword.server.store.records.record import milliseconds

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

_MARGIN: Final = int(ENTRY_MARGIN.total_seconds() * 1000)

_REPLACED: Final = 64
"""Ids of ended sessions that one entry names at most: more than a fold ever finds."""
_COUNTS_PER_BOUND: Final = 1024
"""A log that is nearly full is counted this often while it grows by its whole bound."""

Row = tuple[Any, ...]


_CLOCK: Final = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


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
    shared: bool = False
    """Whether nodes share the database's clock: then what two of them compare is read from it, not carried on."""
    ms: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ms", milliseconds(self.now))

    async def clock_ms(self) -> int:
        """The time that all nodes share, to the millisecond; a node's own may be seconds off after a stall."""
        row = await self.one(_CLOCK) if self.shared else None
        return self.ms if row is None else int(row[0])

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
        """Shared: act for a caller. Else: keep every other caller's write out, as far as it comes after this."""
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
        until: int = 0,
    ) -> int:
        """Append an entry to the log; the last thing an intention does, so that sequence follows commits.

        Args:
            kind, id, below, excepted, claims, clients, keys: as in ``Entry``.
            owner: what this entry folds into when there are many like it.
            lasting: it never ends.
            until: when the newest token it revokes ends, which may have been made while a clock was ahead.
        """
        row = await self.one(
            "UPDATE head SET sequence = sequence + 1, clock = CASE WHEN clock < ?1 THEN ?1 ELSE clock END"
            " RETURNING sequence, longest_life, clock, counted_at",
            self.ms,
        )
        assert row is not None
        sequence, longest_life, clock, counted_at = row
        replaces: tuple[str, ...] = ()
        if kind == "claims":
            # The newest overlay of a user says all that the older ones said.
            await self.run("DELETE FROM revocations WHERE id = ? AND id <> '' AND kind = 'claims'", id)
        elif kind == "user":
            ends_at, replaces = await self._fold_kills(id, excepted)
            until = max(until, ends_at)
        end = 0 if lasting else max(clock + longest_life, until) + _MARGIN
        entry = Entry(
            sequence=sequence,
            kind=kind,
            id=id,
            below=below,
            excepted=excepted,
            at=clock // 1000,
            exp=-(-end // 1000),
            claims=claims or {},
            clients=clients,
            keys=tuple(keys),
            replaces=replaces,
        )
        await self.run(
            "INSERT INTO revocations (sequence, kind, id, owner, body, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            sequence, kind, id, owner, msgspec.json.encode(entry).decode(), end,
        )  # fmt: skip
        if sequence >= counted_at:
            await self._bound(sequence)
        return int(sequence)

    async def _fold_kills(self, id: str, excepted: str) -> tuple[int, tuple[str, ...]]:
        """Delete the entries of a user that a new one outbids; when the newest token they revoke ends, or 0.

        With them go the entries of ended sessions, whose ids guards are told, so that they forget them, too.

        Tokens of the session it excepts may still be revoked by an older entry, so the highest of those stays.
        """
        rows = await self.all(
            "SELECT sequence, body, expires_at FROM revocations WHERE id = ? AND id <> '' AND kind = 'user'"
            " ORDER BY sequence",
            id,
        )
        kept = 0
        if excepted:
            others = [
                (entry.below, entry.sequence)
                for _, body, _ in rows
                if (entry := msgspec.json.decode(body, type=Entry)).excepted != excepted
            ]
            kept = max(others)[1] if others else 0
        ends = [0]
        for sequence, _, end in rows:
            if sequence != kept:
                await self.run("DELETE FROM revocations WHERE sequence = ?", sequence)
                ends.append(end - _MARGIN)
        sessions = await self.all(
            "DELETE FROM revocations WHERE owner = ? AND kind = 'session' RETURNING expires_at, id", id
        )
        ended = tuple(sorted(session_id for _, session_id in sessions))
        return int(max(*ends, *(end - _MARGIN for end, _ in sessions), 0)), ended[:_REPLACED]

    async def _bound(self, sequence: int) -> None:
        """Count the entries; if there are too many, let one revoke everything. If not, say when to count again.

        The one ``key`` entry is replaced with each change and may be as old as the installation.
        """
        row = await self.one("SELECT count(*) FROM revocations WHERE kind <> 'key'")
        room = self.longest_log + 1 - (row[0] if row else 0)
        if room <= 0:
            await self.brake(Origin())
            return
        await self.run(
            "UPDATE head SET counted_at = ?", sequence + max(room, self.longest_log // _COUNTS_PER_BOUND)
        )

    async def brake(self, origin: Origin) -> None:
        """Kill every token there is: one entry says what too many would have to say.

        Sessions live, so clients refresh and go on; the entries that it outbids go.
        """
        await self.hold_head()
        base = await self.version_above_all()
        # Nothing issued before lives, so time may go on from now, even if it had run ahead.
        await self.run("UPDATE head SET base = ?, clock = ?, counted_at = sequence", base, self.ms)
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
