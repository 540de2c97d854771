"""The feed as one circle of listeners gets it: signed, remembered, sent to all of them as the same bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import Final

import msgspec

from watchword.errors import InvalidToken, MissingCredentials, TemporarilyUnavailable
from watchword.protocol import revocation_list
from watchword.protocol.challenge import parse_authorization
from watchword.protocol.revocation_list import Entry, RevocationList
from watchword.server.feed.cursor import CursorCodec
from watchword.server.feed.retained import Kept
from watchword.server.feed.subscribers import Listeners
from watchword.server.keys.ring import KeyRing
from watchword.server.policies import FeedPolicy
from watchword.server.store.position import Head

__all__ = ["PIECE", "Edition", "Snapshot", "hears_all", "kill_instead", "pieces"]

PIECE: Final = 65_536
"""Bytes handed to a connection at once, so that a large snapshot waits here and not in the socket's buffer."""
_REPLIES: Final = 64
"""Signed deltas remembered: a fleet that comes back after a restart asks for the same few."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole feed as one signed message, and its entity tag."""

    body: bytes
    etag: str


def hears_all(authorization: Sequence[str | bytes], policy: FeedPolicy) -> bool:
    """Whether somebody who shows these ``Authorization`` values may read what users are, not only who is revoked.

    Raises:
        MissingCredentials: the feed is closed to strangers.
        InvalidRequest, InvalidToken: what is shown is not the feed's secret.
    """
    secret = policy.secret
    if authorization and secret is not None:
        credentials = parse_authorization(authorization)
        shown = sha256(credentials.token.encode()).digest()
        if credentials.scheme != "bearer" or not compare_digest(shown, sha256(secret.encode()).digest()):
            raise InvalidToken("this is not the secret of the feed")
        return True
    if policy.form == "closed":
        raise MissingCredentials
    return policy.form == "full"


def kill_instead(entry: Entry) -> Entry:
    """An entry as strangers may read it: what a user is now becomes the end of the tokens that say otherwise."""
    if entry.replaces:  # whose session it was is nobody else's business
        return msgspec.structs.replace(entry, replaces=())
    if entry.kind != "claims":
        return entry
    return msgspec.structs.replace(entry, kind="user", claims={}, clients=())


