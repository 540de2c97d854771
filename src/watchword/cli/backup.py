"""``watchword db backup``, ``restore`` and ``move``: the data, out, in and elsewhere."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from watchword.cli.output import json_option, say, show_json
from watchword.cli.progress import progress
from watchword.cli.store import Place, origin, place_options
from watchword.errors import WatchwordError

if TYPE_CHECKING:
    from watchword.server.restoration import Replaced

__all__ = ["backup", "move", "restore"]


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@place_options
def backup(place: Place, as_json: bool, file: Path) -> None:
    """Copy the data to FILE while the server goes on, and check the copy.

    The master key is not in it: keep a copy of that apart. An existing FILE is not overwritten.
    Exit 1 when a rule of the data is broken in the copy.
    """
    import asyncio

    from watchword.server.restoration import back_up

    source = place.require_store(place.settings())
    with progress("Copying") as tell:
        problems = asyncio.run(back_up(source, file, progress=tell))
    report: dict[str, Any] = {"file": str(file), "bytes": file.stat().st_size, "problems": problems}
    if as_json:
        show_json(report)
    else:
        for problem in problems:
            click.echo(problem)
        say(f"{file}: {report['bytes']} bytes, {'checked' if not problems else f'{len(problems)} found'}")
    if problems:
        click.get_current_context().exit(1)
    asyncio.run(_note(source))


async def _note(source: Path | str) -> None:
    """Write into the audit log that there is a backup; one of data that cannot be written is as good."""
    from watchword.server.store.open import open_store

    with suppress(WatchwordError):
        store = await open_store(source, upgrade=False)
        try:
            await store.events.add("database.backed_up", origin())
        finally:
            await store.close()


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--keep-sessions", is_flag=True, help="Let the refresh tokens of the backup's time live on.")
@place_options
def restore(place: Place, as_json: bool, file: Path, keep_sessions: bool, yes: bool) -> None:
    """Put the backup FILE in the place of the data, which is kept in a file beside it.

    Whatever was revoked since the backup stays dead: every access token dies, the keys are new, and
    people log in again. A running server goes on with the restored data at once. On a terminal it asks first.
    """
    import asyncio

    from watchword.server.restoration import compare
    from watchword.server.restoration import restore as put_back

    settings = place.settings()
    replaced = asyncio.run(compare(settings, file))
    if replaced is not None:
        say(_told(replaced))
        if sys.stdin.isatty() and not yes:
            click.confirm("Replace it?", abort=True, err=True)
    with progress("Restoring") as tell:
        done = asyncio.run(
            put_back(settings, file, keep_sessions=keep_sessions, origin=origin(), progress=tell)
        )
    kept = None if done.replaced is None else str(done.replaced)
    if as_json:
        show_json({"epoch": done.epoch, "users": done.users, "replaced": kept})
        return
    click.echo(f"{done.users} users, epoch {done.epoch}")
    say(f"the data of before is in {kept}" if kept else "there was no data before")


def _told(replaced: Replaced) -> str:
    """What is replaced, in one line."""
    told = f"replaces {replaced.users} users"
    newest, made = replaced.newest_at, replaced.backup_newest_at
    if newest is not None and (made is None or newest > made):
        until = f"{newest:%Y-%m-%d %H:%M:%S} UTC"
        told += f" and all changes until {until}"
        told += (
            f"; the backup ends {made:%Y-%m-%d %H:%M:%S} UTC" if made else "; the backup says of no change"
        )
    if replaced.is_other:
        told += ". The backup is of another instance: another server, or this one before a restore or a move"
    return told


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@json_option
def move(as_json: bool, source: str, target: str) -> None:
    """Take everything from one database to another: sqlite:///PATH or postgresql://... each.

    Stop the server first: what is written meanwhile stops the move, and nothing is changed. TO is a new
    file, or a database without users. The master key stays the same: start the server on TO with the
    SECRET that FROM had. Sessions go on, and nobody logs in again.
    """
    import asyncio

    from watchword.server.parsing import format_text
    from watchword.server.store.open import move_all

    places = [_place(name, url) for name, url in (("FROM", source), ("TO", target))]
    with progress("Moving") as tell:
        rows = asyncio.run(move_all(places[0], places[1], progress=tell, at_rest=True))
    if as_json:
        show_json({"rows": rows})
    else:
        say(f"{rows} rows; start the server with --database {format_text(target)} and the SECRET it had")


def _place(name: str, url: str) -> Any:
    from watchword.server.parsing import parse_database

    try:
        place = parse_database(url)
    except ValueError as fault:
        raise click.UsageError(f"{name} {fault}") from None
    if place == ":memory:":
        raise click.UsageError(f"{name} must be a place that lasts")
    return place
