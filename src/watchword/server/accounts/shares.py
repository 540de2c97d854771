"""Who has had how much lately: the networks that take so large a share that others should go before them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Shares"]

_SPAN: Final = 30.0
"""Seconds after which something counts a third of what it did."""
_LARGE: Final = 0.25
"""The share from which on a network comes behind others."""
_FEW: Final = 20.0
"""As much as any network may have."""
_KEPT: Final = 4_096
"""Networks that are remembered; the smallest are forgotten first."""
_FAR: Final = 600.0
"""Seconds after which the weights start again from 1, before they grow past what a number holds."""


@dataclass(slots=True)
class Shares:
    """What each network had, in a sum that forgets.

    Each is added with a weight that grows with time, so that nothing has to be made smaller as it gets older.

    Args:
        monotonic: seconds of a clock that does not jump.
    """

    monotonic: Callable[[], float] = time.monotonic
    _had: dict[str, float] = field(default_factory=dict, repr=False)
    _total: float = field(default=0.0, repr=False)
    _since: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._since = self.monotonic()

    def take(self, network: str) -> bool:
        """Count one more of *network*; whether its share is large."""
        now = self.monotonic()
        if now - self._since > _FAR:
            self._restart(now)
        weight = math.exp((now - self._since) / _SPAN)
        had = self._had[network] = self._had.get(network, 0.0) + weight
        self._total += weight
        if len(self._had) > _KEPT:
            self._forget()
        return had > _FEW * weight and had > _LARGE * self._total

    def _restart(self, now: float) -> None:
        shrunk = math.exp((self._since - now) / _SPAN)
        self._had = {network: had * shrunk for network, had in self._had.items()}
        self._total *= shrunk
        self._since = now

    def _forget(self) -> None:
        largest = sorted(self._had.items(), key=lambda pair: pair[1], reverse=True)[: _KEPT // 2]
        self._had = dict(largest)
        self._total = sum(self._had.values())
