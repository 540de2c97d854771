"""Reading on in the log from where this node was, after checking that it is still the same log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from watchword.errors import TemporarilyUnavailable
from watchword.server.feed.retained import Kept
from watchword.server.store.intentions.revocations import Revocations
from watchword.server.store.position import Head, Position

__all__ = ["read_on", "watch"]

_log = logging.getLogger("watchword.server")


async def read_on(
    log: Revocations,
    kept: Kept,
    known: Head | None,
    *,
    page: int,
    monotonic: Callable[[], float],
    begin: Callable[[Position], Awaitable[None]],
) -> tuple[Kept, Head]:
    """Read the log to its end; the entries of *kept* and those that came since, and the head.

    Args:
        log: the log.
        kept: what was read before; it is added to, or left for another one when another epoch has begun.
        known: the head that was read before.
        page: entries to read at once.
        monotonic: seconds, by the clock nobody sets.
        begin: opens a new epoch above a position that was seen and is not in the log any more.

    Raises:
        TemporarilyUnavailable: it cannot be read.
    """
    while True:
        contradicted = log.contradicted
        seen = contradicted or (known.position if known is not None else None)
        head, entries, marks = await log.read(kept.last, page, seen)
        if seen is not None and head.past == "other":
            await begin(seen)
            continue
        log.believe(head)
        if contradicted is not None and head.epoch == contradicted.epoch:
            continue  # it was this log after all; whether it is the one that was read before is looked at next
        if head.past == "forgotten":
            _log.warning(
                "the revocation log was last read too long ago to compare; it is read from its start"
            )
            known, kept = None, Kept(head.epoch)
        elif kept.epoch != head.epoch:
            kept = Kept(head.epoch)
        else:
            kept.add(entries, monotonic())
            kept.remember(marks)
            if len(entries) < page:
                return kept, head


async def watch(log: Revocations, moved: asyncio.Event) -> None:
    """Set *moved* whenever the log may have moved, until cancelled."""
    while True:
        try:
            async for _ in log.watch():
                moved.set()
        except TemporarilyUnavailable:
            pass
        except Exception as broken:
            _log.error("the revocation log is not watched", exc_info=broken)
        await asyncio.sleep(0.1)
