"""Opening the store in a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from watchword.server.store.postgres.connector import TIMEOUT, Connector
from watchword.server.store.postgres.counters import PostgresCounters
from watchword.server.store.postgres.engine import PostgresEngine
from watchword.server.store.sql.overlay import Overlay, plain_overlay
from watchword.server.store.sql.transaction import LONGEST_LOG
from watchword.server.store.store import Store

__all__ = ["open_postgres"]


async def open_postgres(
    url: str,
    *,
    now: Callable[[], datetime] | None = None,
    overlay: Overlay = plain_overlay,
    upgrade: bool = True,
    longest_log: int = LONGEST_LOG,
    monotonic: Callable[[], float] | None = None,
    patience: float = TIMEOUT,
) -> Store:
    """Open the database at *url* (``postgresql://user:password@host/name``).

    Args:
        url: as libpq reads it.
        now: the clock; without, the database's own, so that all nodes have one.
        overlay: what issued tokens show after a change of their user's roles.
        upgrade: apply missing migrations; without, a database that lacks some is refused.
        longest_log: entries of the log beyond which one that revokes everything takes their place.
        monotonic: the clock of the counters; without, the database's own.
        patience: seconds to wait for a connection, and for the answer to a statement.

    Raises:
        ConfigurationError: the database cannot be reached or is of another version.
    """
    engine = await PostgresEngine.open(Connector(url, patience), now, overlay, longest_log, upgrade=upgrade)
    return Store(engine, PostgresCounters(engine, monotonic))
