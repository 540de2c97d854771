"""Keys change under load: four guards, every algorithm, and not one valid token refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from tests.guard.host import Running, running
from tests.guard.stage import until
from watchword import Guard
from watchword.errors import WatchwordError
from watchword.server.store.records import Origin

SECRET = "the-secret-that-server-and-api-share"
ALGORITHMS = ("HS256", "HS256", "RS256", "Ed25519", "ES256")


@dataclass
class Clock:
    """The real one, and as far ahead as a test says."""

    ahead: float = 0.0

    def time(self) -> float:
        return time.time() + self.ahead

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)


@dataclass
class Press:
    """Threads that verify every good token again and again, each at a guard of its own."""

    guards: list[Guard]
    tokens: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def run(self, number: int) -> None:
        while not self._done.is_set():
            for token in tuple(self.tokens):
                try:
                    self.guards[number].verify(token)
                except WatchwordError as error:
                    self.refused.append(f"guard {number}: {error}")
            self.rounds[number] += 1
            self._done.wait(0.001)

    def settle(self) -> None:
        """Let every guard see every token that there is now."""
        before = [count + 2 for count in self.rounds]
        until(lambda: all(count >= least for count, least in zip(self.rounds, before, strict=True)))


@contextmanager
def pressing(guards: list[Guard]) -> Iterator[Press]:
    press = Press(guards, rounds=[0] * len(guards))
    threads = [threading.Thread(target=press.run, args=(number,)) for number in range(len(guards))]
    for thread in threads:
        thread.start()
    try:
        yield press
    finally:
        press._done.set()
        for thread in threads:
            thread.join()


def rotate(server: Running, clock: Clock, guards: list[Guard], algorithm: str) -> str:
    """Rotate, and let the minute go by in which the new key is only announced; its kid."""
    rotation = server.do(server.services.keys.rotate(algorithm=algorithm, origin=Origin()))
    until(lambda: all(rotation.kid in guard.health()["kids"] for guard in guards))
    clock.ahead += 61
    server.do(server.services.keys.tick())
    kid: str = rotation.kid
    return kid


class TestRotation:
    @pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.long)])
    def test_n06_no_valid_token_is_refused_through_every_algorithm(self, rounds: int) -> None:
        """HS256, HS256 again, RS256, Ed25519, ES256, over and over; old tokens and new at four guards throughout."""
        clock = Clock()
        settings = {
            "api_secrets": f"api={SECRET}",
            "access_token_ttl": "12h",
            "registrations_per_address": "0",
        }
        with running(clock.now, **settings) as server:
            guards = [Guard(server.url, secrets=SECRET, clock=clock.time) for _ in range(4)]
            for guard in guards:
                guard.refresh()
            seen = set()
            with pressing(guards) as press:
                press.tokens.append(server.newcomer("ada@example.com")["access_token"])
                press.settle()
                for _ in range(rounds):
                    for algorithm in ALGORITHMS:
                        seen.add(rotate(server, clock, guards, algorithm))
                        somebody = server.newcomer(f"user{len(seen)}@example.com")
                        press.tokens.append(somebody["access_token"])
                        press.settle()
                        del press.tokens[:-12]
            assert press.refused == []
            assert len(seen) == rounds * len(ALGORITHMS)
            for guard in guards:
                guard.close()

    def test_n06_a_compromised_key_is_dead_at_all_of_them(self) -> None:
        """Its tokens die; those under the key before it and the one after it live."""
        with running() as server:
            guards = [Guard(server.url) for _ in range(4)]
            old = server.newcomer("bob@example.com")["access_token"]
            for guard in guards:
                guard.verify(old)
            rotation = server.do(server.services.keys.rotate(immediately=True, origin=Origin()))
            stolen = server.login("bob@example.com")["access_token"]
            assert all(guard.verify(stolen) for guard in guards)
            server.do(server.services.keys.compromise(rotation.kid, Origin()))
            until(lambda: not any(_passes(guard, stolen) for guard in guards))
            new = server.login("bob@example.com")["access_token"]
            assert all(_passes(guard, token) for guard in guards for token in (old, new))
            for guard in guards:
                guard.close()


def _passes(guard: Guard, token: str) -> bool:
    try:
        guard.verify(token)
    except WatchwordError:
        return False
    return True
