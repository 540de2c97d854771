"""How the feed reaches ten thousand guards: a discrete-event simulation of streams, relays and caches, by a seed."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

__all__ = ["Heard", "commits", "poll", "push"]

HOP: Final = 0.0005
"""Seconds that a message is at least on its way, one way, within a region."""
JITTER: Final = 0.001
"""What comes on top of it, on average: exponentially distributed."""


@dataclass(slots=True)
class Heard:
    """What the listeners of one simulation heard.

    Attributes:
        times: for each listener and entry how often it was heard, listener by listener.
        delays: milliseconds from the commit to each listener.
        messages: what the server's own nodes sent or answered, in so many ``seconds``.
        busiest: the share of its time that the busiest sender had to do.
    """

    entries: int
    times: bytearray
    delays: list[float] = field(default_factory=list)
    messages: int = 0
    seconds: float = 0.0
    busiest: float = 0.0

    def hear(self, listener: int, entries: Sequence[tuple[int, float]], at: float) -> None:
        """Note that *listener* has *entries* now."""
        for number, committed_at in entries:
            self.times[listener * self.entries + number] += 1
            self.delays.append((at - committed_at) * 1000)

    def quantile(self, share: float) -> float:
        """Milliseconds within which that share of all hearings came."""
        found = sorted(self.delays)
        return found[min(len(found) - 1, int(len(found) * share))]


@dataclass(slots=True)
class _Sender:
    """Sends what has come to each of its children in turn; what comes meanwhile waits and goes out together."""

    children: Sequence[int]
    leaves: bool
    last: list[float]
    pending: list[tuple[int, float]] = field(default_factory=list)
    is_sending: bool = False
    busy: float = 0.0


def commits(entries: int, rate: float, seed: int) -> list[float]:
    """When *entries* are committed: at random, so many a second on average."""
    chance, now, found = random.Random(seed), 0.0, []
    for _ in range(entries):
        now += chance.expovariate(rate)
        found.append(now)
    return found


def push(
    levels: Sequence[int], listeners: int, committed: Sequence[float], *, send: float, seed: int
) -> Heard:
    """Streams: the database wakes the first of *levels*, each level sends to the next, the last to the listeners.

    Args:
        levels: how many senders each level has: ``(10,)`` are ten nodes, ``(2, 100)`` two and a hundred relays.
        listeners: guards, spread evenly over the last level.
        committed: the moments of the commits.
        send: CPU seconds that one message costs for one stream.
        seed: of the time that messages travel.
    """
    chance, order = random.Random(seed), count()
    heard = Heard(len(committed), bytearray(listeners * len(committed)))
    senders: list[_Sender] = []
    starts = [sum(levels[:n]) for n in range(len(levels) + 1)]
    for n, size in enumerate(levels):
        below = listeners if n == len(levels) - 1 else levels[n + 1]
        first = 0 if n == len(levels) - 1 else starts[n + 1]
        for k in range(size):
            children = range(first + below * k // size, first + below * (k + 1) // size)
            senders.append(_Sender(children, n == len(levels) - 1, [0.0] * len(children)))
    # A sender, and what reaches it; nothing: it is done with what it was sending.
    agenda: list[tuple[float, int, int, Sequence[tuple[int, float]]]] = []
    for number, at in enumerate(committed):
        for node in range(levels[0]):
            arrives = at + HOP + chance.expovariate(1 / JITTER)
            heapq.heappush(agenda, (arrives, next(order), node, ((number, at),)))
    while agenda:
        now, _, place, entries = heapq.heappop(agenda)
        sender = senders[place]
        sender.pending += entries
        if not entries:
            sender.is_sending = False
        if sender.is_sending or not sender.pending:
            continue
        batch, sender.pending, sender.is_sending = tuple(sender.pending), [], True
        at = now
        for n, child in enumerate(sender.children):
            at += send
            # One stream keeps its order.
            arrives = sender.last[n] = max(sender.last[n], at + HOP + chance.expovariate(1 / JITTER))
            if sender.leaves:
                heard.hear(child, batch, arrives)
            else:
                heapq.heappush(agenda, (arrives, next(order), child, batch))
        if place < levels[0]:
            heard.messages += len(sender.children)
        sender.busy += at - now
        heard.seconds = max(heard.seconds, at)
        heapq.heappush(agenda, (at, next(order), place, ()))
    heard.busiest = max(sender.busy for sender in senders) / heard.seconds
    return heard


def poll(
    edges: int, listeners: int, committed: Sequence[float], *, period: float, life: float, seed: int
) -> Heard:
    """A cache: every listener asks its edge for what came since, each *period*; an answer lives for *life* there.

    Listeners with the same cursor ask for the same address, so that an edge asks the server once for all of them.
    """
    chance, order = random.Random(seed), count()
    heard = Heard(len(committed), bytearray(listeners * len(committed)))
    cursors = [0] * listeners
    # Everybody has been asking for a while when the first entry is committed, and no two edges keep step.
    steps = [chance.random() - 3 for _ in range(edges)]
    agenda = [
        ((steps[listener % edges] + chance.random()) * period, next(order), listener)
        for listener in range(listeners)
    ]
    heapq.heapify(agenda)
    answers: dict[tuple[int, int], tuple[float, float, int]] = {}
    while agenda:
        asked_at, _, listener = heapq.heappop(agenda)
        at = asked_at + HOP + chance.expovariate(1 / JITTER)
        cursor, edge = cursors[listener], listener % edges
        ready, until, last = answers.get((edge, cursor), (0.0, -math.inf, 0))
        if at >= until:
            made = at + HOP + chance.expovariate(1 / JITTER)
            ready = made + HOP + chance.expovariate(1 / JITTER)
            last = sum(moment <= made for moment in committed)
            answers[edge, cursor] = (ready, ready + life, last)
            if made > 0:
                heard.messages += 1
                heard.seconds = max(heard.seconds, made)
        arrives = max(at, ready) + HOP + chance.expovariate(1 / JITTER)
        heard.hear(listener, [(n, committed[n]) for n in range(cursor, last)], arrives)
        cursors[listener] = max(cursor, last)
        if cursors[listener] < len(committed):
            heapq.heappush(agenda, (max(asked_at + period, arrives), next(order), listener))
    return heard
