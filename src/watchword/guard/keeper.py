"""The snapshot file kept up with what is known: soon after the log moved, so that a crash forgets nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from watchword.errors import ConfigurationError, InvalidToken
from watchword.guard.knowledge import Knowledge
from watchword.guard.snapshot import Kept, SnapshotFile

__all__ = ["Keeper"]

REWRITE_INTERVAL: Final = 30.0
"""Seconds after which a file is written anew although only time went by: an API that restarts counts its news' age."""
LEAST_PAUSE: Final = 0.05
SHARE: Final = 4
"""A large table takes long to write; after each write comes a pause of so many times that long."""


class Keeper:
    """Writes one issuer's snapshot on a thread of its own, so that neither requests nor the feed wait for a disk.

    Args:
        file: where to.
        knowledge: what is known.
        note: told of a write that failed.
        monotonic: the clock nobody sets.
    """

    def __init__(
        self,
        file: SnapshotFile,
        knowledge: Knowledge,
        *,
        note: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._knowledge = knowledge
        self._note = note
        self._monotonic = monotonic
        self._written = (0, 0)
        self._thread: threading.Thread | None = None
        self._wake, self._closing = threading.Event(), threading.Event()

    def restore(self) -> None:
        """Begin with what an earlier process kept.

        Raises:
            ConfigurationError: the file cannot be used.
        """
        kept = self._file.read()
        if kept is not None:
            try:
                self._knowledge.restore(
                    kept.message, keys=kept.keys, retired=kept.retired_feed_kids, cursor=kept.cursor
                )
            except InvalidToken as broken:
                raise ConfigurationError(f"snapshot: {self._file.path}: {broken.description}") from None
            self._written = self._position()

    def start(self) -> None:
        """Begin the thread, unless it runs; one caller at a time."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="watchword-guard-keeper", daemon=True)
            self._thread.start()

    def moved(self) -> None:
        """Say that a message was merged."""
        if self._position() != self._written:
            self._wake.set()

    def write(self) -> None:
        """Write now what is known now."""
        known = self._knowledge
        if known.view.cold:
            return
        kept = Kept(
            message=known.export(),
            keys=tuple(known.published.values()),
            retired_feed_kids=tuple(sorted(known.retired_feed_kids)),
            cursor=known.cursor,
        )
        try:
            self._file.write(kept)
        except OSError as broken:
            self._note(f"the snapshot cannot be written: {broken}")
        else:
            self._written = (kept.message.epoch, kept.message.sequence)

    def close(self) -> None:
        """End the thread, and write a last time."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(0.5)
        self.write()

    def forked(self) -> None:
        """Be usable in a child process, which has no thread yet."""
        self._thread = None
        self._wake, self._closing = threading.Event(), threading.Event()

    def _run(self) -> None:
        wake, closing = self._wake, self._closing
        while not closing.is_set():
            wake.wait(REWRITE_INTERVAL)
            wake.clear()
            began = self._monotonic()
            self.write()
            closing.wait(max(LEAST_PAUSE, SHARE * (self._monotonic() - began)))

    def _position(self) -> tuple[int, int]:
        return self._knowledge.epoch, self._knowledge.sequence
