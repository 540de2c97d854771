"""``watchword db``: the schema and the health of the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchword.cli.backup import backup, move, restore
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

    from watchword.server.store import open as opening

    path = place.settings().database_path
    if isinstance(path, Path):
        _make_folder(path.parent)

    async def act() -> Sequence[Migration]:
        lacking = await opening.pending(path)
        await (await opening.open_store(path)).close()
        return lacking

    steps = asyncio.run(act())
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

    from watchword.server.store import open as opening

    path = place.require_store(place.settings())

    async def act() -> Sequence[str]:
        if lacking := await opening.pending(path):
            return [f"the schema lacks {step.number:04d}_{step.word}" for step in lacking]
        store = await opening.open_store(path, upgrade=False)
        try:
            return await store.check()
        finally:
            await store.close()

    problems = asyncio.run(act())
    if as_json:
        show_json({"ok": not problems, "problems": problems})
    else:
        for problem in problems:
            click.echo(problem)
        say("all is well" if not problems else f"{len(problems)} found")
    if problems:
        click.get_current_context().exit(1)


db.add_command(backup)
db.add_command(restore)
db.add_command(move)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as broken:
        raise ConfigurationError(f"data_dir: cannot make {folder}: {broken.strerror}") from None
