"""Whatever comes in, only our own errors come out, and quickly."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator

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


def fuzz(name: str, seed: int, count: int) -> tuple[int, float]:
    """Feed *count* inputs to a parser: how many it took, and the seconds of the costliest, within the bound."""
    parser, chance = PARSERS[name], random.Random(seed)
    taken, slowest = 0, 0.0
    for _ in range(count):
        given = mutate(chance, parser.seeds)
        begun = time.thread_time()
        try:
            taken += read(parser, given)
        except Exception as foreign:
            raise AssertionError(f"{name}, seed {seed}: {given!r}") from foreign
        spent = time.thread_time() - begun
        if spent > BOUND:
            spent = seconds(parser, given)
            assert spent <= BOUND, f"{name}, seed {seed}, slow: {given!r}"
        slowest = max(slowest, spent)
    return taken, slowest


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Nobody reads a million warnings, and pytest would keep them all."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


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
    def test_req_j27_a_million_inputs(
        self, name: str, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
    ) -> None:
        """The same, a million times over from a fresh seed; progress is shown."""
        seed, begun = random.SystemRandom().randrange(2**32), time.monotonic()
        taken, slowest, told = 0, 0.0, ""
        for part in range(20):
            some, worst = fuzz(name, seed + part, 50_000)
            taken, slowest = taken + some, max(slowest, worst)
            told = (
                f"{name}: {(part + 1) * 5:3} % of 1 000 000 inputs, seed {seed}, {taken} read,"
                f" slowest {slowest * 1000:.2f} ms, {time.monotonic() - begun:.0f} s"
            )
            with capsys.disabled():
                print(f"\r{told}", end="", flush=True)
        with capsys.disabled():
            print()
        record_property("inputs", told)
        assert taken > 0
