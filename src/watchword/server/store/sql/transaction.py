"""What an intention works with: one connection inside a transaction, the time, the head and the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from watchword.protocol.revocation_list import Entry, Kind
from watchword.server.store.records import Origin, User

__all__ = [
    "ENTRY_MARGIN",
    "LONGEST_LOG",
    "Overlay",
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


@dataclass(frozen=True, slots=True)
class Transaction:
    """One intention's view of the database.

    ``now`` is read once, so that everything an intention writes bears one time.
    """

    connection: sqlite3.Connection
    now: datetime
    overlay: Overlay
    longest_log: int

    @property
    def ms(self) -> int:
        """Now, in milliseconds since the epoch."""
        return milliseconds(self.now)

    def run(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Execute one statement."""
        return self.connection.execute(sql, values)

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row of a query."""
        row: tuple[Any, ...] | None = self.connection.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Every row of a query."""
        return self.connection.execute(sql, values).fetchall()

    def next_version(self, version: int) -> int:
        """The version after *version*: it never repeats, not after a restore or a second import either.

        It is above the base, too: a token of a user whose row is older bears the base as his version.
        """
        base = self.one("SELECT base FROM head")
        return max(version + 1, self.ms, base[0] + 1 if base else 0)

    def version_above_all(self) -> int:
        """A version above every one there is."""
        row = self.one(
            "SELECT max((SELECT coalesce(max(version), 0) FROM users),"
            " (SELECT coalesce(max(version), 0) FROM clients))"
        )
        return self.next_version(row[0] if row else 0)

    def revoke(
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
            # The newest overlay of a user says all that the older ones said.
            self.run("DELETE FROM revocations WHERE id = ? AND kind = 'claims'", id)
        row = self.one("UPDATE head SET sequence = sequence + 1 RETURNING sequence, longest_life")
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
        self.run(
            "INSERT INTO revocations (sequence, kind, id, owner, body, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            sequence, kind, id, owner, msgspec.json.encode(entry).decode(), end,
        )  # fmt: skip
        # The one ``key`` entry is replaced with each change and may be as old as the installation.
        oldest = self.one("SELECT sequence FROM revocations WHERE kind <> 'key' ORDER BY sequence LIMIT 1")
        if oldest is not None and sequence - oldest[0] >= self.longest_log:
            self.brake(Origin())
        return int(sequence)

    def brake(self, origin: Origin) -> None:
        """Kill every token there is: one entry says what too many would have to say.

        Sessions live, so clients refresh and go on; the entries that it outbids go.
        """
        base = self.version_above_all()
        self.run("UPDATE head SET base = ?", base)
        self.run("DELETE FROM revocations WHERE kind <> 'key'")
        self.record("issuer.braked", origin, detail={"below": base})
        self.revoke("issuer", below=base)

    def record(
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
        self.run(
            "INSERT INTO events (at, type, actor, user_id, session_id, client_id, address, user_agent, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self.ms, type, origin.actor, user_id, session_id or origin.session_id, client_id,
            origin.address, (origin.user_agent or "")[:300] or None, msgspec.json.encode(detail or {}).decode(),
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
