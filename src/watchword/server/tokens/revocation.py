"""The revocation feed: the log, signed and sent to every guard.

One background task reads the log after each commit that moved it, signs one message and hands the
same bytes to every listener.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from watchword.errors import TemporarilyUnavailable, WatchwordError
from watchword.protocol import revocation_list
from watchword.protocol.revocation_list import RevocationList
from watchword.server.keys.ring import KeyRing
from watchword.server.policies import FeedPolicy
from watchword.server.store.records import Head, Origin
from watchword.server.store.store import Revocations
from watchword.server.tokens.cursor import CursorCodec
from watchword.server.tokens.kept import Kept
from watchword.server.tokens.listeners import Listeners

__all__ = ["RevocationFeed", "Snapshot"]

_log = logging.getLogger("watchword.server")

_PIECE: Final = 65_536
"""Bytes handed to a stream at once, so that a large snapshot waits here and not in the socket's buffer."""
_REPLIES: Final = 64
"""Signed deltas remembered: a fleet that comes back after a restart asks for the same few."""
_BREATH: Final = 20e-6
"""Seconds of rest for each listener after an event: commits in a storm share a message."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole feed as one signed message, and its entity tag."""

    body: bytes
    etag: str


@dataclass(slots=True)
class RevocationFeed:
    """What guards fetch and listen to.

    Args:
        log: the log of what died.
        ring: the key ring, read again when the live keys change.
        issuer: the ``iss`` of every message.
        policy: heartbeat and queue.
        now: the clock.
        monotonic: the clock nobody sets.
        cursors: writes and reads the places of listeners.
    """

    log: Revocations
    ring: KeyRing
    issuer: str
    policy: FeedPolicy
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    cursors: CursorCodec
    _listeners: Listeners = field(init=False)
    _kept: Kept = field(default_factory=Kept)
    _head: Head | None = None
    _read_at: float = 0
    """Seconds since the epoch, taken before the head was last read: the ``iat`` of what is sent."""
    _snapshot: Snapshot | None = None
    _snapshot_at: float = 0
    _snapshot_frame: bytes = b""
    _replies: dict[int, bytes] = field(default_factory=dict, repr=False)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _closed: bool = False

    def __post_init__(self) -> None:
        self._listeners = Listeners(self.policy.queue)

    async def start(self) -> None:
        """Read the log once, so that the first answer is complete."""
        async with self._reading:
            await self._read()

    async def run(self) -> None:
        """Follow the log until cancelled: an event after each commit, a heartbeat in silence.

        While the log cannot be read nothing is sent, so that the guards see the silence.
        """
        moved = asyncio.Event()
        watcher = asyncio.create_task(self._watch(moved))
        heartbeat, time = self.policy.heartbeat.total_seconds(), asyncio.get_running_loop().time
        due = time() + heartbeat
        try:
            while not self._closed:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
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
                await asyncio.sleep(_BREATH * len(self._listeners))
        finally:
            watcher.cancel()

    async def poll(self) -> None:
        """Read the log and tell the listeners what is new, now."""
        await self._tell(heartbeat=False)

    def close(self) -> None:
        """End every stream, so that a drain need not wait for them."""
        self._closed = True
        self._listeners.close()

    @property
    def closed(self) -> bool:
        """Whether the streams have been ended for good."""
        return self._closed

    @property
    def listeners(self) -> int:
        """How many guards listen."""
        return len(self._listeners)

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

    async def went_back(self, epoch: int) -> None:
        """A refresh token of *epoch* that is ahead of its row proves that the store went back.

        Raises:
            TemporarilyUnavailable: the log cannot be used.
        """
        async with self._reading:
            await self._read_and_tell(heartbeat=False)
            while self._known.epoch <= epoch:
                await self._begin_anew((epoch, self._known.sequence))
                await self._read_and_tell(heartbeat=False)

    async def restored(self, *, keep_sessions: bool) -> None:
        """Begin a new epoch over a backup that was put back.

        Raises:
            TemporarilyUnavailable: the log cannot be used.
        """
        async with self._reading:
            epoch = self._known.epoch
            while self._known.epoch == epoch:
                await self._begin_anew((epoch, self._known.sequence), keep_sessions=keep_sessions)
                await self._read_and_tell(heartbeat=False)

    def is_token_revoked(self, jti: str) -> bool:
        """Whether this one token was revoked by its ``jti``."""
        return jti in self._kept.tokens

    def snapshot(self) -> Snapshot:
        """Every kept entry, signed; made again when the log moved or the last one is a heartbeat old."""
        if (
            self._snapshot is None
            or self._read_at - self._snapshot_at >= self.policy.heartbeat.total_seconds()
        ):
            head = self._known
            body = self._sign(0, whole=True).encode()
            self._snapshot = Snapshot(body, f'"{head.epoch}-{head.sequence}-{int(self._read_at)}"')
            self._snapshot_at, self._snapshot_frame = self._read_at, self._frame(body)
        return self._snapshot

    def delta(self, after: int) -> bytes:
        """Every kept entry past *after*, signed; a cursor from the future gets the whole."""
        if not 0 < after <= self._known.sequence:
            return self.snapshot().body
        found = self._replies.get(after)
        if found is None:
            found = self._sign(after).encode()
            if len(self._replies) < _REPLIES:
                self._replies[after] = found
        return found

    async def answer(self, after: int, nonce: str) -> bytes:
        """Every kept entry past *after* as the log stands now, signed together with the asker's *nonce*.

        Raises:
            TemporarilyUnavailable: the log cannot be read.
        """
        await self._tell(heartbeat=False)
        known = 0 < after <= self._known.sequence
        return self._sign(after if known else 0, whole=not known, nonce=nonce).encode()

    async def stream(self, last_event_id: str | None = None, *, after: int = 0) -> AsyncIterator[bytes]:
        """Server-sent events from a place on: first what was missed, then each message as it happens.

        Args:
            last_event_id: the ``id`` of the last event heard; it wins over *after*.
            after: a sequence that the listener already has from somewhere else.

        Raises:
            TemporarilyUnavailable: the log cannot be read.
        """
        cursor = self.cursors.parse(last_event_id)
        if cursor is not None:
            after = await self._resume(cursor)
        elif last_event_id is not None:
            after = 0
        # Joined before the first message is built: nothing falls between the two.
        queue = self._listeners.join()
        try:
            for piece in _pieces(self._first(after)):
                yield piece
            while not self._closed and (frame := await queue.get()) is not None:
                for piece in _pieces(frame):
                    yield piece
        finally:
            self._listeners.leave(queue)

    def _first(self, after: int) -> bytes:
        if 0 < after <= self._known.sequence:
            return self._frame(self.delta(after))
        self.snapshot()
        return self._snapshot_frame

    async def _resume(self, cursor: tuple[int, int]) -> int:
        """Where a listener goes on; 0, the whole, when he comes from another epoch.

        Raises:
            TemporarilyUnavailable: the log cannot be read.
        """
        if cursor > (self._known.epoch, self._known.sequence):
            # Another node may have written it just now; if not, the store has gone back.
            async with self._reading:
                await self._read_and_tell(heartbeat=False)
                if cursor > (self._known.epoch, self._known.sequence):
                    await self._begin_anew(cursor)
                    await self._read_and_tell(heartbeat=False)
        return cursor[1] if cursor[0] == self._known.epoch else 0

    async def _begin_anew(self, seen: tuple[int, int], *, keep_sessions: bool = False) -> None:
        """Open an epoch above what was *seen*: all that died since would live again otherwise."""
        fresh = await self.ring.fresh()
        if await self.log.open_epoch(seen, fresh, Origin(), keep_sessions=keep_sessions):
            _log.error(
                "the store is from the past: a new epoch begins after %d, every token is dead", seen[0]
            )

    async def _watch(self, moved: asyncio.Event) -> None:
        while True:
            with suppress(TemporarilyUnavailable):
                async for _ in self.log.watch():
                    moved.set()
            await asyncio.sleep(0.1)

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
        if not len(self._listeners):
            return True
        if before.epoch == head.epoch:
            frame = self._frame(self._sign(before.sequence).encode())
        else:
            self.snapshot()
            frame = self._snapshot_frame
        self._listeners.tell(frame)
        return True

    async def _read(self) -> None:
        read_at = self.now().timestamp()
        known, kept = self._head, self._kept
        keys_at = kept.keys_at
        while True:
            head, entries = await self.log.since(kept.last, self.policy.page)
            if known is not None and (head.epoch, head.sequence) < (known.epoch, known.sequence):
                await self._begin_anew((known.epoch, known.sequence))
            elif kept.epoch != head.epoch:
                kept = Kept(head.epoch)
            else:
                kept.add(entries, self.monotonic())
                if len(entries) < self.policy.page:
                    break
        if known is None or head.kids != known.kids or kept.keys_at != keys_at:
            await self.ring.reload()
        if head != known:
            self._snapshot = None
        kept.forget(read_at, self.monotonic())
        self._kept, self._head, self._read_at = kept, head, read_at
        self._replies.clear()

    @property
    def _known(self) -> Head:
        if self._head is None:
            raise TemporarilyUnavailable("the revocation log has not been read yet")
        return self._head

    def _sign(self, after: int, *, whole: bool = False, nonce: str = "") -> str:
        head, entries = self._known, self._kept.past(after)
        # Whoever hears that keys moved hears which ones sign the feed, the waiting one included.
        announced = whole or any(entry.kind == "key" for entry in entries)
        message = RevocationList(
            iss=self.issuer,
            epoch=head.epoch,
            after=after,
            sequence=head.sequence,
            iat=round(self._read_at, 3),
            kids=head.kids,
            base=head.base,
            longest_life=int(head.longest_life.total_seconds()),
            entries=entries,
            feed_keys=tuple(self.ring.feed_jwks()["keys"]) if announced else (),
            nonce=nonce,
        )
        return revocation_list.sign(message, self.ring.feed_key)

    def _frame(self, message: bytes) -> bytes:
        cursor = self.cursors.mint(self._known.epoch, self._known.sequence)
        return b"id: %b\nevent: revocations\ndata: %b\n\n" % (cursor.encode(), message)


def _pieces(frame: bytes) -> Iterator[bytes]:
    for start in range(0, len(frame), _PIECE):
        yield frame[start : start + _PIECE]
