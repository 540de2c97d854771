"""Connections to a SQLite file: how each is set up, and what is checked before the first one writes."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from typing import Final
from urllib.parse import quote

from watchword.errors import ConfigurationError
from watchword.server.store.sqlite import schema
from watchword.server.store.sqlite.file import require_writable
from watchword.server.store.sqlite.log import check_whole, is_older_than_its_file

__all__ = ["connect", "connect_and_prepare", "connect_to_read"]

_CACHE: Final = 32_768
"""KiB of pages the writer may keep: what some thousand people touch who are spread over a file of millions."""

_LOG: Final = 4_000
"""Pages that gather in the write-ahead log before they are copied: a page written again meanwhile is copied once."""

_START_PATIENCE: Final = 5.0
"""Seconds to wait for another process that writes while this one starts."""


def _make_file(path: str) -> None:
    """Make the file before SQLite does, so that nobody else can read it for a moment; -wal and -shm take its mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass
    except OSError as broken:
        raise ConfigurationError(f"database: cannot make it: {broken.strerror}") from None


def connect(path: str, *, read_only: bool = False, patience: float = 0) -> sqlite3.Connection:
    """A connection to the file at *path*, durable and without transactions of its own.

    Args:
        path: of a file that is there, or ``:memory:``.
        read_only: it only reads.
        patience: seconds for which it waits for a lock.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        path if path == ":memory:" else f"file:{quote(path)}?mode={mode}",
        uri=path != ":memory:",
        isolation_level=None,
        check_same_thread=False,
        timeout=patience,
        cached_statements=256,
    )
    try:
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA cache_size = -{_CACHE}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: str) -> sqlite3.Connection:
    """A connection that only reads.

    Raises:
        sqlite3.Error: the file cannot be opened.
    """
    # Readers of a WAL wait for nobody but for another process that opens or closes the file.
    return connect(path, read_only=True, patience=0.2)


def connect_and_prepare(path: str, now: datetime, upgrade: bool) -> sqlite3.Connection:
    """The connection that writes, to a file of today's schema; the file is made where there is none.

    Raises:
        ConfigurationError: it is read-only, lacks migrations, is of a later version, or lies beside another's log.
        sqlite3.Error: it cannot be opened.
    """
    if path != ":memory:":
        if upgrade:
            require_writable(path)
        _make_file(path)
    if is_older_than_its_file(path):
        # By a connection that only reads: another one would put the log into the file when it closes.
        with closing(connect_to_read(path)) as reading:
            check_whole(reading, path)
    connection = connect(path, patience=_START_PATIENCE)
    try:
        if upgrade:
            schema.apply(connection, now)
        elif schema.pending(connection):
            raise ConfigurationError("database: it lacks migrations; run `watchword db upgrade`")
        # From here on the writer waits for the lock itself, without holding the loop.
        connection.execute("PRAGMA busy_timeout = 0")
    except BaseException:
        connection.close()
        raise
    return connection
