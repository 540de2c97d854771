"""Where the story is shown: on a terminal, for people, or as JSON lines, for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from rich.text import Text

    from watchword.demo.scene import Scene, Step

__all__ = ["JsonScreen", "Screen", "TerminalScreen"]

_WIDTH = 120


class Screen(Protocol):
    """What a screen does."""

    def open(self, scene: Scene) -> None:
        """Say who plays."""

    def show(self, step: Step) -> None:
        """Show a step that is over."""

    def close(self, summary: str, *, behaved: bool) -> None:
        """Say how it ended."""


class JsonScreen:
    """One object a step: ``step ok status ms``; talk goes to stderr."""

    def open(self, scene: Scene) -> None:
        """Nothing: the steps alone are data."""

    def show(self, step: Step) -> None:
        """Print the object."""
        found = {"step": step.name, "ok": step.ok, "status": step.status, "ms": round(step.ms, 1)}
        click.echo(json.dumps(found))
        if not step.ok:
            click.echo(f"{step.name}: {step.note}", err=True)

    def close(self, summary: str, *, behaved: bool) -> None:
        """Say on stderr what went wrong."""
        if not behaved:
            click.echo(summary, err=True)


class TerminalScreen:
    """Each step with its requests, its answers and a tick."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
        self.number = 0

    def open(self, scene: Scene) -> None:
        """Say who plays and where."""
        self.console.print("\n[bold]Watchword[/bold]: JWTs you can take back\n")
        for party in (scene.server, *scene.payrolls):
            self.console.print(f"  [cyan]{party.name:<10}[/cyan] {party.address}")
        self.console.print()

    def show(self, step: Step) -> None:
        """Print the title with its tick, then each request with its answer."""
        from rich.text import Text

        self.number += 1
        tick = ("✓", "bold green") if step.ok else ("✗", "bold red")
        taken = f"{step.ms:.1f} ms"
        title = Text.assemble((f"{self.number:>3} ", "dim"), tick, " ", (step.title, "bold"))
        title.append(f"  {taken}", "cyan")
        self.console.print(title)
        for exchange in step.exchanges:
            self._line(Text.assemble("      ", ("→ ", "dim"), exchange.request_line()))
            colour = "green" if exchange.status < 400 else "yellow"
            self._line(
                Text.assemble(
                    "      ",
                    ("← ", "dim"),
                    (str(exchange.status), f"bold {colour}"),
                    " ",
                    (exchange.answer_line(), "dim"),
                )
            )
        if step.note:
            self.console.print(Text(f"      {step.note}", "bold cyan" if step.ok else "bold red"))
        self.console.print()

    def close(self, summary: str, *, behaved: bool) -> None:
        """Say how it ended."""
        if behaved:
            self.console.print(f"[bold green]All as it should be:[/bold green] {summary}.\n")
        else:
            self.console.print(f"[bold red]It did not go well:[/bold red] {summary}.\n")

    def _line(self, text: Text) -> None:
        self.console.print(text, no_wrap=True, overflow="ellipsis", crop=True)
