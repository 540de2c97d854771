"""A SQLite file that others may change: is it still the one that was opened, with the log that was known?"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from watchword.errors import ConfigurationError
from watchword.server.store.past import PAST, Past
from watchword.server.store.position import Position

__all__ = ["OpenedFile", "check_past", "learn_past", "require_writable"]

_HEAD = "SELECT epoch, sequence, mark FROM head"


@dataclass(slots=True)
class OpenedFile:
    """The file at *path* as it was when a connection opened it; another one may stand there by now."""

    path: str
    _identity: tuple[int, int] | None = field(init=False)

    def __post_init__(self) -> None:
        self._identity = self._look()

    def was_replaced(self) -> bool:
        """Whether another file took its place since this was last asked: then the connection has to be opened anew."""
        identity = self._look()
        if identity is None or identity == self._identity:
            return False
        before, self._identity = self._identity, identity
        return before is not None

    def _look(self) -> tuple[int, int] | None:
        with suppress(OSError):
            found = os.stat(self.path)
            return found.st_dev, found.st_ino
        return None


def require_writable(path: str) -> None:
    """Check before anything is written: SQLite opens a file it may only read without a word, and fails later.

    Raises:
        ConfigurationError: the file or its folder is read-only for this user.
    """
    file = Path(path).absolute()
    for place, what in ((file.parent, "the folder"), (file, "the file")):
        if place.exists() and not os.access(place, os.W_OK):
            raise ConfigurationError(
                f"database: {what} {place} cannot be written by this user, and SQLite writes to the file and "
                "beside it. Change its owner or its mode, or name another DATA_DIR"
            )


def check_past(connection: sqlite3.Connection, past: Past) -> None:
    """Compare what is about to be written to with what was known: another process may have put an older one there."""
    known = past.known
    if connection.execute(_HEAD).fetchone() != known:
        row = connection.execute(PAST, (known.sequence,)).fetchone()
        past.check(known, Position(*row[:3]), *row[3:])


def learn_past(connection: sqlite3.Connection, past: Past) -> bool:
    """Note where the log stands after a commit of our own; whether it moved.

    Most commits revoke nothing; a look costs less than to wake those who would read in vain.
    """
    with suppress(sqlite3.Error):
        here = Position(*connection.execute(_HEAD).fetchone())
        if here == past.known:
            return False
        if past.contradicted is None or here.epoch > past.contradicted.epoch:
            past.believe(here)
    return True
