"""Shares of what is done for networks: who has a large one, and for how long (S7)."""

from __future__ import annotations

from dataclasses import dataclass, field

from watchword.server.accounts.shares import Shares


@dataclass
class Clock:
    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Place:
    clock: Clock = field(default_factory=Clock)
    shares: Shares = field(init=False)

    def __post_init__(self) -> None:
        self.shares = Shares(self.clock)

    def take(self, network: str, count: int) -> bool:
        """What is said of the last of so many."""
        return [self.shares.take(network) for _ in range(count)][-1]


class TestShares:
    def test_f_s7_a_flood_has_a_large_share(self) -> None:
        """Beyond a few, and while others have little."""
        place = Place()
        assert not place.take("flood", 20)
        assert place.take("flood", 1)
        assert not place.take("somebody", 5)
        assert place.take("flood", 100)
        assert not place.take("somebody", 20)

    def test_f_s7_among_many_nobody_has_a_large_share(self) -> None:
        """Five that ask for the same are alike."""
        place = Place()
        said = [place.shares.take(f"network {number}") for _ in range(100) for number in range(5)]
        assert not any(said[5 * 21 :])

    def test_f_s7_a_flood_that_is_over_is_forgotten(self) -> None:
        """After two minutes it is as anybody, and after a day too."""
        for seconds in (120, 86_400, 10_000_000):
            place = Place()
            assert place.take("flood", 200)
            place.clock.seconds += seconds
            assert not place.take("flood", 1)

    def test_a_busy_day_keeps_its_bounds(self) -> None:
        """Weights start anew again and again, and of very many networks the largest are remembered."""
        place = Place()
        for _ in range(2_000):
            place.clock.seconds += 1
            place.take("steady", 2)
        assert place.take("steady", 1)
        for number in range(10_000):
            place.take(f"one of many {number}", 1)
        assert len(place.shares._had) <= 4_096
        assert place.shares._had.keys() >= {"steady"}
