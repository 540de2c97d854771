"""What the doctor looks at: settings, files, the database and the machine, read once and changed by nothing."""

from __future__ import annotations

import resource
import shutil
import stat
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Final

from watchword.cli.front import FrontFacts, ask_front
from watchword.errors import WatchwordError

if TYPE_CHECKING:
    from watchword.server.policies import PasswordPolicy
    from watchword.server.settings import Settings
    from watchword.server.store.records import SigningKey

__all__ = ["DatabaseFacts", "Facts", "gather"]

_DIGESTS: Final = 10_000
"""How many foreign digests are looked at."""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What stands in the database, as far as it can be read."""

    path: Path | None
    """The file; none where it is a server's."""
    journal: str
    """SQLite's journal mode; ``wal`` where there is nothing to choose."""
    fault: str | None = None
    """Why it cannot be used."""
    pending: Sequence[str] = ()
    """Steps of the schema that are missing; the rest is read only where none is."""
    administrators: int | None = None
    newest_at: datetime | None = None
    """When the last thing happened, by the clock of that moment."""
    active_key: SigningKey | None = None
    nodes: Sequence[Mapping[str, str]] = ()
    """The settings in which nodes must agree, of each that runs."""
    backed_up_at: datetime | None = None
    """When ``db backup`` last made one that was good."""
    digests: Sequence[str] = ()
    """Some digests of passwords that were not made with today's settings."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One server's place in the world."""

    settings: Settings
    folder: Path
    """Where ``watchword.toml`` may lie."""
    now: datetime
    free_bytes: int
    """Of the disk that holds the data."""
    open_files: int
    """How many files and sockets this shell lets a process have."""
    fast_loop: bool
    """Whether uvloop is installed."""
    password_cost: timedelta
    """The time of the processor that one password costs here, hashed as the settings say."""
    database: DatabaseFacts | None
    front: FrontFacts | None = None
    """What clients see at the issuer's URL, if that was asked."""
    counters_fault: str | None = None
    """Why the Valkey or Redis that counts attempts cannot be used."""
    counters_eviction: str | None = None
    """The policy by which it throws away counters when its memory is full, if it does."""

    def exposed(self, path: Path, *, rights: int = 0o077) -> str | None:
        """The mode of *path* in words, when others than its owner have any of *rights* to it."""
        try:
            mode = path.stat().st_mode
        except OSError:
            return None
        return stat.filemode(mode) if mode & rights else None


def gather(settings: Settings, folder: Path, *, online: bool = False) -> Facts:
    """Look at everything; what cannot be read is a fact, too. *online*: send requests to the issuer's URL."""
    path = settings.database_path
    fault, eviction = (None, None) if settings.redis is None else _counters(settings.redis)
    return Facts(
        settings=settings,
        folder=folder,
        now=datetime.now(UTC),
        free_bytes=shutil.disk_usage(_existing(settings.data_dir)).free,
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        fast_loop=find_spec("uvloop") is not None,
        password_cost=_password_cost(settings.passwords),
        database=_database(path, settings.passwords)
        if settings.shares_database or Path(path).is_file()
        else None,
        front=ask_front(settings.issuer) if online else None,
        counters_fault=fault,
        counters_eviction=eviction,
    )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    found = folder.absolute()
    return next(one for one in (found, *found.parents) if one.is_dir())


def _password_cost(policy: PasswordPolicy) -> timedelta:
    import asyncio

    from watchword.server.accounts.passwords import PasswordService

    service = PasswordService(policy)  # the first computation, which also fetches the memory, is its own
    try:
        started = process_time()
        asyncio.run(service.hash("a password that nobody has"))
        return timedelta(seconds=process_time() - started)
    finally:
        service.close()


def _counters(url: str) -> tuple[str | None, str | None]:
    import asyncio

    from watchword.server.ephemeral.redis import RedisCounters

    async def ask() -> str | None:
        counters = RedisCounters.open(url, str.encode)
        try:
            await counters.look(())
            return await counters.eviction()
        finally:
            await counters.close()

    try:
        return None, asyncio.run(ask())
    except WatchwordError as fault:
        return fault.description.removeprefix("redis: "), None


def _database(place: Path | str, policy: PasswordPolicy) -> DatabaseFacts:
    ours = f"$argon2id$v=19$m={policy.memory},t={policy.passes},"
    return _file(place, ours) if isinstance(place, Path) else _server(place, ours)


def _server(url: str, beginning: str) -> DatabaseFacts:
    import asyncio

    from watchword.server.store import open as opening

    try:
        if lacking := asyncio.run(opening.pending(url)):
            return DatabaseFacts(None, "wal", pending=[f"{step.number:04d}_{step.word}" for step in lacking])
        return asyncio.run(_content(url, "wal", beginning))
    except WatchwordError as fault:
        return DatabaseFacts(None, "wal", fault.description.removeprefix("database: "))


def _file(path: Path, beginning: str) -> DatabaseFacts:
    import asyncio
    import sqlite3
    from urllib.parse import quote

    from watchword.server.store.sqlite import schema as sqlite_schema

    # Opening it to write would turn the journal to WAL before anybody has seen what it was.
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            journal = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
            pending = [f"{step.number:04d}_{step.word}" for step in sqlite_schema.pending(connection)]
        if pending:
            return DatabaseFacts(path, journal, pending=pending)
        return asyncio.run(_content(path, journal, beginning))
    except sqlite3.Error as broken:
        return DatabaseFacts(path, "unknown", f"it cannot be read: {broken}")
    except WatchwordError as fault:
        return DatabaseFacts(path, "unknown", fault.description.removeprefix("database: "))


async def _content(place: Path | str, journal: str, beginning: str) -> DatabaseFacts:
    from watchword.server.store.open import open_store

    store = await open_store(place, upgrade=False)
    try:
        events = (await store.events.list(limit=1)).items
        backups = (await store.events.list(type="database.backed_up", limit=1)).items
        keys: Sequence[SigningKey] = await store.keys.list()
        active = [
            key for key in keys if key.purpose == "token" and key.state == "active" and not key.audience
        ]
        return DatabaseFacts(
            path=place if isinstance(place, Path) else None,
            journal=journal,
            administrators=await store.users.count(role="admin"),
            newest_at=max([event.at for event in events] + [key.created_at for key in keys], default=None),
            active_key=active[0] if active else None,
            nodes=list((await store.meta.nodes()).values()),
            backed_up_at=backups[0].at if backups else None,
            digests=await store.users.other_digests(beginning, _DIGESTS),
        )
    finally:
        await store.close()
