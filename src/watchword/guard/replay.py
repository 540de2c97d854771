"""What was used once and must not be used again, remembered for as long as it could be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from watchword.errors import TemporarilyUnavailable

__all__ = ["Once"]

_SIZE: Final = 16


class Once:
    """A memory of one process: two generations, of which the older is forgotten when all in it is out of date.

    Args:
        life: seconds after which something is refused for its age, so that nobody needs to remember it.
        maximum: how many are remembered; past that nothing is let through, since forgetting would be.
        clock: seconds since the epoch.
    """

    __slots__ = ("_began", "_clock", "_life", "_lock", "_maximum", "_old", "_young")

    def __init__(self, life: float, maximum: int, clock: Callable[[], float]) -> None:
        self._life = life
        self._maximum = maximum
        self._clock = clock
        self._young: dict[bytes, object] = {}
        self._old: dict[bytes, object] = {}
        self._began = clock()
        self._lock = threading.Lock()

    def spend(self, *parts: str, by: object) -> bool:
        """Whether this is the first time, or the same *by* as then; of two at the same moment, one is first.

        Raises:
            TemporarilyUnavailable: there is no room to remember it.
        """
        digest = blake2b("\0".join(parts).encode(), digest_size=_SIZE).digest()
        now = self._clock()
        with self._lock:
            if now - self._began >= self._life:
                # After two lives of silence the young are out of date as well.
                self._old = self._young if now - self._began < 2 * self._life else {}
                self._young, self._began = {}, now
            first = self._young.get(digest) or self._old.get(digest)
            if first is not None:
                return first is by
            if len(self._young) + len(self._old) >= self._maximum:
                raise TemporarilyUnavailable("too many signed requests at once")
            self._young[digest] = by
            return True

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
