"""What a row weighs: a real file is filled, and every table is weighed with its indexes."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.request import Request, urlopen

import msgspec

from bench.people import fill
from bench.process import free_port, started_server
from watchword.protocol.revocation_list import Entry

__all__ = ["TABLES", "bytes_per_row", "log_bytes_per_refresh"]

TABLES: Final = ("users", "sessions", "events", "revocations")
_REFRESHES: Final = 100
_USER_AGENT: Final = f"Mozilla/5.0 (an operating system) {'and an engine, ' * 5}a browser"
_EVENT: Final = (
    "INSERT INTO events (at, type, actor, user_id, session_id, client_id, address, user_agent, detail)"
    " VALUES (?, 'session.opened', ?, ?, ?, 'first-party', '203.0.113.77', ?, '{}')"
)
_REVOCATION: Final = (
    "INSERT INTO revocations (sequence, kind, id, owner, body, expires_at) VALUES (?, ?, ?, ?, ?, ?)"
)


def bytes_per_row(rows: int) -> dict[str, float]:
    """Bytes of a row of each table, indexes and half-filled pages included, in a file of so many rows of each."""
    with TemporaryDirectory(prefix="watchword-bench-") as folder:
        fill(Path(folder), "http://127.0.0.1:1", users=rows, profile="standard")
        with closing(sqlite3.connect(Path(folder) / "watchword.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            # What a browser brings along; `fill` leaves it out.
            connection.execute("UPDATE sessions SET user_agent = ?, address = '203.0.113.77'", (_USER_AGENT,))
            connection.executemany(_EVENT, _events(rows))
            connection.executemany(_REVOCATION, _revocations(rows))
            connection.execute("COMMIT")
            weights = dict(
                connection.execute(
                    "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_master USING (name) GROUP BY tbl_name"
                )
            )
    return {table: weights[table] / rows for table in TABLES}


def log_bytes_per_refresh() -> float:
    """Bytes that SQLite writes ahead for one refresh that has a commit to itself."""
    port = free_port()
    with TemporaryDirectory(prefix="watchword-bench-") as folder:
        where = Path(folder)
        url = f"http://127.0.0.1:{port}"
        people = fill(where / "data", url, users=1000, sample=_REFRESHES)
        with started_server("watchword", where, port, PASSWORD_HASH="test"):
            with closing(sqlite3.connect(where / "data" / "watchword.db")) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            log = where / "data" / "watchword.db-wal"
            before = log.stat().st_size
            for token in people.refresh_tokens:
                body = json.dumps({"refresh_token": token}).encode()
                asked = Request(f"{url}/auth/token", body, {"Content-Type": "application/json"})
                urlopen(asked).close()
            return (log.stat().st_size - before) / _REFRESHES


def _events(rows: int) -> Iterator[tuple[Any, ...]]:
    now = int(time.time() * 1000)
    for n in range(rows):
        user = f"usr_{secrets.token_urlsafe(16)}"
        yield now + n, user, user, f"ses_{secrets.token_urlsafe(16)}", _USER_AGENT


def _revocations(rows: int) -> Iterator[tuple[Any, ...]]:
    now = int(time.time())
    for n in range(1_000, rows + 1_000):  # the first few are there
        session = f"ses_{secrets.token_urlsafe(16)}"
        entry = Entry(sequence=n, kind="session", id=session, at=now, exp=now + 900)
        body = msgspec.json.encode(entry).decode()
        yield n, "session", session, f"usr_{secrets.token_urlsafe(16)}", body, (now + 900) * 1000
