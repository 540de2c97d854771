"""Putting a backup back: all of it at once, and nothing that died since it was made lives again.

A backup knows nothing of what was revoked after it. So the copy opens a new epoch before anybody sees
it: every access token in the world is below its base, every key is new, and refresh tokens of the old
epoch are dead unless somebody asks to keep them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from watchword.errors import ConfigurationError
from watchword.server.services import open_services, utc_now
from watchword.server.settings import Settings
from watchword.server.store.backup import Progress, copy, overwrite
from watchword.server.store.records import Origin
from watchword.server.store.sqlite import SqliteStore

__all__ = ["Restored", "restore"]

_TOLD: Final = 3
"""Broken rules of a backup that are told before it is refused."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: the epoch it opened, how many users there are, where the data of before was put."""

    epoch: int
    users: int
    replaced: Path | None


async def restore(
    settings: Settings,
    backup: Path,
    *,
    keep_sessions: bool,
    origin: Origin,
    progress: Progress,
    now: Callable[[], datetime] = utc_now,
) -> Restored:
    """Replace the data of *settings* by *backup*, beside a running server or without one.

    The data of before is kept in a file beside it.

    Raises:
        ConfigurationError: the backup is none of this program, broken, or sealed under another ``SECRET``;
            nothing was changed.
        TemporarilyUnavailable: somebody writes and does not let go; nothing was changed.
    """
    live = settings.database_path
    if not isinstance(live, Path):
        raise ConfigurationError("database: only a SQLite file is restored from a file")
    part = await asyncio.to_thread(live.with_name(f".{live.name}.restore").absolute)
    try:
        await asyncio.to_thread(_take, backup, part, progress)
        epoch, users = await _prepare(settings, part, await _seen(live, now), keep_sessions, origin, now)
        kept = await asyncio.to_thread(_put, part, live, epoch, progress)
    finally:
        _remove(part)
    return Restored(epoch, users, kept)


async def _seen(live: Path, now: Callable[[], datetime]) -> tuple[int, int]:
    """How far the log of the data that is replaced has come; nothing where it cannot be read any more."""
    if not live.is_file():  # noqa: ASYNC240 - one look, in a program of one task
        return (0, 0)
    try:
        store = await SqliteStore.open(live, now=now, upgrade=False)
    except ConfigurationError:
        return (0, 0)
    try:
        head = await store.revocations.head()
        return head.epoch, head.sequence
    finally:
        await store.close()


async def _prepare(
    settings: Settings,
    part: Path,
    seen: tuple[int, int],
    keep_sessions: bool,
    origin: Origin,
    now: Callable[[], datetime],
) -> tuple[int, int]:
    values = MappingProxyType({**settings.values, "DATABASE": f"sqlite:///{part}"})
    async with open_services(replace(settings, values=values), now=now, serving=False) as services:
        if problems := await services.store.check():
            raise ConfigurationError("the backup is broken: " + "; ".join(problems[:_TOLD]))
        log = services.store.revocations
        head = await log.head()
        await log.open_epoch(
            max(seen, (head.epoch, head.sequence)),
            await services.keys.fresh(),
            origin,
            keep_sessions=keep_sessions,
        )
        return (await log.head()).epoch, await services.store.users.count()


def _take(backup: Path, part: Path, progress: Progress) -> None:
    part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove(part)
    part.touch(mode=0o600)
    try:
        copy(backup, part, progress)
        with closing(sqlite3.connect(part)) as taken:
            # An empty file is a database too, and would be filled with nothing.
            taken.execute("SELECT 1 FROM schema_migrations JOIN head").fetchone()
    except (OSError, sqlite3.Error) as broken:
        raise ConfigurationError(f"{backup} is no backup of this program: {broken}") from None


def _put(part: Path, live: Path, epoch: int, progress: Progress) -> Path | None:
    if not live.exists():
        part.rename(live)
        return None
    kept = live.with_name(f"{live.name}.before-{epoch}")
    kept.touch(mode=0o600)
    try:
        copy(live, kept, progress)
    except sqlite3.Error:
        # What is too broken to be copied is what a backup is for; it is moved, not lost.
        live.replace(kept)
        part.rename(live)
        return kept
    overwrite(part, live, progress)
    return kept


def _remove(part: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            part.with_name(part.name + suffix).unlink()
