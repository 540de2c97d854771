"""Writes docs/cli.md from the commands themselves: ``python docs/commands.py``; a test holds the page to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from watchword.cli.main import cli

PAGE = Path(__file__).resolve().parent / "cli.md"

EVERYWHERE = {"as_json", "data_dir", "database"}
"""Options that the beginning of the page tells of."""

BEGINNING = """\
# Command line

Data goes to stdout, talk to stderr. Exit code 0 is done, 1 is refused or failed, 2 is wrong use: an unknown option, a
setting that cannot be. Every command has `--json`, which prints JSON and nothing else on stdout, and `--help`.
`NO_COLOR` is honoured. A secret comes from a prompt, `--password-stdin` or a file, never as an argument, which every
process of the machine can read.

Commands that manage a store work on it directly, beside a running server, which acts on the change at once; they
read the same [settings](configuration.md) as `serve`, and all take `--data-dir DIR` and `--database URL` to say where
the store lies. *EMAIL* may also be a user's id.

This page is made from the commands themselves.
"""


def page() -> str:
    """The text of the page."""
    return BEGINNING + "".join(_sections(cli, "watchword"))


def _sections(group: click.Group, words: str) -> Iterator[str]:
    context = click.Context(group, info_name=words)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        full = f"{words} {name}"
        if isinstance(command, click.Group):
            if words == "watchword":
                yield f"\n## {full}\n\n{_help(command)}\n"
            yield from _sections(command, full)
        else:
            yield _section(command, full, 2 if words == "watchword" else 3)


def _section(command: click.Command, words: str, level: int) -> str:
    context = click.Context(command, info_name=words)
    usage = " ".join((words, *command.collect_usage_pieces(context)))
    lines = [f"\n{'#' * level} {words}\n\n```text\n{usage}\n```\n\n{_help(command)}\n"]
    everywhere = EVERYWHERE if command.name != "serve" else {"as_json"}
    options = [one for one in command.params if isinstance(one, click.Option) and one.name not in everywhere]
    records = [record for one in options if (record := one.get_help_record(context)) is not None]
    if records:
        lines.append("\n| option | what it does |\n|---|---|\n")
        lines += [f"| `{name}` | {what} |\n".replace("URL|FILE", "URL\\|FILE") for name, what in records]
    return "".join(lines)


def _help(command: click.Command) -> str:
    paragraphs = (command.help or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
