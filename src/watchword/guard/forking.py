"""Guards in the children of a process: a thread does not survive a fork."""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol

__all__ = ["Forked", "outlive_forks"]


class Forked(Protocol):
    """What has threads."""

    def after_fork(self) -> None:
        """Be usable in the child."""


_LIVING: Final[weakref.WeakSet[Forked]] = weakref.WeakSet()


def outlive_forks(thing: Forked) -> None:
    """Have *thing* told of every fork, in the child, for as long as it lives."""
    _LIVING.add(thing)


def _after_fork() -> None:
    for thing in list(_LIVING):
        thing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
