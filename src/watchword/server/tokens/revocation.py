"""The revocation feed: the log, signed and sent to every guard.

One background task reads the log after each commit that moved it, signs one message and hands the
same bytes to every listener. A listener that falls behind is dropped, never buffered without bound:
it comes back and resumes from its cursor.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from watchword.errors import TemporarilyUnavailable
from watchword.protocol import revocation_list
from watchword.protocol.revocation_list import Entry, RevocationList
from watchword.server.keys.ring import KeyRing
from watchword.server.policies import FeedPolicy
from watchword.server.store.records import Head
from watchword.server.store.store import Revocations

__all__ = ["RevocationFeed", "Snapshot"]


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
        cursor_key: makes cursors that nobody else can.
    """

    log: Revocations
    ring: KeyRing
    issuer: str
    policy: FeedPolicy
    now: Callable[[], datetime]
    cursor_key: bytes = field(repr=False)
    _entries: dict[int, Entry] = field(default_factory=dict, repr=False)
    _head: Head | None = None
    _read_at: float = 0
    """Seconds since the epoch, taken before the head was last read: the ``iat`` of what is sent."""
    _snapshot: Snapshot | None = None
    _snapshot_at: float = 0
    _tokens: set[str] = field(default_factory=set, repr=False)
    _listeners: set[asyncio.Queue[bytes | None]] = field(default_factory=set, repr=False)
    _closed: bool = False

    async def start(self) -> None:
        """Read the log once, so that the first answer is complete."""
        await self._read()

    async def run(self) -> None:
        """Follow the log until cancelled: an event after each commit, a heartbeat in silence.

        While the log cannot be read nothing is sent, so that the guards see the silence.
        """
        moved = asyncio.Event()
        watcher = asyncio.create_task(self._watch(moved))
        try:
            while not self._closed:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.policy.heartbeat.total_seconds()):
                        await moved.wait()
                woken = moved.is_set()
                moved.clear()
                with suppress(TemporarilyUnavailable):
                    await self._tell(heartbeat=not woken)
        finally:
            watcher.cancel()

    async def poll(self) -> None:
        """Read the log and tell the listeners what is new, now."""
        await self._tell(heartbeat=False)

    def close(self) -> None:
        """End every stream, so that a drain need not wait for them."""
        self._closed = True
        for queue in list(self._listeners):
            _drop(queue)
        self._listeners.clear()

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
    def epoch(self) -> int:
        """The epoch of the log."""
        return self._known.epoch

    def is_token_revoked(self, jti: str) -> bool:
        """Whether this one token was revoked by its ``jti``."""
        return jti in self._tokens

    def snapshot(self) -> Snapshot:
        """Every kept entry, signed; made again when the log moved or the last one is a heartbeat old."""
        if (
            self._snapshot is None
            or self._read_at - self._snapshot_at >= self.policy.heartbeat.total_seconds()
        ):
            head = self._known
            body = self._sign(0, whole=True).encode()
            self._snapshot = Snapshot(body, f'"{head.epoch}-{head.sequence}-{int(self._read_at)}"')
            self._snapshot_at = self._read_at
        return self._snapshot

    def delta(self, after: int) -> bytes:
        """Every kept entry past *after*, signed; a cursor from the future gets the whole."""
        if not 0 < after <= self._known.sequence:
            return self.snapshot().body
        return self._sign(after).encode()

    async def stream(self, last_event_id: str | None = None) -> AsyncIterator[bytes]:
        """Server-sent events from the cursor on: first what was missed, then each message as it happens."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(self.policy.queue)
        after = self._cursor(last_event_id)
        self._listeners.add(queue)
        try:
            # Joined before the first message is built: nothing falls between the two.
            yield self._frame(self._sign(after) if after else self.snapshot().body.decode())
            while not self._closed:
                frame = await queue.get()
                if frame is None:
                    return
                yield frame
        finally:
            self._listeners.discard(queue)

    async def _watch(self, moved: asyncio.Event) -> None:
        while True:
            with suppress(TemporarilyUnavailable):
                async for _ in self.log.watch():
                    moved.set()
            await asyncio.sleep(0.1)

    async def _tell(self, *, heartbeat: bool) -> None:
        before = self._known
        await self._read()
        head = self._known
        if not heartbeat and head == before:
            return
        if not self._listeners:
            return
        after = before.sequence if before.epoch == head.epoch else 0
        frame = self._frame(self._sign(after, whole=after == 0))
        for queue in list(self._listeners):
            try:
                queue.put_nowait(frame)
            except asyncio.QueueFull:
                self._listeners.discard(queue)
                _drop(queue)

    async def _read(self) -> None:
        read_at = self.now().timestamp()
        known = self._head
        head, entries = await self.log.since(known.sequence if known else 0)
        if known is not None and head.epoch != known.epoch:
            self._entries.clear()
            self._tokens.clear()
            head, entries = await self.log.since(0)
        if known is None or head.kids != known.kids or head.epoch != known.epoch:
            await self.ring.reload()
        for entry in entries:
            self._entries[entry.sequence] = entry
            if entry.kind == "token":
                self._tokens.add(entry.id)
        if known is None or head != known:
            self._snapshot = None
        self._head, self._read_at = head, read_at
        self._forget(read_at)

    def _forget(self, now: float) -> None:
        dead = [sequence for sequence, entry in self._entries.items() if entry.exp and entry.exp < now]
        for sequence in dead:
            entry = self._entries.pop(sequence)
            if entry.kind == "token":
                self._tokens.discard(entry.id)

    @property
    def _known(self) -> Head:
        if self._head is None:
            raise TemporarilyUnavailable("the revocation log has not been read yet")
        return self._head

    def _sign(self, after: int, *, whole: bool = False) -> str:
        head = self._known
        return revocation_list.sign(
            RevocationList(
                iss=self.issuer,
                epoch=head.epoch,
                after=after,
                sequence=head.sequence,
                iat=round(self._read_at, 3),
                kids=head.kids,
                base=head.base,
                longest_life=int(head.longest_life.total_seconds()),
                entries=tuple(self._entries[s] for s in sorted(self._entries) if s > after),
                feed_keys=tuple(self.ring.feed_jwks()["keys"]) if whole else (),
            ),
            self.ring.feed_key,
        )

    def _frame(self, message: str) -> bytes:
        return f"id: {self._cursor_text()}\nevent: revocations\ndata: {message}\n\n".encode()

    def _cursor_text(self) -> str:
        head = self._known
        return f"{head.epoch}.{head.sequence}.{self._cursor_mac(head.epoch, head.sequence)}"

    def _cursor(self, text: str | None) -> int:
        """The sequence a cursor stands for; 0 where it is none of ours, of another epoch or from the future."""
        head = self._known
        parts = (text or "").split(".")
        if len(parts) != 3 or not parts[0].isdecimal() or not parts[1].isdecimal() or len(text or "") > 80:
            return 0
        epoch, sequence = int(parts[0]), int(parts[1])
        if not hmac.compare_digest(
            self._cursor_mac(epoch, sequence).encode(), parts[2].encode("utf-8", "replace")
        ):
            return 0
        return sequence if epoch == head.epoch and sequence <= head.sequence else 0

    def _cursor_mac(self, epoch: int, sequence: int) -> str:
        return hmac.digest(self.cursor_key, f"{epoch}.{sequence}".encode(), "sha256")[:12].hex()


def _drop(queue: asyncio.Queue[bytes | None]) -> None:
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(None)
