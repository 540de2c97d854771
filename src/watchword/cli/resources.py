"""What the system grants a server process: open files, and rounds of the garbage collector."""

from __future__ import annotations

import gc
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from watchword.server.policies import WebPolicy

__all__ = ["allow_files", "spare_the_collector", "within"]

_OWN_FILES: Final = 256
"""Open files that are no connections: those of the database, and connections that are being refused."""
_GARBAGE: Final = 10_000
"""Objects made and not let go between two rounds of the garbage collector; Python's 700 are a few requests' worth."""


def spare_the_collector() -> None:
    """What stands when serving begins stands to the end: the garbage collector need not walk it with each round."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE)


def allow_files() -> int | None:
    """Take as many open files as the system grants, and return their number; ``None`` if there is no limit."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit
        return None
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def within(web: WebPolicy, files: int | None) -> WebPolicy:
    """*web* with no more connections than there are files: a connection that can't be accepted stops all others."""
    if files is None:
        return web
    return replace(web, connections=min(web.connections, max(files - _OWN_FILES, files // 2)))