@dataclass(slots=True)
class Edition:
    """One edition of the feed.

    Args:
        ring: the key that signs it.
        issuer: the ``iss`` of every message.
        policy: heartbeat and queue.
        cursors: writes the places of listeners.
        monotonic: the clock nobody sets.
        show: each entry as this circle may read it.
    """

    ring: KeyRing
    issuer: str
    policy: FeedPolicy
    cursors: CursorCodec
    monotonic: Callable[[], float]
    show: Callable[[Entry], Entry] = lambda entry: entry
    listeners: Listeners = field(init=False)
    _kept: Kept = field(default_factory=Kept)
    _head: Head | None = None
    _read_at: float = 0
    _snapshot: Snapshot | None = None
    _snapshot_head: Head | None = None
    _snapshot_iat: float = 0
    _snapshot_at: float = 0
    _snapshot_frame: bytes = b""
    _replies: dict[int, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.listeners = Listeners(self.policy.queue)

    def update(self, kept: Kept, head: Head, read_at: float) -> None:
        """Stand on what was read of the log; *read_at* was taken before and is the ``iat`` of what is sent."""
        self._kept, self._head, self._read_at = kept, head, read_at
        self._replies.clear()

    def tell(self, before: Head) -> None:
        """Say to all listeners what is new since *before*, or that nothing is."""
        if not len(self.listeners):
            return
        if before.epoch == self._known.epoch and self._kept.mark_of(before.sequence) == before.mark:
            self.listeners.tell(self._frame(self.sign(before.sequence)))
        else:
            self.snapshot()
            self.listeners.tell(self._snapshot_frame)

    def snapshot(self) -> Snapshot:
        """Every kept entry, signed; made again when the log moved or the last one is a heartbeat old.

        A long one is worth some of the loop's time, so it is kept for a second though the log moves:
        caches between us and the guards may do the same, and a stream goes on where it ends.
        """
        if self._snapshot is None or self._is_outdated():
            head = self._snapshot_head = self._known
            body = self.sign(0)
            self._snapshot = Snapshot(body, f'"{head.epoch}-{head.sequence}-{int(self._read_at)}"')
            self._snapshot_iat, self._snapshot_at = self._read_at, self.monotonic()
            self._snapshot_frame = self._frame(body)
            self._kept.remember({head.sequence: head.mark})  # a delta may follow where it ends
        return self._snapshot

    def _is_outdated(self) -> bool:
        then, head = self._snapshot_head, self._known
        if then == head:
            return self._read_at - self._snapshot_iat >= self.policy.heartbeat.total_seconds()
        if then is None or (then.epoch, then.base, then.kids) != (head.epoch, head.base, head.kids):
            return True
        if len(self._kept) < self.policy.long:
            return True
        return self.monotonic() - self._snapshot_at >= self.policy.long_age.total_seconds()

    def delta(self, after: int) -> bytes:
        """What came past *after*, signed; a cursor from the future, and who lies far behind, gets the snapshot."""
        if not self._is_past(after):
            return self.snapshot().body
        if not self._is_near(after):
            # Strangers ask for any place: what is long is made once for all of them.
            body, ends = self.snapshot().body, self._snapshot_ends
            if after < ends or not ends:
                return body
            after = ends
        found = self._replies.get(after)
        if found is None:
            found = self.sign(after)
            if len(self._replies) < _REPLIES:
                self._replies[after] = found
        return found

    def answer(self, after: int, nonce: str) -> bytes:
        """The delta as of now, signed together with the asker's *nonce*; who lies far behind only hears how far.

        It is made for one asker, and strangers may ask, so it has to be small: the snapshot is made once for all.
        """
        return self.sign(after if self._is_near(after) else self._known.sequence, nonce=nonce)

    async def stream(self, after: int) -> AsyncGenerator[bytes, None]:
        """Server-sent events past *after*: first what was missed, then each message as it happens."""
        # Joined before the first message is built: nothing falls between the two.
        queue = self.listeners.join()
        try:
            for missed in self._first(after):
                for piece in pieces(missed):
                    yield piece
            while (frame := await queue.get()) is not None:
                for piece in pieces(frame):
                    yield piece
        finally:
            self.listeners.leave(queue)

    def sign(self, after: int, *, nonce: str = "") -> bytes:
        """The message of every kept entry past *after*, which counts as 0 when it is no place of ours."""
        after = after if self._is_past(after) else 0
        head, entries = self._known, self._kept.past(after)
        # Whoever hears that keys moved hears which ones sign the feed, the waiting one included.
        announced = after == 0 or any(entry.kind == "key" for entry in entries)
        message = RevocationList(
            iss=self.issuer,
            epoch=head.epoch,
            after=after,
            sequence=head.sequence,
            iat=round(self._read_at, 3),
            kids=head.kids,
            base=head.base,
            longest_life=int(head.longest_life.total_seconds()),
            entries=tuple(map(self.show, entries)),
            feed_keys=tuple(self.ring.feed_jwks()["keys"]) if announced else (),
            nonce=nonce,
            interval=self.policy.heartbeat.total_seconds(),
            mark=_shown(head.mark),
            after_mark=_shown(self._kept.mark_of(after)) if after else "",
        )
        return revocation_list.sign(message, self.ring.feed_key).encode()

    @property
    def _known(self) -> Head:
        if self._head is None:
            raise TemporarilyUnavailable("the revocation log has not been read yet")
        return self._head

    def _is_past(self, after: int) -> bool:
        return 0 < after <= self._known.sequence

    def _is_near(self, after: int) -> bool:
        return self._is_past(after) and self._known.sequence - after <= self.policy.near

    @property
    def _snapshot_ends(self) -> int:
        assert self._snapshot_head is not None
        return self._snapshot_head.sequence

    def _first(self, after: int) -> Sequence[bytes]:
        if self._is_near(after):
            return (self._frame(self.delta(after)),)
        self.snapshot()
        ends = self._snapshot_ends
        if self._is_past(after) and 0 < ends <= after:
            return (self._frame(self.delta(after)),)
        if not 0 < ends < self._known.sequence:
            return (self._snapshot_frame,)
        return self._snapshot_frame, self._frame(self.delta(ends))

    def _frame(self, message: bytes) -> bytes:
        cursor = self.cursors.mint(self._known.position, self._known.instance)
        return b"id: %b\nevent: revocations\ndata: %b\n\n" % (cursor.encode(), message)


def _shown(mark: int | None) -> str:
    return f"{mark:016x}" if mark else ""


def pieces(frame: bytes) -> Iterator[bytes]:
    """*frame* in parts that a connection can buffer."""
    for start in range(0, len(frame), PIECE):
        yield frame[start : start + PIECE]
