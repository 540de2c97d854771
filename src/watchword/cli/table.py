"""A table on a terminal. Words stay whole, so that an id can be copied; what does not fit is left out and named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["print_table"]

_GAP: Final = 2
_WORD: Final = 16
"""A word in prose that is longer than this may be broken."""
_STYLES: Final = {
    "–": "dim",
    "no": "dim",
    "any": "dim",
    "retired": "dim",
    "active": "green",
    "next": "cyan",
    "compromised": "bold red",
    "banned": "bold red",
    "default": "dim",
    "unsafe": "bold red",
    "slow": "yellow",
    "advice": "cyan",
    "good": "green",
}
"""How a cell of exactly this text looks."""


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, colour: bool) -> Sequence[str]:
    """Print *rows* under *columns*; the names of those that had no room, from the right."""
    console = Console(color_system="auto" if colour else None)
    cells = list(zip(*rows, strict=True))
    prose = [any(" " in cell for cell in column) for column in cells]
    least = [_least(name, column, free) for name, column, free in zip(columns, cells, prose, strict=True)]
    shown = len(columns)
    while shown > 1 and sum(least[:shown]) + _GAP * (shown - 1) > console.width:
        shown -= 1
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for name, free in zip(columns[:shown], prose, strict=False):
        table.add_column(name, no_wrap=not free, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row[:shown]))
    console.print(table, width=max(console.width, least[0]), crop=False)
    return columns[shown:]


def _least(name: str, cells: Sequence[str], prose: bool) -> int:
    """The width under which a column is not worth showing: of ids it is the whole, of prose a word."""
    words = (word for cell in cells for word in cell.split())
    longest = max(map(cell_len, words), default=0)
    return max(cell_len(name), min(longest, _WORD) if prose else longest)
