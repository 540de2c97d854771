"""Signing keys change under load: valid tokens that four guards refuse, and those that PyJWT's key client refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import jwt as pyjwt

from bench.process import ADMIN, started_server
from bench.reach import Office
from bench.table import Table
from watchword import Guard
from watchword.errors import WatchwordError

__all__ = ["measure"]

_GUARDS = 4
_KEPT = 8


@dataclass
class _Tally:
    """One verifier: how often it was asked about a valid token, and how often it refused."""

    name: str
    verify: Callable[[str], Any]
    asked: int = 0
    refused: int = 0
    refused_at_first: int = 0

    def ask(self, token: str) -> bool:
        self.asked += 1
        try:
            self.verify(token)
        except (WatchwordError, pyjwt.PyJWTError):
            self.refused += 1
            return False
        return True


@dataclass
class _Load:
    """Each verifier on a thread of its own, over every token there is."""

    tallies: list[_Tally]
    tokens: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def press(self, tally: _Tally) -> None:
        while not self.done.wait(0.001):
            for token in tuple(self.tokens):
                tally.ask(token)


def measure(*, rotations: int) -> Table:
    """The table: each rotation acts at once, and a token under the new key is used the moment it is issued."""
    with ExitStack() as stack:
        server = stack.enter_context(started_server(PASSWORD_HASH="test", **ADMIN))
        office = Office(stack.enter_context(httpx2.Client(base_url=server.url, timeout=30)))
        guards = [Guard(server.url) for _ in range(_GUARDS)]
        for guard in guards:
            stack.callback(guard.close)
        tallies = [_Tally(f"guard {n}", guard.verify) for n, guard in enumerate(guards, 1)]
        tallies.append(_Tally("PyJWT with PyJWKClient", _pyjwt(server.url)))
        first = office.token()
        assert all(tally.ask(first) for tally in tallies)
        load = stack.enter_context(_pressing(tallies))
        load.tokens.append(first)
        for _ in range(rotations):
            office.rotate()
            token = office.token()
            for tally in tallies:
                tally.refused_at_first += not tally.ask(token)
            load.tokens.append(token)
            del load.tokens[:-_KEPT]
    rows = [(tally.name, rotations, tally.refused_at_first, tally.asked, tally.refused) for tally in tallies]
    return Table(
        f"{rotations} rotations of the signing key under load",
        ("verifier", "new keys", "first tokens refused", "valid tokens", "of them refused"),
        rows,
        (
            "Every token is valid; every refusal is wrong. The key client fetches the key set again for a kid it does"
            " not know, but not within thirty seconds of the last time (its default); the first new keys it has seen"
            " before, since the waiting key is always published. Keys that change once in months meet this once.",
        ),
    )


@contextmanager
def _pressing(tallies: list[_Tally]) -> Iterator[_Load]:
    load = _Load(tallies)
    threads = [threading.Thread(target=load.press, args=(tally,)) for tally in tallies]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.done.set()
        for thread in threads:
            thread.join()


def _pyjwt(issuer: str) -> Callable[[str], Any]:
    client = pyjwt.PyJWKClient(f"{issuer}/.well-known/jwks.json")

    def verify(token: str) -> Any:
        key = client.get_signing_key_from_jwt(token)
        return pyjwt.decode(token, key, algorithms=["ES256"], audience="api", issuer=issuer)

    return verify
