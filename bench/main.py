"""The commands of ``python -m bench``."""

from __future__ import annotations

import click

from bench.table import Report

__all__ = ["cli"]

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Measure Watchword beside floors and rivals: CPU time, alternated, medians."""


@cli.command()
@click.option("--rounds", default=15, show_default=True, help="Turns of each contender.")
@click.option("--seconds", default=0.1, show_default=True, help="CPU time of one turn.")
@_json
def verify(rounds: int, seconds: float, as_json: bool) -> None:
    """An access token: bare cryptography, first sight, cached, PyJWT, joserfc."""
    from bench.verify import measure

    Report.of("python -m bench verify", measure(rounds=rounds, seconds=seconds)).show(as_json)


@cli.command()
@click.option("--rounds", default=15, show_default=True, help="Fresh processes.")
@_json
def start(rounds: int, as_json: bool) -> None:
    """Imports, --help, a server until its first answer, its memory."""
    from bench.start import measure

    Report.of("python -m bench start", measure(rounds=rounds)).show(as_json)
