"""One question at a time, shared by everybody who came before it was asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from watchword.errors import TemporarilyUnavailable, WatchwordError

__all__ = ["Asking"]

PAUSE: Final = 1.0
"""Seconds in which a failed question is not asked again: callers of an issuer that is away must not queue for it."""


class Asking:
    """Has *ask* run on a thread of its own, once for all who wait.

    Whoever comes while a question is on its way waits for the next: only that one was asked after he came.

    Args:
        ask: asks, or raises a ``WatchwordError``.
        monotonic: the clock nobody sets.
    """

    def __init__(self, ask: Callable[[], None], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next: Future[None] | None = None
        self._failed: Future[None] | None = None
        self._failed_at = 0.0
        self._busy = False

    def begin(self) -> Future[None]:
        """The outcome of a question that is asked after this call, or of one that has just failed.

        Raises:
            TemporarilyUnavailable: there is no thread to ask with.
        """
        with self._lock:
            if self._failed is not None and self._monotonic() - self._failed_at < PAUSE:
                return self._failed
            if self._next is None:
                self._next = Future()
                # Shared: one caller that loses patience must not cancel it for the others.
                self._next.set_running_or_notify_cancel()
                if not self._busy:
                    self._start()
            return self._next

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="watchword-guard-asking", daemon=True).start()
        except RuntimeError:  # no thread is to be had: the next caller tries again
            self._next = None
            raise TemporarilyUnavailable("no thread could be started to ask") from None
        self._busy = True

    def forked(self) -> None:
        """Be usable in a child process: the thread that would have answered is not there."""
        self._lock = threading.Lock()
        self._next, self._busy = None, False

    def _run(self) -> None:
        while True:
            with self._lock:
                question, self._next = self._next, None
                if question is None:
                    self._busy = False
                    return
            try:
                self._ask()
            except WatchwordError as refused:
                self._fail(question, refused.description)
            except Exception as broken:  # nobody may wait for an answer that does not come
                self._fail(question, f"{type(broken).__name__}: {broken}")
            else:
                self._failed = None
                question.set_result(None)

    def _fail(self, question: Future[None], why: str) -> None:
        self._failed, self._failed_at = question, self._monotonic()
        question.set_exception(TemporarilyUnavailable(why))
