"""What commands say: data on stdout, as a table for people or JSON for programs. A stranger's text stays one line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click

from watchword.cli.moment import brief, words
from watchword.cli.signs import takes_every_sign

__all__ = ["colourless", "json_option", "plain", "say", "show_json", "show_record", "show_table"]

F = TypeVar("F", bound=Callable[..., Any])

_SURROGATES: Final = range(0xD800, 0xE000)
"""Alone they are no characters, and no output takes them."""
_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    code: f"\\u{code:04x}"
    for code in (0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A), *_SURROGATES)
}

_JSON: Final = {code: f"\\u{code:04x}" for code in _CONTROL if code > 126}


def colourless() -> bool:
    """Whether the user asked for text alone, by ``NO_COLOR`` or a terminal that can do no more."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def json_option(command: F) -> F:
    """Give a command ``--json``, as the argument ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def plain(text: str) -> str:
    """A text whose control and direction characters are spelled out: names must not move the cursor (CWE-150)."""
    return text.translate(_CONTROL)


def say(text: str) -> None:
    """Talk: one line on stderr."""
    click.echo(plain(text), err=True)


def show_json(value: Any, *, indent: bool | None = None) -> None:
    """Print *value* (structs, dataclasses, dicts, times) as JSON: indented on a terminal, else one line."""
    import msgspec

    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate, which JSON can say by an escape alone
        encoded = json.dumps(msgspec.to_builtins(value)).encode()
    if not takes_every_sign(sys.stdout):
        encoded = json.dumps(json.loads(encoded)).encode()
    if sys.stdout.isatty() if indent is None else indent:
        encoded = msgspec.json.format(encoded, indent=2)
    # JSON itself escapes the control characters below 32 and leaves the others, which move a cursor as well.
    click.echo(encoded.decode().translate(_JSON))


def show_record(pairs: Iterable[tuple[str, Any]]) -> None:
    """Print one thing as lines of name and value."""
    now = datetime.now(UTC)
    pairs = list(pairs)
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        told = _cell(value)
        if isinstance(value, datetime):
            told = f"{value:%Y-%m-%d %H:%M:%S} UTC, {words(value.timestamp(), now.timestamp())}"
        click.echo(f"{click.style(name.ljust(width), dim=True)}  {told}")


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print things as a table; *empty* is said when there are none."""
    found = [list(row) for row in rows]
    if not found:
        say(empty)
        return
    if sys.stdout.isatty() and _show_on_terminal(columns, found):
        return
    cells = [[_cell(value) for value in row] for row in found]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in (columns, *cells):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def _show_on_terminal(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
    """The same where a person looks, and the package for it is there: times by how far away they are."""
    try:
        from watchword.cli.table import print_table
    except ModuleNotFoundError:
        return False
    now = datetime.now(UTC).timestamp()
    cells = [
        [brief(value.timestamp(), now) if isinstance(value, datetime) else _cell(value) for value in row]
        for row in rows
    ]
    if hidden := print_table(columns, cells, colour=not colourless()):
        say(f"no room for {', '.join(hidden)}: --json has all")
    return True


def _cell(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        case list() | tuple():
            return plain(" ".join(map(str, value))) or "–"
        case _:
            return plain(str(value))
