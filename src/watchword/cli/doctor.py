"""``watchword doctor``: what is unsafe or slow here, with the cure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from watchword.cli.output import plain, say, show_json, show_table
from watchword.cli.store import Place, place_options

if TYPE_CHECKING:
    from watchword.cli.checks import Advice

__all__ = ["doctor"]

_LEVELS: Final = ("unsafe", "slow", "advice", "good")


@click.command()
@click.option("--all", "everything", is_flag=True, help="Say what is well, too.")
@click.option(
    "--online",
    is_flag=True,
    help="Send requests to the issuer's URL, too: does a proxy in front pass them on well?",
)
@place_options
def doctor(place: Place, as_json: bool, everything: bool, online: bool) -> None:
    """Look for what is unsafe or slow here; one line each, with the cure.

    Reads the settings that a server started here would have, its files and its database, and
    changes nothing. Exit 1 when something is unsafe.
    """
    from watchword.cli.checks import CHECKS
    from watchword.cli.facts import gather

    facts = gather(place.settings(), Path.cwd(), online=online)
    found = [(check.__name__, advice) for check in CHECKS if (advice := check(facts)) is not None]
    found.sort(key=lambda one: _LEVELS.index(one[1].level))
    levels: list[str] = [advice.level for _, advice in found]
    unsafe = "unsafe" in levels
    if as_json:
        show_json(
            {
                "ok": not unsafe,
                "findings": [
                    {"check": name, "level": advice.level, "message": advice.message, "cure": advice.cure}
                    for name, advice in found
                ],
            }
        )
    else:
        _show([one for one in found if everything or one[1].level != "good"])
        say(f"{len(found)} checked: {', '.join(f'{levels.count(level)} {level}' for level in _LEVELS)}")
    if unsafe:
        click.get_current_context().exit(1)


def _show(found: list[tuple[str, Advice]]) -> None:
    """For a person a table, whose cells wrap; for others a line each."""
    if sys.stdout.isatty() and found:
        rows = [(advice.level, name, advice.message, advice.cure) for name, advice in found]
        show_table(("LEVEL", "CHECK", "FOUND", "CURE"), rows, empty="")
        return
    width = max((len(name) for name, _ in found), default=0)
    for name, advice in found:
        cure = f" → {plain(advice.cure)}" if advice.cure else ""
        click.echo(f"{advice.level:6}  {name:{width}}  {plain(advice.message)}{cure}")
