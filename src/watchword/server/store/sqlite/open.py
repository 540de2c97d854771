"""Opening the store in a SQLite file."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from watchword.server.ephemeral.memory import MemoryCounters
from watchword.server.store.sql.overlay import Overlay, plain_overlay
from watchword.server.store.sql.transaction import LONGEST_LOG
from watchword.server.store.sqlite.engine import SqliteEngine
from watchword.server.store.store import Store

__all__ = ["open_sqlite"]


async def open_sqlite(
    path: str | Path,
    *,
    now: Callable[[], datetime],
    overlay: Overlay = plain_overlay,
    upgrade: bool = True,
    longest_log: int = LONGEST_LOG,
    monotonic: Callable[[], float] = time.monotonic,
) -> Store:
    """Open the database at *path* (``:memory:`` for one that lives as long as the store).

    Args:
        path: the file; made with mode 0600 if missing.
        now: the clock, aware and in UTC.
        overlay: what issued tokens show after a change of their user's roles.
        upgrade: apply missing migrations; without, a database that lacks some is refused.
        longest_log: entries of the log beyond which one that revokes everything takes their place.
        monotonic: the clock of the counters.

    Raises:
        ConfigurationError: the file cannot be opened, is no database, or is of another version.
    """
    engine = await SqliteEngine.open(path, now, overlay, longest_log, upgrade=upgrade)
    return Store(engine, MemoryCounters(monotonic))
