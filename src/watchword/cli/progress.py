"""Progress on long work: a bar on a terminal; elsewhere nothing, or now and then a line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from watchword.cli.output import colourless, say

__all__ = ["progress"]

_LINE: Final = 1_000


@contextmanager
def progress(what: str, *, lines: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how much is done of how much, and shows it on stderr.

    Args:
        what: what is done, in a word.
        lines: where stderr is no terminal, a line for each thousand, for a log; else nothing there.
    """
    if not sys.stderr.isatty():
        yield _lines(what) if lines else lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, color_system=None if colourless() else "auto")
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(what: str) -> Callable[[int, int], None]:
    told = 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        if done - told >= _LINE:
            told = done
            say(f"{what}: {done} of {total}")

    return tell
