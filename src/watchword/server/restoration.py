"""Backups: one moment of the data in one file, and putting it back so that nothing that died since lives again.

A backup knows nothing of what was revoked after it. So a restored copy opens a new epoch before anybody
sees it: every access token in the world is below its base, every key is new, and refresh tokens of the
old epoch are dead unless somebody asks to keep them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.server.services import open_services
from watchword.server.settings import Settings
from watchword.server.store import open as opening
from watchword.server.store.backup import Progress, Unreadable, copy, copy_checked, overwrite
from watchword.server.store.records import Origin
from watchword.server.store.scratch import make_private, remove_scratch, scratch_beside

__all__ = ["Replaced", "Restored", "back_up", "compare", "restore"]

_TOLD: Final = 3
"""Broken rules of a backup that are told before it is refused."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: the epoch it opened, how many users there are, where the data of before was put."""

    epoch: int
    users: int
    replaced: Path | None


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a restore is about to replace, for whoever may still say no."""

    users: int
    newest_at: datetime | None
    """When the last event in it happened."""
    backup_newest_at: datetime | None
    """The same of the backup."""
    is_other: bool
    """Whether the backup is of another instance: another server's, or from before a restore or a move."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What stands in the data that is replaced."""

    epoch: int
    sequence: int
    instance: str
    users: int
    newest_at: datetime | None


async def back_up(
    place: opening.Place, file: Path, *, progress: Progress, now: Clock | None = None
) -> Sequence[str]:
    """Copy the data at *place* to the new SQLite *file*, mode 0600, beside whoever writes, and check the copy.

    Returns:
        every broken rule of the data in it, one line each.

    Raises:
        ConfigurationError: *file* is there already, or one of the two cannot be used.
    """
    if isinstance(place, Path):
        return await copy_checked(place, file, now=now, progress=progress)
    await opening.move_all(place, file, progress=progress, at_rest=False, now=now)
    store = await opening.open_store(file, now=now, upgrade=False)
    try:
        return await store.check()
    finally:
        await store.close()


async def compare(settings: Settings, backup: Path, now: Clock | None = None) -> Replaced | None:
    """What a restore of *backup* would replace; ``None`` where nothing is there that can be read."""
    seen = await _seen(settings.database_path, now)
    if seen is None:
        return None
    instance = await asyncio.to_thread(_ask, backup, "SELECT instance FROM head")
    made = await asyncio.to_thread(_ask, backup, "SELECT max(at) FROM events")
    return Replaced(
        users=seen.users,
        newest_at=seen.newest_at,
        backup_newest_at=None if made is None else datetime.fromtimestamp(made / 1000, UTC),
        is_other=bool(instance) and instance != seen.instance,
    )


async def restore(
    settings: Settings,
    backup: Path,
    *,
    keep_sessions: bool,
    origin: Origin,
    progress: Progress,
    now: Clock | None = None,
) -> Restored:
    """Replace the data of *settings* by *backup*, beside running servers or without one.

    The data of before is kept in a file: beside the database file, or in the data folder.

    Raises:
        ConfigurationError: the backup is none of this program, broken, or sealed under another ``SECRET``;
            nothing was changed.
        TemporarilyUnavailable: somebody writes and does not let go; nothing was changed.
    """
    live = settings.database_path
    beside = live if isinstance(live, Path) else settings.data_dir / "watchword.db"
    part = await asyncio.to_thread(_begin, beside)
    try:
        await asyncio.to_thread(_take, backup, part, progress)
        seen = await _seen(live, now)
        reached = (0, 0) if seen is None else (seen.epoch, seen.sequence)
        epoch, users = await _prepare(settings, part, reached, keep_sessions, origin, now)
        kept = beside.with_name(f"{beside.name}.before-{epoch}")
        if isinstance(live, Path):
            found = await asyncio.to_thread(_put, part, live, kept, epoch, progress)
        else:
            found = await _put_shared(part, live, kept if seen else None, epoch, progress, now)
    finally:
        await asyncio.to_thread(remove_scratch, part)
    return Restored(epoch, users, found)


