"""The issuer's time as its messages tell it, beside this machine's clock, either of which may be wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

__all__ = ["Timeline"]

LEAST_LEEWAY: Final = 5.0
"""Seconds of difference that clocks may always have: a leeway of 0 is about tokens."""
AGREED: Final = 300.0
"""Seconds for which messages must agree on a time ahead of all that is known, before anything is refused by it."""
FOLLOWED: Final = 10.0
"""The same of a time behind: that it is the issuer's clock, and not old messages that are sent again."""
_DRIFT: Final = 2.0
"""Seconds by which messages of one series may come earlier or later than their times say."""


class _Series(NamedTuple):
    """Messages that agree with each other and not with what is known."""

    began_at: float
    iat: float
    zero: float


class Timeline:
    """What is believed of the issuer's time.

    Three times are compared: the ``iat`` of a message, this machine's wall clock, and its monotonic clock, which
    nobody sets. A jump of ``iat`` against the monotonic clock is the issuer's; a jump of the wall clock against it is
    this machine's.

    Args:
        clock: seconds since the epoch.
        monotonic: the clock nobody sets.
        leeway: seconds of difference that are nothing to speak of.
        alarm: told once of each difference beyond it that no delay of messages explains.
        warn: told once of each other one.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        leeway: float,
        alarm: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._leeway = max(leeway, LEAST_LEEWAY)
        self._alarm = alarm
        self._warn = warn
        self.iat = 0.0
        """The newest time that is believed: the record."""
        self.difference: float | None = None
        """Seconds by which this machine's clock is ahead of the newest message's; less than 0: behind."""
        self._zero: float | None = None
        """The issuer's time when the monotonic clock stood at 0."""
        self._heard_wall = -math.inf
        self._heard_at = -math.inf
        self._series: _Series | None = None
        self._told = ""

    @property
    def age(self) -> float:
        """Seconds since the issuer was last heard, by the clock that says more."""
        return max(self._clock() - self._heard_wall, self._monotonic() - self._heard_at, 0.0)

    @property
    def now(self) -> float:
        """Seconds since the epoch, by this machine's clock or by the issuer's, whichever is further."""
        wall = self._clock()
        return wall if self._zero is None else max(wall, self._zero + self._monotonic())

    @property
    def latest(self) -> float:
        """The latest time at which a message can have been made, as far as is known here."""
        return self.now + self._leeway

    @property
    def push(self) -> float:
        """Seconds by which ``now`` is further than this machine's clock."""
        return 0.0 if self._zero is None else max(self._zero + self._monotonic() - self._clock(), 0.0)

    @property
    def claimed(self) -> float:
        """Seconds by which the issuer says that its clock is ahead of this machine's, believed or not."""
        return 0.0 if self.difference is None else max(-self.difference, 0.0)

    @property
    def clock(self) -> float | None:
        """``difference`` as ``health()`` tells it."""
        return None if self.difference is None else round(self.difference, 1)

    @property
    def note(self) -> str:
        """What a refusal adds where the clocks differ by more than the leeway; mostly nothing."""
        return "" if self.difference is None else _note(self.difference, self._leeway)

    def hear(self, iat: float, *, moved: bool, answered: bool, anew: bool) -> bool:
        """Take in the time of a message; returns whether the message counts as heard just now.

        Args:
            iat: its time.
            moved: whether it carried the cursor forward: nothing that was said before does.
            answered: whether it answers a question that was asked a moment ago.
            anew: whether it is the first of a new epoch.
        """
        wall, now = self._clock(), self._monotonic()
        if anew or self._zero is None:
            believed = True
        else:
            believed = iat <= wall + self._leeway or iat <= self._zero + now + self._leeway
        newer = anew or iat > self.iat
        # This machine's clock and the message agree with each other, and not with the record.
        corrected = abs(iat - wall) <= self._leeway < self.iat - wall
        heard = moved or answered or (newer and believed) or corrected
        if believed and (newer or corrected or (heard and iat < self.iat - _DRIFT)):
            self._heard_wall = wall if not newer else min(iat, wall)
            self.iat, self._zero, self._series = iat, iat - now, None
        elif not believed or not heard:
            heard = self._hear_series(iat, now, ahead=newer) or heard
            self._heard_wall = min(iat, wall) if heard else self._heard_wall
        else:
            self._heard_wall = max(self._heard_wall, min(iat, wall))
        if heard:
            self._heard_at = now
        if heard or newer:
            self._compare(wall - iat)
        return heard

    def restore(self, iat: float) -> None:
        """Begin with the time of what an earlier process heard; it is as old as this machine's clock says."""
        wall = self._clock()
        if iat > wall + self._leeway:
            self._alarm(
                f"what was kept is {iat - wall:.0f} s ahead of this machine's clock: its age is not known"
            )
            return
        self.iat, self._heard_wall = iat, iat
        self._heard_at = self._monotonic() - max(wall - iat, 0)

    def _hear_series(self, iat: float, now: float, *, ahead: bool) -> bool:
        """Take in what is not believed yet: in the end either everything that comes says so, or it is gone."""
        series, zero = self._series, iat - now
        if series is None or iat <= series.iat or abs(zero - series.zero) > _DRIFT:
            self._series = _Series(now, iat, zero)
            return False
        self._series = series._replace(iat=iat)
        if now - series.began_at >= (AGREED if ahead else FOLLOWED):
            self.iat, self._zero, self._series = iat, zero, None
            return True
        return ahead

    def _compare(self, difference: float) -> None:
        self.difference = difference
        told = "" if abs(difference) <= self._leeway else "behind" if difference < 0 else "ahead"
        if told and told != self._told:
            tell = (
                self._alarm if told == "behind" else self._warn
            )  # no message is from a time that has not come
            tell(self.note.removeprefix("; "))
        self._told = told


def _note(difference: float, leeway: float) -> str:
    if abs(difference) <= leeway:
        return ""
    if difference < 0:
        return f"; this machine's clock is {-difference:.0f} s behind the auth server's"
    ahead = f"{difference:.0f} s ahead of the auth server's"
    return f"; this machine's clock is {ahead}, or the feed's messages arrive late"
