"""What was used once and must not be used again, remembered for as long as it could be."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, NamedTuple

from watchword.errors import TemporarilyUnavailable

__all__ = ["Once"]

_SIZE: Final = 16
_GENERATIONS: Final = 8
_SHARE: Final = 5


class _Generation(NamedTuple):
    seen: dict[bytes, object]
    counts: Counter[str]


class Once:
    """A memory of one process, by generations of an eighth of a life: one is forgotten when all in it is out of date.

    Args:
        life: seconds after which something is refused for its age, so that nobody needs to remember it.
        maximum: how many are remembered, a fifth of them for one owner; past that nothing of his is let through,
            since forgetting would be.
        clock: seconds since the epoch.
    """

    __slots__ = ("_began", "_clock", "_counts", "_generations", "_lock", "_maximum", "_span")

    def __init__(self, life: float, maximum: int, clock: Callable[[], float]) -> None:
        self._span = life / _GENERATIONS
        self._maximum = maximum
        self._clock = clock
        # The youngest is still growing; behind it a whole life is remembered.
        self._generations: deque[_Generation] = deque([_Generation({}, Counter())])
        self._counts: Counter[str] = Counter()
        self._began = clock()
        self._lock = threading.Lock()

    def spend(self, owner: str, *parts: str, by: object) -> bool:
        """Whether this is the first time, or the same *by* as then; of two at the same moment, one is first.

        Raises:
            TemporarilyUnavailable: there is no room to remember it, or *owner* has taken his share.
        """
        digest = blake2b("\0".join(parts).encode(), digest_size=_SIZE).digest()
        with self._lock:
            self._age(self._clock())
            for generation in self._generations:
                first = generation.seen.get(digest)
                if first is not None:
                    return first is by
            if self._counts[owner] >= self._maximum // _SHARE or len(self) >= self._maximum:
                raise TemporarilyUnavailable("too many signed requests at once")
            youngest = self._generations[0]
            youngest.seen[digest] = by
            youngest.counts[owner] += 1
            self._counts[owner] += 1
            return True

    def forked(self) -> None:
        """Be usable in a child process, whatever the parent's threads held at the fork."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sum(len(generation.seen) for generation in self._generations)

    def _age(self, now: float) -> None:
        passed = int((now - self._began) / self._span)
        if passed < 1:
            return
        self._began += passed * self._span
        for _ in range(min(passed, _GENERATIONS + 1)):
            self._generations.appendleft(_Generation({}, Counter()))
            if len(self._generations) > _GENERATIONS + 1:
                self._counts -= self._generations.pop().counts
