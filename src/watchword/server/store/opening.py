"""Which back-end a database is: the one table that knows them all, each imported when it is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from watchword.errors import ConfigurationError
from watchword.server.store.migrations import Migration
from watchword.server.store.sql.transaction import Overlay, join
from watchword.server.store.store import Store

__all__ = ["Place", "open_store", "pending"]

Place = Path | str
"""A SQLite file, ``:memory:``, or the URL of a database that nodes share."""

Clock = Callable[[], datetime]


async def open_store(
    place: Place,
    *,
    now: Clock | None = None,
    overlay: Overlay = lambda user, granted: {"roles": list(user.roles), "scope": join(granted)},
    upgrade: bool = True,
) -> Store:
    """Open the store at *place*.

    Args:
        place: as the settings name it.
        now: the clock; without, the database's where nodes share one, else this machine's.
        overlay: what issued tokens show after a change of their user's roles.
        upgrade: apply missing migrations; without, a database that lacks some is refused.

    Raises:
        ConfigurationError: it cannot be opened, is of another version, or needs an extra that is not installed.
    """
    opener, _ = _BACK_ENDS[_scheme(place)]
    return await opener(place, now, overlay, upgrade)


async def pending(place: Place) -> Sequence[Migration]:
    """The steps of the schema that the database at *place* lacks.

    Raises:
        ConfigurationError: it cannot be opened, or belongs to a newer program.
    """
    _, lacking = _BACK_ENDS[_scheme(place)]
    return await lacking(place)


def _scheme(place: Place) -> str:
    return "sqlite" if isinstance(place, Path) or "://" not in place else place.partition(":")[0]


async def _open_sqlite(place: Place, now: Clock | None, overlay: Overlay, upgrade: bool) -> Store:
    from watchword.server.store.sqlite import SqliteStore

    return await SqliteStore.open(place, now=now or _machine_time, overlay=overlay, upgrade=upgrade)


async def _sqlite_lacks(place: Place) -> Sequence[Migration]:
    from watchword.server.store import sqlite_schema

    return sqlite_schema.lacking(place)


async def _open_postgres(place: Place, now: Clock | None, overlay: Overlay, upgrade: bool) -> Store:
    _require_driver()
    from watchword.server.store.postgres import PostgresStore

    return await PostgresStore.open(str(place), now=now, overlay=overlay, upgrade=upgrade)


async def _postgres_lacks(place: Place) -> Sequence[Migration]:
    _require_driver()
    from watchword.server.store import postgres_schema

    return await postgres_schema.lacking(str(place))


def _require_driver() -> None:
    try:
        import asyncpg  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "database: PostgreSQL needs its driver: pip install 'watchword[postgres]'"
        ) from None


def _machine_time() -> datetime:
    return datetime.now(UTC)


_POSTGRES: Final = (_open_postgres, _postgres_lacks)
_BACK_ENDS: Final[
    dict[
        str,
        tuple[
            Callable[[Place, Clock | None, Overlay, bool], Awaitable[Store]],
            Callable[[Place], Awaitable[Sequence[Migration]]],
        ],
    ]
] = {"sqlite": (_open_sqlite, _sqlite_lacks), "postgresql": _POSTGRES, "postgres": _POSTGRES}
