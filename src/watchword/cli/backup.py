"""``watchword db backup``: a copy of the data, made beside a running server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from watchword.cli.output import say, show_json
from watchword.cli.progress import progress
from watchword.cli.store import Place, place_options

__all__ = ["backup"]


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@place_options
def backup(place: Place, as_json: bool, file: Path) -> None:
    """Copy the data to FILE while the server goes on, and check the copy.

    The master key is not in it: keep a copy of that apart. An existing FILE is not overwritten.
    Exit 1 when a rule of the data is broken in the copy.
    """
    import asyncio

    from watchword.server.services import utc_now
    from watchword.server.store.backup import back_up

    source = place.require_database(place.settings())
    with progress("Copying") as tell:
        problems = asyncio.run(back_up(source, file, now=utc_now, progress=tell))
    report: dict[str, Any] = {"file": str(file), "bytes": file.stat().st_size, "problems": problems}
    if as_json:
        show_json(report)
    else:
        for problem in problems:
            click.echo(problem)
        say(f"{file}: {report['bytes']} bytes, {'checked' if not problems else f'{len(problems)} found'}")
    if problems:
        click.get_current_context().exit(1)
