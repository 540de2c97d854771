"""Watching a SQLite file for commits by other processes: the kernel says that somebody writes, a look says what came.

Writes into the write-ahead log come before the commit that they end in, by as long as the disk takes. So a write
begins a span of looks, one every 25 ms, and silence ends it; an idle server looks at nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

__all__ = ["FileWatch"]

_POLL: Final = 0.025
"""Seconds between two looks while somebody writes, and everywhere if the kernel cannot say so."""
_AWAKE: Final = 2.0
"""Seconds of looks after the last write: a slow disk ends a commit so much later. The feed reads
every second in any case."""

# inotify(7): what is told of a file, once.
_MODIFY: Final = 0x2
_ATTRIB: Final = 0x4
_DELETE_SELF: Final = 0x400
_MOVE_SELF: Final = 0x800
_ONESHOT: Final = 0x8000_0000
_TOLD: Final = _MODIFY | _ATTRIB | _DELETE_SELF | _MOVE_SELF | _ONESHOT


@dataclass(slots=True, eq=False)
class FileWatch:
    """Calls *look* whenever another process may have committed to the file at *path*, on the running event loop.

    Args:
        path: of the file.
        look: whether something has changed since it was last called.
        awake: seconds of looks after the last write.
    """

    path: str
    look: Callable[[], bool]
    awake: float = _AWAKE
    _loop: asyncio.AbstractEventLoop = field(init=False, repr=False)
    _notices: int | None = field(init=False, default=None, repr=False)
    _timer: asyncio.TimerHandle | None = field(init=False, default=None, repr=False)
    _awake_until: float = field(init=False, default=0.0, repr=False)

    @property
    def rests(self) -> bool:
        """Whether it waits for the kernel to tell of a write."""
        return self._timer is None

    def start(self) -> None:
        """Begin; it looks until nothing has changed for a while."""
        self._loop = asyncio.get_running_loop()
        self._notices = _open_notices()
        if self._notices is not None:
            self._loop.add_reader(self._notices, self._heard)
        self._wake()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._notices is not None:
            self._loop.remove_reader(self._notices)
            os.close(self._notices)
            self._notices = None

    def _wake(self) -> None:
        self._awake_until = self._loop.time() + self.awake
        if self._timer is None:
            self._timer = self._loop.call_later(_POLL, self._again)

    def _again(self) -> None:
        self._timer = None
        if self.look():
            self._wake()
        elif self._notices is None or self._loop.time() < self._awake_until or not self._rest(self._notices):
            self._timer = self._loop.call_later(_POLL, self._again)
        elif self.look():
            self._wake()  # between the look before and the rest

    def _rest(self, notices: int) -> bool:
        """Let the kernel say when the next write comes; whether it will."""
        return all(_add(notices, path) for path in (self.path, f"{self.path}-wal"))

    def _heard(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._notices or 0, 4096)
        self.look()
        self._wake()


def _open_notices() -> int | None:
    """A descriptor of inotify(7); ``None`` where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError, AttributeError):
        found: int = _libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        return found if found >= 0 else None
    return None


def _add(notices: int, path: str) -> bool:
    return bool(_libc().inotify_add_watch(notices, os.fsencode(path), _TOLD) >= 0)


@lru_cache(maxsize=1)
def _libc() -> Any:
    import ctypes  # three milliseconds, which a command that watches nothing does not pay

    return ctypes.CDLL(None)
