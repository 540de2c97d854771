"""A measurement as a table: for a terminal, for a program, for the page."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

import click
import msgspec

__all__ = ["Report", "Table", "number"]

Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns, and what a reader must know of them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """The table as it stands on the page."""
        texts = [[number(cell) for cell in row] for row in self.rows]
        lines = [f"## {self.title}", "", _line(self.columns)]
        lines.append(
            "|"
            + "|".join("--:" if _is_number(self.rows, n) else "---" for n in range(len(self.columns)))
            + "|"
        )
        lines += [_line(row) for row in texts]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"

    def show(self) -> None:
        """Print it for a person: with rich where it is installed."""
        try:
            from rich.console import Console
            from rich.table import Table as RichTable
        except ModuleNotFoundError:
            click.echo(self.markdown())
            return
        shown = RichTable(title=self.title, title_justify="left")
        for n, column in enumerate(self.columns):
            shown.add_column(column, justify="right" if _is_number(self.rows, n) else "left")
        for row in self.rows:
            shown.add_row(*map(number, row))
        # A pipe has no width to fit into.
        console = Console() if sys.stdout.isatty() else Console(width=160)
        console.print(shown)
        for note in self.notes:
            console.print(note, style="dim", markup=False, highlight=False)


@dataclass(frozen=True, slots=True)
class Report:
    """The tables of one run, with the conditions they were taken under."""

    command: str
    taken_at: str
    conditions: str
    tables: Sequence[Table]

    @classmethod
    def of(cls, command: str, *tables: Table) -> Self:
        """*tables* as measured now, here."""
        cores = len(os.sched_getaffinity(0))
        conditions = (
            f"{platform.python_implementation()} {platform.python_version()}, {platform.system()}"
            f" {platform.machine()}, {cores} cores"
        )
        return cls(command, datetime.now(UTC).strftime("%Y-%m-%d"), conditions, tables)

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read what ``--json`` printed."""
        return msgspec.json.decode(text, type=cls)

    def show(self, as_json: bool) -> None:
        """Print every table."""
        if as_json:
            click.echo(msgspec.json.encode(asdict(self)).decode())
            return
        for table in self.tables:
            table.show()


def number(cell: Any) -> str:
    """A figure with as many digits as it deserves."""
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) or abs(cell) >= 1000:
        return f"{round(cell):,}".replace(",", " ")
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"


def _is_number(rows: Sequence[Sequence[Cell]], n: int) -> bool:
    return any(not isinstance(row[n], str) and row[n] is not None for row in rows)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
