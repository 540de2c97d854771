"""Deadline of a shutdown: a process that is told to end does, whatever still waits in it."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Deadline"]

_MARGIN: Final = 4.0
"""Seconds beyond the time to drain, for closing what is open. The parent of several kills them a second later."""

_HURRIED: Final = 1.0
"""Seconds that are left once a second signal came."""


@dataclass(slots=True)
class Deadline:
    """Ends the process from a thread of its own: the event loop may be what hangs.

    Args:
        drain: seconds for the requests under way.
    """

    drain: float
    _timer: threading.Timer | None = field(default=None, repr=False)

    def begin(self) -> None:
        """Count from now, unless it counts already."""
        if self._timer is None:
            self._start(self.drain + _MARGIN)

    def hurry(self) -> None:
        """Leave a second more, no matter what is under way."""
        if self._timer is not None:
            self._timer.cancel()
        self._start(_HURRIED)

    def _start(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, _end, (seconds,))
        self._timer.daemon = True
        self._timer.start()


def _end(seconds: float) -> None:
    sys.stderr.write(
        f"watchword: the shutdown took longer than {seconds:.0f} s; what was under way is lost\n"
    )
    sys.stderr.flush()
    # What was acknowledged is on the disk, or in the database; nothing else here must outlive us.
    os._exit(1)
