"""``watchword db``: the schema and the health of the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchword.cli.backup import backup, restore
from watchword.cli.output import say, show_json
from watchword.cli.store import Place, place_options
from watchword.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchword.server.store.migrations import Migration

__all__ = ["db"]


@click.group()
def db() -> None:
    """The schema and the health of the data."""


@db.command()
@place_options
def upgrade(place: Place, as_json: bool) -> None:
    """Bring the schema up to date; a missing database is made."""
    import asyncio

    from watchword.server.services import utc_now
    from watchword.server.store.sqlite import SqliteStore

    settings = place.settings()
    path = settings.database_path
    if isinstance(path, Path):
        _make_folder(path.parent)
    steps = _pending(path) if isinstance(path, Path) and path.is_file() else _known()

    async def act() -> None:
        store = await SqliteStore.open(path, now=utc_now)
        await store.close()

    asyncio.run(act())
    if as_json:
        show_json({"applied": [f"{step.number:04d}_{step.word}" for step in steps]})
        return
    for step in steps:
        click.echo(f"{step.number:04d} {step.word}")
    say(f"applied {len(steps)}; the schema is up to date")


@db.command()
@place_options
def check(place: Place, as_json: bool) -> None:
    """Look for broken rules in the data; exit 1 when there are any."""
    import asyncio

    from watchword.server.services import utc_now
    from watchword.server.store.sqlite import SqliteStore

    path = place.require_database(place.settings())

    async def act() -> Sequence[str]:
        store = await SqliteStore.open(path, now=utc_now, upgrade=False)
        try:
            return await store.check()
        finally:
            await store.close()

    problems = [f"the schema lacks {step.number:04d}_{step.word}" for step in _pending(path)]
    problems += [] if problems else asyncio.run(act())
    if as_json:
        show_json({"ok": not problems, "problems": problems})
    else:
        for problem in problems:
            click.echo(problem)
        say("all is well" if not problems else f"{len(problems)} found")
    if problems:
        click.get_current_context().exit(1)


def _known() -> Sequence[Migration]:
    from watchword.server.store import migrations

    return migrations.known("sqlite")


def _pending(path: Path) -> Sequence[Migration]:
    import sqlite3
    from contextlib import closing

    from watchword.server.store import sqlite_schema

    try:
        with closing(sqlite3.connect(path)) as connection:
            return sqlite_schema.pending(connection)
    except sqlite3.Error as broken:
        raise ConfigurationError(f"database: cannot open it: {broken}") from None


db.add_command(backup)
db.add_command(restore)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as broken:
        raise ConfigurationError(f"data_dir: cannot make {folder}: {broken.strerror}") from None