async def _seen(live: opening.Place, now: Clock | None) -> _Seen | None:
    """What stands in the data that is replaced; ``None`` where there is none that can be read."""
    if isinstance(live, Path) and not await asyncio.to_thread(live.is_file):
        return None
    try:
        store = await opening.open_store(live, now=now, upgrade=False)
    except ConfigurationError:
        return None  # too broken, or too new to have a schema
    try:
        head = await store.revocations.head()
        users = await store.users.count()
        events = (await store.events.list(limit=1)).items
        return _Seen(head.epoch, head.sequence, head.instance, users, events[0].at if events else None)
    finally:
        await store.close()


def _ask(backup: Path, question: str) -> Any:
    """One value of a backup; ``None`` where it cannot be read, or is of a version that had no such thing."""
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro", uri=True)) as file,
    ):
        return file.execute(question).fetchone()[0]
    return None


async def _prepare(
    settings: Settings,
    part: Path,
    seen: tuple[int, int],
    keep_sessions: bool,
    origin: Origin,
    now: Clock | None,
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
            restored=True,
        )
        return (await log.head()).epoch, await services.store.users.count()


def _begin(beside: Path) -> Path:
    try:
        beside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return scratch_beside(beside.absolute())
    except OSError as broken:
        raise ConfigurationError(f"{beside.parent} cannot be written: {broken.strerror}") from None


def _take(backup: Path, part: Path, progress: Progress) -> None:
    try:
        copy(backup, part, progress)
        with closing(sqlite3.connect(part)) as taken:
            # An empty file is a database too, and would be filled with nothing.
            taken.execute("SELECT 1 FROM schema_migrations JOIN head").fetchone()
    except (OSError, sqlite3.Error) as broken:
        raise ConfigurationError(f"{backup} is no backup of this program: {broken}") from None


def _put(part: Path, live: Path, kept: Path, epoch: int, progress: Progress) -> Path | None:
    if not live.exists():
        part.rename(live)
        return None

    def keep() -> None:
        # Whatever was acknowledged is in this copy: from here on nobody writes, until the new data stands.
        try:
            copy(live, kept, progress)
        except sqlite3.Error as broken:
            raise Unreadable(str(broken)) from None
        _check_epoch(kept, epoch)

    try:
        make_private(kept)
    except OSError as broken:
        raise ConfigurationError(f"{kept} cannot be made: {broken.strerror}") from None
    try:
        overwrite(part, live, progress, keep=keep)
    except Unreadable:
        # What is too broken to be copied is what a backup is for; it is moved, not lost.
        live.replace(kept)
        part.rename(live)
    except BaseException:
        _remove(kept)
        raise
    return kept


async def _put_shared(
    part: Path, live: opening.Place, kept: Path | None, epoch: int, progress: Progress, now: Clock | None
) -> Path | None:
    def check() -> None:
        if kept is not None:
            _check_epoch(kept, epoch)

    try:
        await opening.replace_all(part, live, kept, progress=progress, check=check, now=now)
    except BaseException:
        if kept is not None:
            await asyncio.to_thread(_remove, kept)
        raise
    return kept


def _check_epoch(kept: Path, epoch: int) -> None:
    """Check that the log of the data of before has not begun anew meanwhile, beyond the epoch that comes."""
    with closing(sqlite3.connect(kept)) as before:
        try:
            found = before.execute("SELECT epoch FROM head").fetchone()
        except sqlite3.OperationalError:  # it has none: it was no database of ours
            return
    if found is not None and found[0] >= epoch:
        raise TemporarilyUnavailable("a new epoch began while the backup was prepared; restore it again")


def _remove(part: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            part.with_name(part.name + suffix).unlink()
