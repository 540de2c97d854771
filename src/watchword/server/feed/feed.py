"""The revocation feed: the log, signed and sent to every guard.

One background task reads the log after each commit that moved it, signs one message and hands the
same bytes to every listener.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from watchword.errors import TemporarilyUnavailable, WatchwordError
from watchword.server.feed.asking import Asking
from watchword.server.feed.channel import Edition, Snapshot, hears_all, kill_instead
from watchword.server.feed.cursor import CursorCodec
from watchword.server.feed.head_clock import HeadClock
from watchword.server.feed.log_reading import read_on, watch
from watchword.server.feed.retained import Kept
from watchword.server.keys.ring import KeyRing
from watchword.server.policies import FeedPolicy
from watchword.server.store.intentions.revocations import Revocations
from watchword.server.store.position import Head, Position
from watchword.server.store.records import Origin

__all__ = ["RevocationFeed"]

_log = logging.getLogger("watchword.server")

_BREATH: Final = 20e-6
"""Seconds of rest for each listener after an event: commits in a storm share a message."""
_LOOK: Final = 1.0
"""Seconds after which the log is read again although nothing woke this process."""
_RECENT: Final = 2.0
"""Seconds: the oldest reading of the log by which callers are authenticated, and the longest wait for a newer one."""
_UNREAD: Final = "this node cannot read the revocation log at the moment"


@dataclass(slots=True)
class RevocationFeed:
    """What guards fetch and listen to.

    Args:
        log: the log of what died.
        ring: the key ring, read again when the live keys change.
        issuer: the ``iss`` of every message.
        policy: heartbeat and queue.
        now: the clock.
        monotonic: the clock nobody sets; it should count the time this machine was suspended.
        cursors: writes and reads the places of listeners.
    """

    log: Revocations
    ring: KeyRing
    issuer: str
    policy: FeedPolicy
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    cursors: CursorCodec
    _full: Edition = field(init=False)
    _open: Edition = field(init=False)
    _asking: Asking = field(init=False, repr=False)
    clock: HeadClock = field(default_factory=HeadClock)
    _kept: Kept = field(default_factory=Kept)
    _head: Head | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _read_at: float = -math.inf
    """By ``monotonic``: a moment before the newest reading of the log that succeeded."""
    _catching_up: asyncio.Task[bool] | None = field(default=None, repr=False)
    _silent: bool = False
    _closed: bool = False

    def __post_init__(self) -> None:
        self._full = Edition(self.ring, self.issuer, self.policy, self.cursors, self.monotonic)
        self._open = Edition(self.ring, self.issuer, self.policy, self.cursors, self.monotonic, kill_instead)
        self._asking = Asking(self._reading, lambda: self._read_and_tell(heartbeat=False))

    async def start(self) -> None:
        """Read the log once, so that the first answer is complete."""
        async with self._reading:
            await self._read()

    async def run(self) -> None:
        """Follow the log until cancelled: an event after each commit, a heartbeat in silence.

        While the log cannot be read nothing is sent. After one heartbeat that could not be sent the streams end.
        """
        moved = asyncio.Event()
        beside = [
            asyncio.create_task(watch(self.log, moved)),
            asyncio.create_task(self._end_silent_streams()),
        ]
        heartbeat, time = self.policy.heartbeat.total_seconds(), asyncio.get_running_loop().time
        due = time() + heartbeat
        try:
            while not self._closed:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(min(due, time() + _LOOK)):
                        await moved.wait()
                moved.clear()
                try:
                    # Commits that revoke nothing wake this, too; they must not put the heartbeat off.
                    if await self._tell(heartbeat=time() >= due):
                        due = time() + heartbeat
                except TemporarilyUnavailable:
                    due = time() + min(heartbeat, 1)
                    continue
                except WatchwordError as fault:
                    _log.error("the revocation feed is silent: %s", fault.description)
                    await asyncio.sleep(1)
                except Exception as broken:  # whatever it was: a feed that ended would go unseen
                    _log.error("the revocation feed is silent", exc_info=broken)
                    await asyncio.sleep(1)
                await asyncio.sleep(_BREATH * self.listeners)
        finally:
            for task in beside:
                task.cancel()

    async def poll(self) -> None:
        """Read the log and tell the listeners what is new, now."""
        await self._tell(heartbeat=False)

    def close(self) -> None:
        """End every stream, so that a drain need not wait for them."""
        self._closed = True
        self._asking.close()
        if self._catching_up is not None:
            self._catching_up.cancel()
        self._end_streams()

    @property
    def is_recent(self) -> bool:
        """Whether the log was read within the last two seconds."""
        return self.monotonic() - self._read_at <= _RECENT

    async def ensure_recent(self, within: float = _RECENT, *, patience: float = _RECENT) -> None:
        """Read the log unless it was read *within* so many seconds; mostly that costs one look at a clock.

        A process that was stopped for a while (a paused VM, a frozen container) knows nothing of what was revoked
        meanwhile, and the requests that waited for it come first.

        Raises:
            TemporarilyUnavailable: it cannot be read, or not in *patience* seconds.
        """
        if self.monotonic() - self._read_at <= within:
            return
        try:
            async with asyncio.timeout(patience):
                while self.monotonic() - self._read_at > within:
                    await asyncio.shield(self._catch_up())
        except TimeoutError:
            raise TemporarilyUnavailable(_UNREAD) from None

    async def ensure_speaking(self) -> None:
        """Check that this node may speak for the log: it has read it within one heartbeat, or reads it now.

        Raises:
            TemporarilyUnavailable: it cannot; another node may.
        """
        if self._silent:
            raise TemporarilyUnavailable(_UNREAD)
        await self.ensure_recent(self.policy.heartbeat.total_seconds())

    @property
    def closed(self) -> bool:
        """Whether the streams have been ended for good."""
        return self._closed

    @property
    def listeners(self) -> int:
        """How many guards listen."""
        return len(self._full.listeners) + len(self._open.listeners)

    @property
    def sequence(self) -> int:
        """The sequence of the last entry read."""
        return self._known.sequence

    @property
    def forgotten(self) -> int:
        """No token is left for any entry up to this sequence."""
        return self._kept.forgotten

    @property
    def epoch(self) -> int:
        """The epoch of the log."""
        return self._known.epoch

    @property
    def instance(self) -> str:
        """The name of this database: a restored or moved copy has another one."""
        return self._known.instance

    @property
    def cursor(self) -> str:
        """The newest position, as subscribers get it."""
        return self.cursors.mint(self._known.position, self._known.instance)

    async def went_back(self, epoch: int) -> None:
        """A refresh token of *epoch* that is ahead of its row proves that the store went back.

        Raises:
            TemporarilyUnavailable: the log cannot be used.
        """
        async with self._reading:
            await self._read_and_tell(heartbeat=False)
            if self._known.epoch <= epoch:
                await self._begin_anew(Position(epoch, 0))  # a busy log would be past any sequence
                await self._read_and_tell(heartbeat=False)

    async def restored(self, *, keep_sessions: bool) -> None:
        """Begin a new epoch over a backup that was put back.

        Raises:
            TemporarilyUnavailable: the log cannot be used.
        """
        async with self._reading:
            epoch = self._known.epoch
            while self._known.epoch == epoch:
                await self._begin_anew(Position(epoch, 0), keep_sessions=keep_sessions, restored=True)
                await self._read_and_tell(heartbeat=False)

    def is_token_revoked(self, jti: str) -> bool:
        """Whether this one token was revoked by its ``jti``."""
        return jti in self._kept.tokens

    def edition(self, authorization: Sequence[str | bytes]) -> Edition:
        """What somebody may hear who shows these ``Authorization`` values, none included.

        Raises:
            MissingCredentials, InvalidRequest, InvalidToken: as ``hears_all``.
        """
        return self._full if hears_all(authorization, self.policy) else self._open

    def snapshot(self) -> Snapshot:
        """Every kept entry, signed."""
        return self._full.snapshot()

    def delta(self, after: int) -> bytes:
        """Every kept entry past *after*, signed; a cursor from the future gets the whole."""
        return self._full.delta(after)

    async def answer(
        self, after: int, nonce: str, edition: Edition | None = None, *, mark: str | None = None
    ) -> bytes:
        """What came since *after* as the log stands now, signed together with the asker's *nonce*.

        Raises:
            TemporarilyUnavailable: the log cannot be read.
        """
        await self._asking.ask()
        return (edition or self._full).answer(await self.place(after, mark), nonce)

    async def place(self, after: int, mark: str | None) -> int:
        """Where somebody goes on who has heard everything up to *after*; 0, the whole, if *mark* is another one.

        Nothing is proved by what anybody may ask. A guard of an older version knows no mark.

        Raises:
            TemporarilyUnavailable: the log cannot be read.
        """
        if mark is None or not after:
            return after
        known = await self._mark_at(after) if after <= self._known.sequence else None
        return after if known is not None and mark == f"{known:016x}" else 0

    async def stream(
        self, last_event_id: str | None = None, *, after: int = 0, edition: Edition | None = None
    ) -> AsyncIterator[bytes]:
        """Server-sent events from a place on: first what was missed, then each message as it happens.

        Args:
            last_event_id: the ``id`` of the last event heard; it wins over *after*.
            after: a sequence that the listener already has from somewhere else.
            edition: what the listener may hear; everything, unless said otherwise.

        Raises:
            TemporarilyUnavailable: the log cannot be read.
        """
        cursor = self.cursors.parse(last_event_id, self._known.instance)
        if cursor is not None:
            after = await self._resume(cursor)
        elif last_event_id is not None:
            after = 0
        if self._closed:
            return
        async with aclosing((edition or self._full).stream(after)) as frames:
            async for frame in frames:
                yield frame

    async def _resume(self, cursor: Position) -> int:
        """Where a subscriber goes on; 0, the whole, if the cursor is of another epoch or from too long ago.

        Raises:
            TemporarilyUnavailable: the log cannot be read.
        """
        if cursor.epoch == self._known.epoch and self._kept.mark_of(cursor.sequence) == cursor.mark:
            return cursor.sequence
        if cursor.epoch < self._known.epoch:
            return 0
        # Another node may have written it just now; if not, the store has gone back.
        async with self._reading:
            await self._read_and_tell(heartbeat=False)
            head, _, _ = await self.log.read(self._known.sequence, 1, cursor)
            if head.past == "other":
                await self._begin_anew(cursor)
            if head.past == "other" or head.epoch > cursor.epoch:
                await self._read_and_tell(heartbeat=False)
            elif head.past == "same":
                self._kept.remember({cursor.sequence: cursor.mark})
                return cursor.sequence
        return 0

    async def _mark_at(self, sequence: int) -> int | None:
        known = self._kept.mark_of(sequence)
        if known is None and self._known.sequence - sequence <= self.policy.near:
            kept, known = self._kept, await self.log.mark_at(sequence)
            if known is not None:
                kept.remember({sequence: known})
        return known

    async def _begin_anew(
        self, seen: Position, *, keep_sessions: bool = False, restored: bool = False
    ) -> None:
        """Open an epoch above what was *seen*: everything revoked since would be valid again otherwise."""
        fresh = await self.ring.fresh()
        if await self.log.open_epoch(seen, fresh, Origin(), keep_sessions=keep_sessions, restored=restored):
            _log.error(
                "the store is from the past: a new epoch begins after %d, every token is revoked", seen.epoch
            )

    async def _end_silent_streams(self) -> None:
        """End the streams once a heartbeat is overdue: a guard whose stream ends asks another node at once."""
        heartbeat = self.policy.heartbeat.total_seconds()
        while True:
            left = heartbeat - (self.monotonic() - self._read_at)
            await asyncio.sleep(left if left > 0 and not self._silent else min(heartbeat, _LOOK))
            with suppress(Exception):  # whatever it was is logged where the log is read in turn
                # Tried once more: after a pause of the whole process the log is readable as it was.
                await self.ensure_recent(heartbeat, patience=_LOOK)
            if self.monotonic() - self._read_at > heartbeat:
                if not self._silent:
                    _log.error("the revocation log has not been read for a heartbeat; the feed's streams end")
                self._silent = True
                self._end_streams()

    def _end_streams(self) -> None:
        for edition in (self._full, self._open):
            edition.listeners.close()

    def _catch_up(self) -> asyncio.Task[bool]:
        """The reading that is under way for those who wait, begun unless it is."""
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.create_task(self._tell(heartbeat=False))
            # Those who lost patience do not fetch its outcome.
            self._catching_up.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._catching_up

    async def _tell(self, *, heartbeat: bool) -> bool:
        """Read the log and say what is new, or at a heartbeat that nothing is; whether there was anything to say."""
        async with self._reading:
            return await self._read_and_tell(heartbeat=heartbeat)

    async def _read_and_tell(self, *, heartbeat: bool) -> bool:
        before = self._known
        await self._read()
        head = self._known
        if not heartbeat and head == before:
            return False
        for edition in (self._full, self._open):
            edition.tell(before)
        return True

    async def _read(self) -> None:
        began_at, read_at = self.monotonic(), self.now().timestamp()
        known, before = self._head, self._kept
        keys_at = before.keys_at
        kept, head = await read_on(
            self.log, before, known, page=self.policy.page, monotonic=self.monotonic, begin=self._begin_anew
        )
        if known is None or kept is not before or head.kids != known.kids or kept.keys_at != keys_at:
            await self.ring.reload()
        kept.forget(read_at, self.monotonic())
        self._kept, self._head = kept, head
        self._read_at, self._silent = began_at, False
        self.clock.compare(head.clock_ms, read_at)
        for edition in (self._full, self._open):
            edition.update(kept, head, read_at)

    @property
    def _known(self) -> Head:
        if self._head is None:
            raise TemporarilyUnavailable("the revocation log has not been read yet")
        return self._head
