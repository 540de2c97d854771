"""Where a new password comes from: a hidden prompt, stdin or a file; never an argument, which others can read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["password_options", "read_password"]


def password_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--password-stdin`` and ``--password-file``."""
    from_file = click.option(
        "--password-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Read the password from a file.",
    )
    from_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from stdin.")
    return from_stdin(from_file(command))


def read_password(*, stdin: bool, file: Path | None) -> str:
    """The password; asked for twice at a terminal when neither source was named.

    Raises:
        click.UsageError: both were named, or there is nobody to ask.
    """
    if stdin and file is not None:
        raise click.UsageError("give one of --password-stdin and --password-file")
    if stdin:
        return _one_line(sys.stdin.buffer.read())
    if file is not None:
        return _one_line(file.read_bytes())
    if not sys.stdin.isatty():
        raise click.UsageError("nobody to ask for a password: give --password-stdin or --password-file")
    text: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return text


def _one_line(raw: bytes) -> str:
    """The text without a byte order mark, as Windows writes it, and the line end that ``echo`` adds."""
    found = raw.decode("utf-8-sig").rstrip("\r\n")
    if not found:
        raise click.UsageError("the password is empty")
    if "\n" in found or "\r" in found:
        raise click.UsageError("the password has more than one line")
    return found
