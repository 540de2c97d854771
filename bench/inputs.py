"""What a plan starts from, measured in the same run: what one request, one row, one entry and one stream cost."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from bench.cost import pin
from bench.footprint import bytes_per_row, log_bytes_per_refresh
from bench.load import load, repeat, request, take_turns
from bench.million import measure as measure_guard
from bench.people import HASH, PASSWORD, populated_server
from bench.server import application, log_in, login_body, refreshes
from bench.streams import measure as measure_streams
from watchword.jose.jwk import Key, KeySet
from watchword.protocol import revocation_list
from watchword.protocol.revocation_list import Entry, RevocationList

__all__ = ["Inputs", "measure"]

_ISSUER: Final = "https://auth.example.com"
_CONNECTIONS: Final = 8
_USERS: Final = 2_000
_ENTRIES: Final = 50_000


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was measured.

    Attributes:
        refresh: CPU µs of the server; ``login`` likewise, without the hash; ``guarded``: of an API.
        password: CPU µs of one Argon2id, 19 MiB x 2.
        rows: bytes of a row by table, indexes included.
        log: bytes that SQLite writes ahead for a refresh.
        message: bytes of a message of the feed without entries; ``entry``: of each entry on top.
        memory: bytes of an entry in a guard; ``merge``: CPU µs to take it in; ``hear``: to verify a message.
        send: CPU µs of a server for one message on one stream.
    """

    refresh: float
    login: float
    guarded: float
    password: float
    rows: Mapping[str, float]
    log: float
    message: float
    entry: float
    memory: float
    merge: float
    hear: float
    send: float


def measure(*, rows: int, seconds: float, streams: int) -> Inputs:
    """Everything, one after the other."""
    refresh, login, guarded = _requests(seconds)
    message, entry, hear = _messages()
    guard = {row[0]: row[1] for row in measure_guard(entries=_ENTRIES, rounds=1, seconds=0.01).rows}
    alone, together = (_milliseconds_a_change(listeners) for listeners in (1, streams))
    return Inputs(
        refresh=refresh,
        login=login,
        guarded=guarded,
        password=_password(),
        rows=bytes_per_row(rows),
        log=log_bytes_per_refresh(),
        message=message,
        entry=entry,
        memory=_figure(guard["memory over idle, after the load"]) * 1e6 / _ENTRIES,
        merge=_figure(guard["load, from the signed text to the table"]) * 1e6 / _ENTRIES,
        hear=hear,
        send=max(together - alone, 0.0) * 1000 / (streams - 1),
    )


def _requests(seconds: float) -> tuple[float, float, float]:
    cores = os.sched_getaffinity(0)
    try:
        with ExitStack() as stack:
            server, people = stack.enter_context(populated_server("watchword", users=_USERS, sample=_USERS))
            token = log_in(server, people.emails[0])["access_token"]
            guarded = stack.enter_context(application("guarded", server.url))
            pin(0, 1)
            logins = take_turns(
                [request("POST", "/auth/login", login_body(email)) for email in people.emails]
            )
            costs = [
                load(process, [caller] * _CONNECTIONS, seconds).cost
                for process, caller in (
                    (server, refreshes(people)),
                    (server, logins),
                    (guarded, repeat(request("GET", "/", bearer=token))),
                )
            ]
    finally:
        os.sched_setaffinity(0, cores)
    return costs[0], costs[1], costs[2]


def _password() -> float:
    digest = HASH["standard"].hash(PASSWORD)
    began = time.process_time()
    for _ in range(5):
        HASH["standard"].verify(digest, PASSWORD)
    return (time.process_time() - began) / 5 * 1e6


def _messages() -> tuple[float, float, float]:
    key, now = Key.generate("ES256"), int(time.time())

    def signed(count: int) -> str:
        entries = tuple(
            Entry(sequence=n, kind="session", id=f"ses_{n:022}", at=now, exp=now + 900)
            for n in range(10**9, 10**9 + count)
        )
        return revocation_list.sign(
            RevocationList(
                iss=_ISSUER, epoch=now * 1000, after=10**9 - 1, sequence=10**9 + count,
                iat=now + 0.5, kids=(key.kid, key.kid), entries=entries,
            ),
            key,
        )  # fmt: skip

    empty, keys = signed(0), KeySet([key])
    began = time.process_time()
    for _ in range(200):
        revocation_list.parse(empty, keys, issuer=_ISSUER)
    hear = (time.process_time() - began) / 200 * 1e6
    return len(empty), (len(signed(1000)) - len(empty)) / 1000, hear


def _milliseconds_a_change(listeners: int) -> float:
    rows = measure_streams(listeners=listeners, changes=5).rows
    return _figure(next(row[1] for row in rows if row[0] == "server CPU a change"))


def _figure(cell: str | float | int | None) -> float:
    assert isinstance(cell, float | int)
    return float(cell)
