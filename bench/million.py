"""A guard that knows of a million dead sessions: its memory, and what a verified request pays for them."""

from __future__ import annotations

import gc
import os
import random
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.cost import alternate, resident_megabytes
from bench.table import Table
from watchword import Guard
from watchword.guard.knowledge import Knowledge
from watchword.jose.jwk import Key
from watchword.protocol import access_token, revocation_list
from watchword.protocol.revocation_list import Entry, RevocationList
from watchword.testing.ear import Ear

__all__ = ["measure"]

ISSUER = "https://auth.example.com"
_TOKENS = 64


def measure(*, entries: int, rounds: int, seconds: float) -> Table:
    """The table."""
    feed_key, key = Key.generate("ES256"), Key.generate("ES256")
    with TemporaryDirectory(prefix="watchword-bench-") as folder:
        file = Path(folder) / "message"
        child = os.fork()
        if child == 0:
            # Made elsewhere, so that its making is not in the memory of this process.
            file.write_text(_message(entries, feed_key, key))
            os._exit(0)
        os.waitpid(child, 0)
        small = _guard(_message(0, feed_key, key), feed_key, key)
        gc.collect()
        idle, began = resident_megabytes(os.getpid()), time.process_time()
        large = _guard(file.read_text(), feed_key, key)
        took = time.process_time() - began
        gc.collect()
        grown = resident_megabytes(os.getpid()) - idle
    assert large.health()["entries"] == entries
    works = {name: _works(guard, key) for name, guard in (("empty", small), ("full", large))}
    cost = alternate(works, rounds=rounds, seconds=seconds)
    rows = (
        ("memory over idle, after the load", grown, "MB", 150),
        ("load, from the signed text to the table", took, "s CPU", None),
        ("a remembered token, empty table", cost["empty"], "µs", None),
        ("a remembered token, full table", cost["full"], "µs", None),
        ("what the table adds", cost["full"] - cost["empty"], "µs", 0.5),
    )
    return Table(
        f"A guard that knows of {entries} dead sessions",
        ("what", "measured", "unit", "goal, at most"),
        rows,
        ("Memory is resident; CPU µs are medians of alternated turns.",),
    )


def _message(entries: int, feed_key: Key, key: Key) -> str:
    now = int(time.time())
    chance = random.Random(1)
    found = tuple(
        Entry(sequence=n, kind="session", id=_session(chance), at=now + n // 2000, exp=now + 900 + n // 2000)
        for n in range(1, entries + 1)
    )
    return revocation_list.sign(
        RevocationList(
            iss=ISSUER, epoch=1, after=0, sequence=entries, iat=now, kids=(key.kid,), entries=found
        ),
        feed_key,
    )


def _session(chance: random.Random) -> str:
    return "ses_" + urlsafe_b64encode(chance.randbytes(16)).decode().rstrip("=")


def _guard(message: str, feed_key: Key, key: Key) -> Guard:
    ear = Ear(Knowledge(ISSUER, clock=time.time, monotonic=time.monotonic), 60, _trades_nothing)
    ear.hear(message, keys=(key,), feed_key=feed_key)
    return Guard(ISSUER, feed=ear)


def _trades_nothing(*credentials: str) -> str:
    raise AssertionError("every token of this run is its own")


def _works(guard: Guard, key: Key) -> Callable[[], object]:
    now = int(time.time())
    tokens = [
        access_token.issue(
            {
                "iss": ISSUER, "sub": f"usr_{n}", "aud": "api", "exp": now + 86_400, "iat": now, "jti": str(n),
                "client_id": "cli_first_party", "sid": f"ses_{n:022}", "uv": now * 1000, "cv": 1,
            },
            key,
        )
        for n in range(_TOKENS)
    ]  # fmt: skip
    upcoming = cycle(tokens).__next__
    return lambda: guard.verify(upcoming())
