"""What answers are counted in: one look-up and a few additions a request; the rest is done when Prometheus asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

__all__ = ["Tally"]

_BOUNDS: Final = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0)
"""Seconds; answers that took longer than the last have a bucket of their own."""

Key = tuple[str, str, int]


@dataclass(slots=True)
class _Count:
    """The answers of one method, route and status, by the time they took."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BOUNDS) + 1))
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Tally(Collector):
    """Counts answers by method, route and status. Requests are answered on one thread, so nothing is locked."""

    _counts: dict[Key, _Count] = field(default_factory=dict, repr=False)

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer; *route* is the path as the table has it, so that strangers make no labels."""
        count = self._counts.get((method, route, status))
        if count is None:
            count = self._counts[method, route, status] = _Count()
        count.buckets[bisect_left(_BOUNDS, seconds)] += 1
        count.seconds += seconds

    def collect(self) -> Iterator[CounterMetricFamily | HistogramMetricFamily]:
        """The counts as Prometheus reads them."""
        answers = CounterMetricFamily(
            "watchword_requests", "Requests answered", labels=("method", "route", "status")
        )
        routes: dict[str, list[_Count]] = {}
        for (method, route, status), count in self._counts.items():
            answers.add_metric((method, route, str(status)), sum(count.buckets))
            routes.setdefault(route, []).append(count)
        yield answers
        times = HistogramMetricFamily("watchword_request_seconds", "Time to answer", labels=("route",))
        for route, counts in routes.items():
            buckets = accumulate(map(sum, zip(*(count.buckets for count in counts), strict=True)))
            named = zip((*map(str, _BOUNDS), "+Inf"), buckets, strict=True)
            times.add_metric((route,), list(named), sum(count.seconds for count in counts))
        yield times
