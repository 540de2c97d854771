"""Whatever comes in, only our own errors come out, and quickly."""

from __future__ import annotations

import random
import time

import pytest

from tests.fuzz.mutation import mutate
from tests.fuzz.parsers import PARSERS, Parser
from watchword.errors import WatchwordError

BOUND = 0.005
"""Seconds of CPU for one input."""


def read(parser: Parser, given: bytes) -> bool:
    """Whether *parser* took *given*; an error that is not ours goes through."""
    try:
        parser.call(given)
    except WatchwordError:
        return False
    return True


def seconds(parser: Parser, given: bytes) -> float:
    """What *given* costs at its best: a slow moment of the machine is not the parser's."""
    spent = []
    for _ in range(5):
        begun = time.thread_time()
        read(parser, given)
        spent.append(time.thread_time() - begun)
    return min(spent)


def fuzz(name: str, seed: int, count: int) -> tuple[int, bytes]:
    """Feed *count* inputs to a parser: how many it took, and the costliest, which is within the bound."""
    parser, chance = PARSERS[name], random.Random(seed)
    taken, slowest, worst = 0, 0.0, b""
    for _ in range(count):
        given = mutate(chance, parser.seeds)
        begun = time.thread_time()
        try:
            taken += read(parser, given)
        except Exception as foreign:
            raise AssertionError(f"{name}, seed {seed}: {given!r}") from foreign
        spent = time.thread_time() - begun
        if spent > slowest:
            slowest, worst = spent, given
            assert spent <= BOUND or seconds(parser, given) <= BOUND, f"{name}, seed {seed}, slow: {given!r}"
    return taken, worst


class TestFuzz:
    @pytest.mark.parametrize("name", PARSERS)
    def test_req_j27_a_few_thousand_inputs(self, name: str) -> None:
        """No foreign exception, none above 5 ms; enough are read for the inside to be seen."""
        taken, _ = fuzz(name, 20_260, 2000)
        assert taken >= 2000 * PARSERS[name].often // 100

    @pytest.mark.parametrize("name", PARSERS)
    def test_the_good_inputs_are_good(self, name: str) -> None:
        """At least one seed of each parser is read, so that its neighbours are near the edge."""
        assert any(read(PARSERS[name], given) for given in PARSERS[name].seeds)


@pytest.mark.long
class TestLong:
    @pytest.mark.parametrize("name", PARSERS)
    def test_req_j27_a_million_inputs(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        """The same, a million times over from a fresh seed; progress is shown."""
        seed, begun = random.SystemRandom().randrange(2**32), time.monotonic()
        taken = 0
        for part in range(20):
            taken += fuzz(name, seed + part, 50_000)[0]
            with capsys.disabled():
                done, gone = (part + 1) * 5, time.monotonic() - begun
                print(
                    f"\r{name}: {done:3} % of 1 000 000 inputs, seed {seed}, {taken} read, {gone:.0f} s",
                    end="",
                    flush=True,
                )
        with capsys.disabled():
            print()
        assert taken > 0
