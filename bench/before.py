"""This checkout beside another one, an earlier state of it: both serve at once, and are loaded in turns."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Final

from bench.cost import pin
from bench.load import Caller, load, repeat, request, take_turns
from bench.people import People
from bench.process import TOP, Process, free_port, start
from bench.server import log_in, login_body, refreshes
from bench.table import Table

__all__ = ["measure"]

_USERS: Final = 3_000
_FILL: Final = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from bench.people import fill
from bench.process import SETTINGS
people = fill(Path(sys.argv[1]), sys.argv[2], users=int(sys.argv[3]), sample=int(sys.argv[3]))
print(json.dumps([SETTINGS, asdict(people)]))
"""


@dataclass(frozen=True, slots=True)
class _Side:
    """One checkout as it serves: what is asked of it, by name of the operation."""

    operations: dict[str, tuple[Process, Sequence[Caller]]]


def measure(before: Path, *, rounds: int, seconds: float, connections: int) -> Table:
    """Compare *before*, a checkout with a ``.venv`` of its own, with this one.

    Raises:
        FileNotFoundError: *before* has no ``.venv``.
    """
    cores = os.sched_getaffinity(0)
    try:
        with ExitStack() as stack:
            sides = [stack.enter_context(_served(top, connections)) for top in (before.resolve(), TOP)]
            pin(0, 1)
            costs: dict[str, list[tuple[float, float]]] = {name: [] for name in sides[0].operations}
            refused = dict.fromkeys(costs, 0)
            for turn in range(rounds):
                for name, pairs in costs.items():
                    pair = [0.0, 0.0]
                    for n in (0, 1) if turn % 2 else (1, 0):
                        server, callers = sides[n].operations[name]
                        result = load(server, callers, seconds)
                        pair[n] = result.cost
                        refused[name] += result.refusals
                    pairs.append((pair[0], pair[1]))
    finally:
        os.sched_setaffinity(0, cores)
    return Table(
        "Before and now",
        (
            "operation",
            "before, CPU µs",
            "now, CPU µs",
            "now / before",
            "middle half of the ratios",
            "refused",
        ),
        [_row(name, pairs, refused[name]) for name, pairs in costs.items()],
        (
            f"{connections} kept-alive connections from the other core; both states serve at once on one core, each"
            " on its own SQLite file, and are loaded in turns. The ratio is the median of the ratios of neighboring"
            " turns. Log-in is without the cost of its hash. Limits are off on both sides.",
        ),
    )


def _row(name: str, pairs: Sequence[tuple[float, float]], refused: int) -> tuple[str | float | int, ...]:
    ratios = [now / before for before, now in pairs]
    low, middle, high = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return (
        name,
        median(before for before, _ in pairs),
        median(now for _, now in pairs),
        middle,
        f"{low:.2f} to {high:.2f}",
        refused,
    )


@contextmanager
def _served(top: Path, connections: int) -> Iterator[_Side]:
    python = str(top / ".venv" / "bin" / "python")
    if not Path(python).exists():
        raise FileNotFoundError(f"{python}: run ./test in that checkout once")
    port = free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="watchword-bench-")))
        env = {name: value for name, value in os.environ.items() if not name.startswith("WATCHWORD_")}
        env |= {"PYTHONPATH": os.pathsep.join((str(top / "src"), str(top)))}
        settings, people = _fill(python, folder, port, env)
        served = env | settings | {
            "WATCHWORD_PORT": str(port),
            "WATCHWORD_DATA_DIR": str(folder / "data"),
            "WATCHWORD_PASSWORD_HASH": "test",
        }  # fmt: skip
        program = ["-m", "watchword", "serve"]
        server = stack.enter_context(
            start("server", program, port=port, ready="/readyz", folder=folder, env=served, python=python)
        )
        token = log_in(server, people.emails[0])["access_token"]
        own = free_port()
        program = ["-m", "bench.apps", "guarded", str(own), server.url]
        guarded = stack.enter_context(
            start("guarded", program, port=own, ready="/", folder=folder, env=env, python=python)
        )
        logins = take_turns([request("POST", "/auth/login", login_body(email)) for email in people.emails])
        keys = repeat(request("GET", "/.well-known/jwks.json"))
        yield _Side(
            {
                "refresh": (server, [refreshes(people)] * connections),
                "login without the hash": (server, [logins] * connections),
                "JWKS": (server, [keys] * connections),
                "guarded GET": (guarded, [repeat(request("GET", "/", bearer=token))] * connections),
            }
        )


def _fill(python: str, folder: Path, port: int, env: dict[str, str]) -> tuple[dict[str, str], People]:
    # By the code of that checkout: its database has its migrations, and it knows its settings.
    arguments = [str(folder / "data"), f"http://127.0.0.1:{port}", str(_USERS)]
    program = [python, "-c", _FILL, *arguments]
    out = subprocess.run(program, cwd=folder, env=env, check=True, stdout=subprocess.PIPE).stdout
    settings, people = json.loads(out)
    return settings, People(**people)
