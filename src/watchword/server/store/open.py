"""Which back-end a database is: the one table that knows them all, each imported when it is asked for."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from watchword.errors import ConfigurationError
from watchword.server.store.copying import Source, Target, move
from watchword.server.store.migrations import Migration
from watchword.server.store.sql.overlay import Overlay, plain_overlay
from watchword.server.store.store import Store

__all__ = ["Place", "move_all", "open_store", "pending", "replace_all"]

Place = Path | str
"""A SQLite file, ``:memory:``, or the URL of a database that nodes share."""

Clock = Callable[[], datetime]
Ticks = Callable[[], float]
Keep = Callable[[Source], Awaitable[None]]


async def open_store(
    place: Place,
    *,
    now: Clock | None = None,
    overlay: Overlay = plain_overlay,
    upgrade: bool = True,
    monotonic: Callable[[], float] | None = None,
    patience: timedelta | None = None,
) -> Store:
    """Open the store at *place*.

    Args:
        place: as the settings name it.
        now: the clock; without, the database's where nodes share one, else this machine's.
        overlay: what issued tokens show after a change of their user's roles.
        upgrade: apply missing migrations; without, a database that lacks some is refused.
        monotonic: the clock of the counters; without, the database's where nodes share one, else this machine's.
        patience: how long a database that nodes share is waited for.

    Raises:
        ConfigurationError: it cannot be opened, is of another version, or needs an extra that is not installed.
    """
    return await _BACK_ENDS[_scheme(place)].open(place, _Options(now, overlay, upgrade, monotonic, patience))


async def pending(place: Place) -> Sequence[Migration]:
    """The steps of the schema that the database at *place* lacks.

    Raises:
        ConfigurationError: it cannot be opened, or belongs to a newer program.
    """
    return await _BACK_ENDS[_scheme(place)].lacking(place)


async def move_all(
    source: Place,
    target: Place,
    *,
    progress: Callable[[int, int], None],
    at_rest: bool,
    replace: bool = False,
    now: Clock | None = None,
) -> int:
    """Fill *target* with the data of *source*, of whatever kind the two are; how many rows that were.

    Args:
        source: read as it stands at one moment.
        target: a file that is not there yet, or a database without users.
        progress: told the rows that are done and how many there are.
        at_rest: whether nobody may write to the source meanwhile.
        replace: whether what is in a shared target goes.
        now: the clock.

    Raises:
        Conflict: somebody wrote; the target is as it was.
        ConfigurationError: one of the two cannot be used, or the target is not empty.
    """
    reading = _BACK_ENDS[_scheme(source)].reading(source)
    writing = _BACK_ENDS[_scheme(target)].writing(target, (now or _machine_time)(), replace, None)
    return await move(reading, writing, progress, at_rest=at_rest)


async def replace_all(
    source: Place,
    target: Place,
    kept: Path | None,
    *,
    progress: Callable[[int, int], None],
    check: Callable[[], None],
    now: Clock | None = None,
) -> None:
    """Put the data of *source* in the place of those of the shared *target*, which go to the new file *kept*.

    One transaction of *target* does both, and nobody else writes to it meanwhile: whatever was acknowledged is in
    the copy.

    Args:
        source: read as it stands at one moment.
        target: a database that nodes share.
        kept: a file that is not there yet; ``None``: what was there goes.
        progress: told the rows that are done and how many there are.
        check: called when *kept* is there; what it raises ends all of it, and *target* is as it was.
        now: the clock.

    Raises:
        TemporarilyUnavailable: somebody writes to *target* and does not let go.
        ConfigurationError: one of the two cannot be used.
    """
    at = (now or _machine_time)()

    async def keep(before: Source) -> None:
        if kept is not None:
            await move(nullcontext(before), _write_sqlite(kept, at, False, None), progress, at_rest=False)
            check()

    reading = _BACK_ENDS[_scheme(source)].reading(source)
    writing = _BACK_ENDS[_scheme(target)].writing(target, at, True, keep)
    await move(reading, writing, progress, at_rest=False)


def _scheme(place: Place) -> str:
    return "sqlite" if isinstance(place, Path) or "://" not in place else place.partition(":")[0]


@dataclass(frozen=True, slots=True)
class _Options:
    """How a store is opened: the arguments of ``open_store``."""

    now: Clock | None
    overlay: Overlay
    upgrade: bool
    monotonic: Ticks | None
    patience: timedelta | None


async def _open_sqlite(place: Place, options: _Options) -> Store:
    from watchword.server.store.sqlite.open import open_sqlite

    return await open_sqlite(
        place,
        now=options.now or _machine_time,
        overlay=options.overlay,
        upgrade=options.upgrade,
        monotonic=options.monotonic or time.monotonic,
    )


async def _sqlite_lacks(place: Place) -> Sequence[Migration]:
    from watchword.server.store.sqlite import schema

    return schema.lacking(place)


async def _open_postgres(place: Place, options: _Options) -> Store:
    _require_driver()
    from watchword.server.store.postgres.connector import TIMEOUT
    from watchword.server.store.postgres.open import open_postgres

    return await open_postgres(
        str(place),
        now=options.now,
        overlay=options.overlay,
        upgrade=options.upgrade,
        monotonic=options.monotonic,
        patience=TIMEOUT if options.patience is None else options.patience.total_seconds(),
    )


async def _postgres_lacks(place: Place) -> Sequence[Migration]:
    _require_driver()
    from watchword.server.store.postgres import schema

    return await schema.lacking(str(place))


def _read_sqlite(place: Place) -> AbstractAsyncContextManager[Source]:
    from watchword.server.store.sqlite import copying

    return copying.reading(Path(place))


def _write_sqlite(
    place: Place, now: datetime, replace: bool, keep: Keep | None
) -> AbstractAsyncContextManager[Target]:
    from watchword.server.store.sqlite import copying

    return copying.writing(Path(place), now)


def _read_postgres(place: Place) -> AbstractAsyncContextManager[Source]:
    _require_driver()
    from watchword.server.store.postgres import copying

    return copying.reading(str(place))


def _write_postgres(
    place: Place, now: datetime, replace: bool, keep: Keep | None
) -> AbstractAsyncContextManager[Target]:
    _require_driver()
    from watchword.server.store.postgres import copying

    return copying.writing(str(place), now, replace=replace, keep=keep)


def _require_driver() -> None:
    try:
        import asyncpg  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "database: PostgreSQL needs its driver: pip install 'watchword[postgres]'"
        ) from None


def _machine_time() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _BackEnd:
    """What a kind of database can do."""

    open: Callable[[Place, _Options], Awaitable[Store]]
    lacking: Callable[[Place], Awaitable[Sequence[Migration]]]
    reading: Callable[[Place], AbstractAsyncContextManager[Source]]
    writing: Callable[[Place, datetime, bool, Keep | None], AbstractAsyncContextManager[Target]]


_POSTGRES: Final = _BackEnd(_open_postgres, _postgres_lacks, _read_postgres, _write_postgres)
_BACK_ENDS: Final = {
    "sqlite": _BackEnd(_open_sqlite, _sqlite_lacks, _read_sqlite, _write_sqlite),
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
}
