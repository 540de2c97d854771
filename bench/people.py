"""People in bulk: users and sessions written straight into a server's file before it starts, a million in seconds."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from argon2 import PasswordHasher

from bench.process import Process, free_port, started_server
from watchword.protocol.access_token import FIRST_PARTY_CLIENT_ID
from watchword.server.services import open_services, utc_now
from watchword.server.settings import Settings
from watchword.server.store.sql.transaction import milliseconds
from watchword.server.tokens.refresh_token import SECRET_SIZE, secret_digest

__all__ = ["HASH", "PASSWORD", "People", "fill", "populated_server"]

PASSWORD: Final = "nine-slow-lanterns"
_SECRET: Final = bytes(range(SECRET_SIZE))
_FIRST_LOGIN: Final = 1_790_000_000_000
"""Milliseconds: a session's id begins with the time at which it did."""

HASH: Final = {
    "test": PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
    "standard": PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1),
}
"""The hash profiles of the server: one that costs nearly nothing, and the one for people."""

_USER: Final = (
    "INSERT INTO users (id, email, email_key, roles, password_digest, email_verified, banned, version, floor,"
    " created_at, updated_at) VALUES (?, ?, ?, 'user', ?, 0, 0, 1, 0, ?, ?)"
)
_SESSION: Final = (
    "INSERT INTO sessions (id, user_id, client_id, version, epoch, counter, secret_digest, audience, amr, auth_time,"
    " address, created_at, last_used_at, expires_at, idle_expires_at, token_expires_at)"
    " SELECT ?, ?, ?, 1, epoch, 0, ?, ?, 'pwd', ?, '127.0.0.1', ?, ?, ?, ?, ? FROM head"
)


@dataclass(frozen=True, slots=True)
class People:
    """Whom a file holds.

    Attributes:
        emails: of people drawn evenly from all of them; ``ids`` likewise.
        refresh_tokens: of as many sessions, drawn the same way; none spent.
    """

    emails: Sequence[str]
    ids: Sequence[str]
    refresh_tokens: Sequence[str]
    megabytes: float
    """Of the file."""


@contextmanager
def populated_server(
    name: str,
    *,
    users: int,
    sample: int,
    profile: str = "test",
    place: Callable[[Path], str] | None = None,
    **settings: str,
) -> Iterator[tuple[Process, People]]:
    """A server with *users* users of one session each, and *sample* of them to play with.

    With *place*, which takes them from the file to a shared database and tells its URL, they are served from there.
    """
    port = free_port()
    with TemporaryDirectory(prefix="watchword-bench-") as folder:
        where = Path(folder)
        people = fill(where / "data", f"http://127.0.0.1:{port}", users=users, sample=sample, profile=profile)
        if place is not None:
            settings |= {
                "DATABASE": place(where / "data" / "watchword.db"),
                "SECRET_FILE": str(where / "data" / "secret"),
            }
        with started_server(name, where, port, PASSWORD_HASH=profile, **settings) as server:
            yield server, people


def fill(data_dir: Path, issuer: str, *, users: int, sample: int = 1, profile: str = "test") -> People:
    """Make the database of a server of *issuer*: *users* users of one session each."""
    return asyncio.run(_fill(data_dir, issuer, users, sample, profile))


async def _fill(data_dir: Path, issuer: str, users: int, sample: int, profile: str) -> People:
    settings = Settings.load({"issuer": issuer, "data_dir": str(data_dir), "password_hash": "test"})
    async with open_services(settings) as services:
        codec, instance = services.refresh_tokens.codec, services.feed.instance
        epoch = (await services.store.revocations.head()).epoch
        audience = f"{issuer} {settings.values['AUDIENCE']}"
    path = settings.database_path
    digest = HASH[profile].hash(PASSWORD)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -262144")
        connection.execute("BEGIN")
        connection.executemany(_USER, _users(users, digest))
        connection.executemany(_SESSION, _sessions(users, audience))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    finally:
        connection.close()
    drawn = sorted(random.Random(1).sample(range(users), min(sample, users)))
    return People(
        emails=[_email(n) for n in drawn],
        ids=[_user_id(n) for n in drawn],
        refresh_tokens=[codec.mint(epoch, _session_id(n), 0, _SECRET, instance) for n in drawn],
        megabytes=pages * page_size / 1e6,
    )


def _users(count: int, digest: str) -> Iterator[tuple[Any, ...]]:
    now = milliseconds(utc_now())
    for n in range(count):
        yield _user_id(n), _email(n), _email(n), digest, now, now


def _sessions(count: int, audience: str) -> Iterator[tuple[Any, ...]]:
    now = utc_now()
    began, ends, idle = (milliseconds(now + timedelta(days=days)) for days in (-1, 180, 30))
    for n in range(count):
        yield (
            _session_id(n), _user_id(n), FIRST_PARTY_CLIENT_ID, secret_digest(_SECRET), audience,
            began, began, began, ends, idle, began,
        )  # fmt: skip


def _email(n: int) -> str:
    return f"u{n}@example.com"


def _user_id(n: int) -> str:
    return f"usr_{_text(_random(n, 1))}"


def _session_id(n: int) -> str:
    return f"ses_{_text((_FIRST_LOGIN + n * 50).to_bytes(6, 'big') + _random(n, 2)[:10])}"


def _random(n: int, salt: int) -> bytes:
    # Neighbours in time are no neighbours in an index, as with a running server's users.
    return ((n * 2 + salt) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)).to_bytes(16, "big")


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
