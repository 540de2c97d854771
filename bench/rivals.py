"""Ours beside its rivals, by the rivals' own runner: one client, one core, one operation after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.process import TOP
from bench.table import Table

__all__ = ["DEFAULT", "measure"]

DEFAULT: Final = TOP.parent / "shared" / "bench" / "peers"

_OURS: Final = "watchword"
_SHARED: Final = "watchword postgres"
_GUARD: Final = "watchword guard"
_PAIRS: Final = (
    ("durable refresh", (_OURS, "refresh"), ("oidc-provider sqlite ES256", "refresh"), "≥ 8"),
    ("durable refresh", (_OURS, "refresh"), ("simplejwt HS256", "refresh"), ""),
    ("refresh, ours on PostgreSQL", (_SHARED, "refresh"), ("oidc-provider sqlite ES256", "refresh"), "≥ 4"),
    ("log-in without the hash", (_OURS, "login"), ("simplejwt HS256", "login"), "≥ 8"),
    ("guarded GET", (_GUARD, "profile (local JWT)"), ("simplejwt HS256", "profile (local JWT)"), "≥ 4"),
    ("JWKS", (_OURS, "jwks"), ("oidc-provider sqlite ES256", "jwks"), ""),
)
"""What is compared: ours, the rival's, and how many times its CPU time ours should go into."""

Result = Mapping[str, Any]


def measure(peers: Path, *, seconds: float, connections: int) -> Table:
    """The table of ratios; installs the rivals into ``.peers`` of the checkout where they are missing."""
    folder = TOP / ".peers"
    env = {**os.environ, "BENCH_DIR": str(folder), "BENCH_TOP": str(TOP), "BENCH_PYTHON": sys.executable}
    if not (folder / "load").exists():
        subprocess.run(["sh", str(peers / "install.sh")], env=env, check=True, stdout=sys.stderr)
    with TemporaryDirectory(prefix="watchword-bench-") as results:
        out = Path(results) / "results.jsonl"
        names = sorted({name for _, ours, theirs, _ in _PAIRS for name, _ in (ours, theirs)})
        operations = {operation for _, ours, theirs, _ in _PAIRS for _, operation in (ours, theirs)}
        subprocess.run(
            [
                sys.executable, str(peers / "run.py"), "--peer", str(TOP / "bench" / "peer.py"),
                "--only", _any_of(names), "--ops", _any_of(operations), "--out", str(out),
                "--seconds", str(seconds), "--conns", str(connections),
            ],
            env=env, check=True, stdout=sys.stderr,
        )  # fmt: skip
        lines = [json.loads(line) for line in out.read_text().splitlines()]
    return _table({(line["peer"], line["op"]): line for line in lines}, connections)


def _any_of(names: Sequence[str] | set[str]) -> str:
    escaped = (name.replace("(", "\\(").replace(")", "\\)") for name in sorted(names))
    return f"^({'|'.join(escaped)})$"


def _table(results: Mapping[tuple[str, str], Result], connections: int) -> Table:
    rows = []
    for what, ours, theirs, goal in _PAIRS:
        mine, its = results[ours], results[theirs]
        ratio = its["us_per_req"] / mine["us_per_req"]
        rows.append(
            (what, theirs[0], its["us_per_req"], its["rps"], mine["us_per_req"], mine["rps"], ratio, goal,
             its["bad"] + mine["bad"])
        )  # fmt: skip
    starts = ", ".join(
        f"{name} {line['start_s']} s and {line['rss_idle_mb']:.0f} MiB"
        for (name, operation), line in results.items()
        if operation == "_process"
    )
    return Table(
        "Beside rivals",
        (
            "operation",
            "rival",
            "its CPU µs",
            "its req/s",
            "our CPU µs",
            "our req/s",
            "times",
            "goal",
            "refused",
        ),
        rows,
        (
            f"{connections} kept-alive connections from the other core; every server on one core, on SQLite with"
            " write-ahead log and `synchronous=FULL` unless PostgreSQL is named, with the cheapest hash it"
            " offers. *Times* is the rival's CPU time over ours; what PostgreSQL itself uses stands in the table of"
            f" stores. Start and idle memory: {starts}.",
        ),
    )
