"""The commands of ``python -m bench``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

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
@click.option("--rounds", default=15, show_default=True, help="Turns of each contender.")
@click.option("--seconds", default=0.2, show_default=True, help="CPU time of one turn.")
@_json
def frameworks(rounds: int, seconds: float, as_json: bool) -> None:
    """A protected request in FastAPI, Flask, Django REST framework: bare, guard, the usual library."""
    from bench.frameworks import measure

    Report.of("python -m bench frameworks", measure(rounds=rounds, seconds=seconds)).show(as_json)


@cli.command()
@click.option("--rounds", default=15, show_default=True, help="Fresh processes.")
@_json
def start(rounds: int, as_json: bool) -> None:
    """Imports, --help, a server until its first answer, its memory."""
    from bench.start import measure

    Report.of("python -m bench start", measure(rounds=rounds)).show(as_json)


@cli.command()
@click.option("--rounds", default=5, show_default=True, help="Turns of each operation.")
@click.option("--seconds", default=1.5, show_default=True, help="Length of one turn.")
@click.option("--connections", default=16, show_default=True, help="Kept-alive connections.")
@_json
def server(rounds: int, seconds: float, connections: int, as_json: bool) -> None:
    """The server under load beside hello-world on the same HTTP server."""
    from bench.server import measure

    tables = measure(rounds=rounds, seconds=seconds, connections=connections)
    Report.of("python -m bench server", *tables).show(as_json)


@cli.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rounds", default=15, show_default=True, help="Turns of each operation.")
@click.option("--seconds", default=0.7, show_default=True, help="Length of one turn.")
@click.option("--connections", default=16, show_default=True, help="Kept-alive connections.")
@_json
def before(checkout: Path, rounds: int, seconds: float, connections: int, as_json: bool) -> None:
    """Refresh, log-in, key set and guarded GET beside CHECKOUT, an earlier state with its .venv."""
    from bench.before import measure

    table = measure(checkout, rounds=rounds, seconds=seconds, connections=connections)
    Report.of("python -m bench before", table).show(as_json)


@cli.command()
@click.option(
    "--sizes", default="1000,100000,1000000", show_default=True, help="Users and sessions of each file."
)
@click.option("--rounds", default=5, show_default=True, help="Turns of each operation.")
@click.option("--seconds", default=1.0, show_default=True, help="Length of one turn.")
@click.option("--connections", default=16, show_default=True, help="Kept-alive connections.")
@_json
def growth(sizes: str, rounds: int, seconds: float, connections: int, as_json: bool) -> None:
    """Refresh, log-in and the list of sessions on files of growing size."""
    from bench.growth import measure

    counts = [int(size) for size in sizes.split(",")]
    table = measure(sizes=counts, rounds=rounds, seconds=seconds, connections=connections)
    Report.of("python -m bench growth", table).show(as_json)


@cli.command()
@click.option("--rounds", default=5, show_default=True, help="Turns of each operation.")
@click.option("--seconds", default=1.0, show_default=True, help="Length of one turn.")
@click.option("--connections", default=16, show_default=True, help="Kept-alive connections.")
@_json
def stores(rounds: int, seconds: float, connections: int, as_json: bool) -> None:
    """SQLite beside PostgreSQL, one process beside two: refresh, log-in, list of sessions, ban."""
    from bench.stores import measure

    table = measure(rounds=rounds, seconds=seconds, connections=connections)
    Report.of("python -m bench stores", table).show(as_json)


@cli.command()
@click.option(
    "--changes", default=1000, show_default=True, help="Demotions, log-outs and bans, so many of each."
)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the distribution there.")
@click.option(
    "--nodes", default=1, show_default=True, type=click.IntRange(1, 2), help="Two: over one PostgreSQL."
)
@_json
def reach(changes: int, plot: Path | None, nodes: int, as_json: bool) -> None:
    """From an administrator's answer to the first refusal at eight API processes."""
    from bench.reach import CHANGES, GOALS, measure, tables

    found = measure(changes=changes, nodes=nodes)
    if plot is not None:
        from bench.plot import distribution

        lines = {change: found.of(change=change) for change in CHANGES}
        title = "From the administrator's answer to the first refusal, eight API processes"
        plot.write_text(distribution(title, lines, GOALS), encoding="utf-8")
    Report.of("python -m bench reach", *tables(found, nodes)).show(as_json)


