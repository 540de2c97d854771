"""A copy of an embedded database while it is written to: one moment of it, whole or not at all."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from watchword.errors import ConfigurationError, TemporarilyUnavailable
from watchword.server.store.open import open_store
from watchword.server.store.scratch import remove_scratch, scratch_beside

__all__ = ["Progress", "Unreadable", "copy", "copy_checked", "overwrite"]

Progress = Callable[[int, int], None]
"""Called with the pages that are done and how many there are."""

_PAGES: Final = 512
_PATIENCE: Final = 10.0


class Unreadable(Exception):
    """The database that is to be replaced is too broken to be copied."""


async def copy_checked(
    source: Path, target: Path, *, now: Callable[[], datetime] | None, progress: Progress
) -> Sequence[str]:
    """Copy the database *source* to the new file *target*, mode 0600, beside whoever writes, and check the copy.

    Returns:
        every broken rule of the data in it, one line each.

    Raises:
        ConfigurationError: *target* is there already, or one of the two cannot be used.
    """
    part: Path | None = None
    try:
        part = await asyncio.to_thread(_begin, target)
        await asyncio.to_thread(copy, source, part, progress)
        store = await open_store(part, now=now, upgrade=False)
        try:
            problems = await store.check()
        finally:
            await store.close()
        await asyncio.to_thread(_settle, part, target)
    except FileExistsError:
        raise ConfigurationError(f"{target} is there already; a backup overwrites nothing") from None
    except (OSError, sqlite3.Error) as broken:
        raise ConfigurationError(f"the copy failed: {broken}") from None
    finally:
        if part is not None:
            await asyncio.to_thread(remove_scratch, part)
    return problems


def copy(source: Path, target: Path, progress: Progress) -> None:
    """Copy one moment of *source* into the empty file *target*.

    Raises:
        sqlite3.Error, OSError: one of them cannot be used.
    """
    with closing(_connect(source)) as reading, closing(_connect(target)) as writing:
        # A reader's snapshot stands still, so that no writer makes the copy begin again.
        reading.execute("BEGIN")
        reading.execute("SELECT 1 FROM sqlite_schema").fetchone()
        reading.backup(writing, pages=_PAGES, progress=_told(progress))


def overwrite(
    source: Path,
    target: Path,
    progress: Progress,
    *,
    keep: Callable[[], None] = lambda: None,
    patience: float = _PATIENCE,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Put the contents of *source* in the place of those of *target*, in one transaction, beside its readers.

    Args:
        source, target: files of databases.
        progress: told the pages that are done.
        keep: called when nobody else can write to *target* any more, and before anything in it is changed.
        patience: seconds that whoever writes to *target* is waited for.
        monotonic: seconds, by the clock nobody sets.

    Raises:
        TemporarilyUnavailable: somebody writes and does not let go; nothing was changed.
        ConfigurationError: one of the two cannot be used; nothing was changed.
        Unreadable: *target* is no database, or a broken one; nothing was changed.
    """
    try:
        with closing(_connect(source)) as reading, closing(_connect(target, patience)) as writing:
            _allow_readers(writing)
            # The first step takes the lock, and must not be the last one: ``keep`` comes between the two.
            pages = min(_PAGES, max(1, reading.execute("PRAGMA page_count").fetchone()[0] // 2))
            tell = _patient(_told(progress), patience, monotonic, keep)
            reading.backup(writing, pages=pages, progress=tell)
    except sqlite3.Error as broken:
        raise ConfigurationError(f"the database cannot be replaced: {broken}") from None


def _allow_readers(target: sqlite3.Connection) -> None:
    # With a rollback journal whoever overwrites a file locks out its readers, ``keep`` among them.
    try:
        target.execute("PRAGMA journal_mode = WAL")
    except sqlite3.DatabaseError as broken:
        if isinstance(broken, sqlite3.OperationalError):
            raise
        raise Unreadable(str(broken)) from None


def _connect(path: Path, patience: float = _PATIENCE) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=patience)


def _begin(target: Path) -> Path:
    if os.path.lexists(target):
        raise FileExistsError(target)
    return scratch_beside(target)


def _settle(part: Path, target: Path) -> None:
    with closing(_connect(part)) as settled:
        # One file, without a log beside it, is what people move and keep.
        settled.execute("PRAGMA journal_mode = DELETE")
    _sync(part)
    os.link(part, target)
    _sync(target.parent)


def _told(progress: Progress) -> Callable[[int, int, int], None]:
    def tell(_: int, remaining: int, total: int) -> None:
        progress(total - remaining, total)

    return tell


def _patient(
    progress: Callable[[int, int, int], None],
    patience: float,
    monotonic: Callable[[], float],
    keep: Callable[[], None],
) -> Callable[[int, int, int], None]:
    # ``backup`` itself tries a locked database for ever; it calls this after every try, and ends with what this raises.
    moved_at, locked = monotonic(), False

    def tell(status: int, remaining: int, total: int) -> None:
        nonlocal moved_at, locked
        progress(status, remaining, total)
        if status not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            if not locked:
                locked = True
                keep()
            moved_at = monotonic()
        elif monotonic() - moved_at >= patience:
            raise TemporarilyUnavailable("the database is written to and cannot be replaced now")

    return tell


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
