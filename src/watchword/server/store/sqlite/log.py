"""The write-ahead log beside a SQLite file: does it belong to the file it lies beside?

A server that was killed leaves its log behind, and SQLite applies it to whatever file it finds there. Beside an older
file that mixes pages of two times: who was banned in between may be in again, and the position of the log of what
died, which lies in a newer page, shows nothing.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import Final

from watchword.errors import ConfigurationError

__all__ = ["check_whole", "is_older_than_its_file"]

_COPIED: Final = 10.0
"""Seconds that SQLite may need after the last commit to copy the log into the file."""


def is_older_than_its_file(path: str) -> bool:
    """Whether the file at *path* was put there, or touched, after the log beside it was last written."""
    with suppress(OSError):
        log = os.stat(f"{path}-wal")
        return log.st_size > 0 and os.stat(path).st_ctime - log.st_mtime > _COPIED
    return False


def check_whole(connection: sqlite3.Connection, path: str) -> None:
    """Read everything, to find out whether the file and its log belong together.

    Raises:
        ConfigurationError: they don't.
    """
    whole = connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
    if whole and connection.execute("PRAGMA foreign_key_check").fetchone() is None:
        return
    raise ConfigurationError(
        f"database: {path} and the write-ahead log {path}-wal beside it are of different times. To go back to a "
        f"backup, move all three files ({path}, -wal, -shm) away and use `watchword db restore BACKUP`"
    )