@cli.command()
@click.option("--listeners", default=1000, show_default=True, help="Streams that are open at once.")
@click.option("--changes", default=20, show_default=True, help="People demoted, logged out and banned.")
@_json
def streams(listeners: int, changes: int, as_json: bool) -> None:
    """A thousand guards on one server process: when the event is on every stream."""
    from bench.streams import measure

    Report.of("python -m bench streams", measure(listeners=listeners, changes=changes)).show(as_json)


@cli.command()
@click.option("--rotations", default=100, show_default=True, help="New signing keys.")
@_json
def rotations(rotations: int, as_json: bool) -> None:
    """Signing keys change under load: wrong refusals of four guards, and of PyJWT's key client."""
    from bench.rotations import measure

    Report.of("python -m bench rotations", measure(rotations=rotations)).show(as_json)


@cli.command()
@click.option("--entries", default=1_000_000, show_default=True, help="Dead sessions in the table.")
@click.option("--rounds", default=15, show_default=True, help="Turns of each contender.")
@click.option("--seconds", default=0.1, show_default=True, help="CPU time of one turn.")
@_json
def million(entries: int, rounds: int, seconds: float, as_json: bool) -> None:
    """A guard with a million entries: its memory, and what a request pays for them."""
    from bench.million import measure

    table = measure(entries=entries, rounds=rounds, seconds=seconds)
    Report.of("python -m bench million", table).show(as_json)


@cli.command()
@click.option("--rows", default=40_000, show_default=True, help="Rows of each table that are weighed.")
@click.option("--seconds", default=1.0, show_default=True, help="Length of one measurement.")
@click.option("--streams", default=200, show_default=True, help="Open streams when one is measured.")
@click.option("--entries", default=100, show_default=True, help="Revocations that are played through.")
@click.option(
    "--churn", default=3.0, show_default=True, help="Per cent of users revoked or changed in a day."
)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the fan-out there.")
@_json
def scale(
    rows: int, seconds: float, streams: int, entries: int, churn: float, plot: Path | None, as_json: bool
) -> None:
    """A plan past this machine: 10^8 users, 10^4 API processes, 10^5 refreshes a second."""
    from bench.inputs import measure
    from bench.scale import Plan, fan_out

    inputs = measure(rows=rows, seconds=seconds, streams=streams)
    plan = Plan(inputs, churn / 100)
    ways = fan_out(plan, entries)
    if plot is not None:
        from bench.plot import distribution

        title = "From the commit to ten thousand guards, simulated"
        lines = {name.split(",")[0]: way.delays for name, way in ways.items()}
        plot.write_text(distribution(title, lines, {"500 ms": 500}, longest=4000), encoding="utf-8")
    Report.of("python -m bench scale", *plan.tables(ways)).show(as_json)


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.File("rb"))
@click.option(
    "--write", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The page; else print them."
)
def page(files: Sequence[BinaryIO], write: Path | None) -> None:
    """Put what --json printed into the page of figures."""
    from bench.page import figures_of, page_with

    figures = figures_of([Report.parse(file.read()) for file in files])
    if write is None:
        click.echo(figures, nl=False)
    else:
        write.write_text(page_with(figures, write.read_text(encoding="utf-8")), encoding="utf-8")


@cli.command()
@click.option(
    "--peers",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder with the rivals' install.sh and run.py. Default: ../shared/bench/peers.",
)
@click.option("--seconds", default=3.0, show_default=True, help="Length of one measurement.")
@click.option("--connections", default=16, show_default=True, help="Kept-alive connections.")
@_json
def rivals(peers: Path | None, seconds: float, connections: int, as_json: bool) -> None:
    """Refresh, log-in, guarded GET and key set beside other servers, installed into .peers."""
    from bench.rivals import DEFAULT, measure

    if peers is None and not DEFAULT.is_dir():
        raise click.UsageError("name the rivals' folder by --peers")
    table = measure(peers or DEFAULT, seconds=seconds, connections=connections)
    Report.of("python -m bench rivals", table).show(as_json)
