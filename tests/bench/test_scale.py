"""The plan past one machine: what its simulation must keep, and that its arithmetic moves the right way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.fanout import Heard, commits, poll, push
from bench.inputs import Inputs
from bench.scale import Plan, fan_out
from tests.bench.test_main import bench, table

COMMITS = commits(20, 150, seed=1)
INPUTS = Inputs(
    refresh=300, login=500, guarded=40, password=20_000, log=8_000, message=500, entry=150, memory=200, merge=3,
    hear=100, send=15, rows={"users": 280, "sessions": 440, "events": 350, "revocations": 280},
)  # fmt: skip
PLAN = Plan(INPUTS, churn=0.03)


def direct(nodes: int, listeners: int = 300, send: float = 20e-6) -> Heard:
    return push((nodes,), listeners, COMMITS, send=send, seed=2)


class TestFanOut:
    @pytest.mark.parametrize(
        "play",
        [
            lambda: direct(1),
            lambda: direct(7),
            lambda: push((2, 11), 301, COMMITS, send=20e-6, seed=2),
            lambda: push((2, 5, 13), 301, COMMITS, send=1e-3, seed=2),
            lambda: poll(3, 301, COMMITS, period=1, life=1, seed=2),
            lambda: poll(1, 301, COMMITS, period=0.01, life=0.5, seed=2),
        ],
        ids=["one node", "seven nodes", "relays", "slow relays", "caches", "a cache that lives long"],
    )
    def test_every_listener_hears_every_entry_exactly_once(self, play: Callable[[], Heard]) -> None:
        """And none before it was committed: nothing is lost and nothing made up on the way."""
        heard = play()
        assert set(heard.times) == {1}
        assert len(heard.delays) == len(heard.times)
        assert min(heard.delays) > 0

    def test_the_same_seed_plays_the_same_game(self) -> None:
        """Figures on the page can be had again."""
        assert direct(3).delays == direct(3).delays
        caches = [poll(3, 50, COMMITS, period=1, life=1, seed=seed) for seed in (1, 1, 2)]
        assert caches[0].delays == caches[1].delays != caches[2].delays

    def test_it_takes_longer_with_more_listeners_and_less_with_more_nodes(self) -> None:
        """A sender has one stream after the other to serve."""
        assert direct(2, 300).quantile(0.99) < direct(2, 3_000).quantile(0.99)
        assert direct(8, 3_000).quantile(0.99) < direct(2, 3_000).quantile(0.99)
        assert direct(2, 3_000, send=10e-6).quantile(0.5) < direct(2, 3_000, send=40e-6).quantile(0.5)

    def test_a_cache_asks_the_server_once_for_all_who_stand_at_the_same_place(self) -> None:
        """So the server's work follows the edges, not the guards; and nobody waits longer than both ages."""
        few, many = (poll(4, listeners, COMMITS, period=1, life=1, seed=3) for listeners in (400, 4_000))
        assert many.messages < 2 * few.messages < 4_000
        assert many.quantile(1) < 2_100


class TestPlan:
    @pytest.mark.parametrize("what", ["users", "refreshes", "churn"])
    def test_more_needs_more(self, what: str) -> None:
        """Nothing becomes less when the plan grows."""
        larger = dataclasses.replace(PLAN, **{what: getattr(PLAN, what) * 2})
        figures = [
            (
                plan.logins, plan.entries, plan.node_cores, plan.password_cores, plan.log_bytes, plan.hearing,
                *plan.rows.values(), plan.stream_bytes(100, 10_000),
            )
            for plan in (PLAN, larger)
        ]  # fmt: skip
        assert all(before <= after for before, after in zip(*figures, strict=True))
        assert figures[0] != figures[1]

    def test_what_is_at_its_end_first_stands_first(self) -> None:
        """By how many of it are needed."""
        plan = dataclasses.replace(PLAN, processes=200)
        limits = plan.tables(fan_out(plan, 5))[-1]
        units = [row[4] for row in limits.rows]
        assert len(units) == 7
        assert units == sorted(units, key=float, reverse=True)  # type: ignore[arg-type]


class TestCommand:
    def test_it_measures_before_it_reckons(self, tmp_path: Path) -> None:
        """Each input is more than nothing, and the plot is one that a browser can read."""
        options = ("--rows", "2000", "--seconds", "0.1", "--streams", "40", "--entries", "2")
        plot = tmp_path / "scale.svg"
        rows = table("A plan past this machine: inputs", "scale", *options, "--plot", str(plot))
        measured = {row["what"]: row["measured"] for row in rows}
        assert all(figure > 0 for name, figure in measured.items() if name != "message on one stream")
        assert measured["row of sessions"] > measured["row of users"] > 100
        assert ElementTree.parse(plot).getroot().tag.endswith("svg")

    def test_it_is_listed(self) -> None:
        """With the size it plans for."""
        assert "10^8 users" in bench("scale", "--help")
