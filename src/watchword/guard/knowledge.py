"""What the feed has said so far, put together: keys, head and table; in any order, never backwards."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from watchword.errors import InvalidKey, InvalidToken, TemporarilyUnavailable
from watchword.guard.derived_key import RootSecrets
from watchword.guard.pace import MISSED
from watchword.guard.revocations import Table
from watchword.guard.timeline import Timeline
from watchword.guard.view import View
from watchword.jose.jwk import Key, KeySet
from watchword.protocol import revocation_list
from watchword.protocol.revocation_list import Head, Received, RevocationList

__all__ = ["Accepted", "Knowledge", "Question"]

Accepted = Literal["fresh", "old", "gap"]

_log = logging.getLogger("watchword.guard")
_MAX_KEYS: Final = 256
_MAX_MARKS: Final = 256
_INTERVAL: Final = 5.0
"""Seconds between heartbeats, where no message states them."""
_SHORTEST, _LONGEST = 0.05, 300.0


class Question(NamedTuple):
    """What was sent along with a question, and when, by both clocks: one stands still while a machine sleeps."""

    nonce: str
    wall: float
    monotonic: float


class Knowledge:
    """Everything a guard knows of one issuer. One writer at a time; readers take ``view`` and no lock.

    Args:
        issuer: the ``iss`` of every message.
        roots: the root secrets shared with the issuer; public keys count beside them.
        clock: seconds since the epoch.
        monotonic: the clock nobody sets.
        leeway: seconds of difference between clocks that are nothing to speak of.
    """

    def __init__(
        self,
        issuer: str,
        *,
        roots: RootSecrets | None = None,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        leeway: float = 30,
    ) -> None:
        self.issuer = issuer
        self.table = Table(clock=clock, monotonic=monotonic)
        self.time = Timeline(
            clock=clock, monotonic=monotonic, leeway=leeway, alarm=self.alarm, warn=self.warn
        )
        self.view = View(KeySet(()), self.table, cold=True, time=self.time)
        self.epoch = 0
        self.sequence = 0
        self.mark = ""
        """What tells ``sequence`` from the same sequence of another past; empty if the issuer doesn't say."""
        self.cursor = ""
        """The issuer's own text for a position that was heard: whoever shows it proves that the log came so far."""
        self.kids: tuple[str, ...] = ()
        self.longest_life = 0
        self.interval = _INTERVAL
        self.alarms = 0
        self.news = 0
        """Rises with each message that says something newer than all before it."""
        self.retired_feed_kids: set[str] = set()
        self.feed_keys: tuple[Key, ...] = ()
        self.published: dict[str, dict[str, Any]] = {}
        """The public JWKs by kid, as they came: what a snapshot file keeps."""
        self._roots = roots
        self._clock = clock
        self._monotonic = monotonic
        self._keys: dict[str, Key] = {}
        self._foreign: set[str] = set()
        """Announced keys that are of no use here: another API's."""
        self._marks: dict[int, str] = {}
        """The marks of the last sequences the cursor was at."""
        self._head = (0, 0, 0.0)
        self._confirmed = Question("", -math.inf, -math.inf)
        self._iat_epoch = 0
        self._moved = False
        self._signer: str | None = None
        self._lock = threading.Lock()

    def age(self) -> float:
        """Seconds since the issuer was last heard.

        The larger of what the two clocks say: the wall clock sees messages that were held back, the
        monotonic one sees silence even where the wall clock is set wrong. An answer to a question needs
        no such care: it is younger than the question.
        """
        if self.view.cold:
            return math.inf
        confirmed = self._confirmed
        since = max(self._clock() - confirmed.wall, self._monotonic() - confirmed.monotonic, 0.0)
        return min(self.time.age, since)

    @property
    def iat(self) -> float:
        """The newest time of a message that is believed."""
        return self.time.iat

    def tick(self) -> None:
        """Look at the clocks again where no message comes: this machine's may have been set."""
        with self._lock:
            if abs(self.time.push - self.view.push) > 1:
                self._look()

    def state(self, age: float, max_staleness: float) -> str:
        """``cold``, ``live``, ``late`` (two heartbeats were missed) or ``stale``, with news of this *age*."""
        if self.view.cold:
            return "cold"
        if age > max_staleness:
            return "stale"
        return "late" if age > MISSED * self.interval else "live"

    def question(self, nonce: str) -> Question:
        """A question to be asked now."""
        return Question(nonce, self._clock(), self._monotonic())

    def confirm(self, text: str | bytes, question: Question) -> Accepted:
        """Merge the answer to *question*, and return the same as ``accept``.

        Raises:
            InvalidToken: as ``accept``.
            TemporarilyUnavailable: it answers another question.
        """
        with self._lock:
            message, signer = self._parse(text)
            answered = message.nonce == question.nonce
            outcome = self._merge(message, signer, answered=answered)
            if not answered:
                raise TemporarilyUnavailable("the issuer answered another question")
            if outcome == "fresh":
                self._confirmed = question
            return outcome

    def accept(self, text: str | bytes) -> Accepted:
        """Merge one message of the feed.

        Returns:
            ``fresh``: it carried the cursor forward or confirmed it; ``gap``: something before it is
            missing; ``old``: it says less than is known, which an honest issuer does not repeat.

        Raises:
            InvalidToken: it is forged, torn, another issuer's, or under a feed key that was replaced.
        """
        with self._lock:
            message, signer = self._parse(text)
            return self._merge(message, signer)

    def add_keys(self, jwks: Iterable[Mapping[str, Any]]) -> None:
        """Learn public keys of tokens; which of them live is for the feed to say."""
        with self._lock:
            self._learn(jwks)
            self._look()

    def set_feed_keys(self, jwks: Iterable[Mapping[str, Any]]) -> None:
        """Replace the keys of the feed, as the issuer's metadata says them."""
        with self._lock:
            self._set_feed_keys(jwks)

    @property
    def position(self) -> str:
        """The query that asks for what came since; empty if nothing is known."""
        if not self.sequence:
            return ""
        return f"?after={self.sequence}" + (f"&mark={self.mark}" if self.mark else "")

    @property
    def lacks_keys(self) -> bool:
        """Whether a key lives that is not known here."""
        return any(kid not in self._keys and kid not in self._foreign for kid in self.kids)

    def sweep(self) -> int:
        """Forget entries that no token is left for."""
        with self._lock:
            return self.table.sweep()

    def export(self) -> RevocationList:
        """All that is known as one message."""
        with self._lock:
            return RevocationList(
                iss=self.issuer,
                epoch=self.epoch,
                after=0,
                sequence=self.sequence,
                iat=self.iat,
                kids=self.kids,
                mark=self.mark,
                base=self.table.base,
                longest_life=self.longest_life,
                entries=tuple(self.table.entries()),
                feed_keys=tuple(key.public_jwk() for key in self.feed_keys),
            )

    def restore(
        self,
        message: Received,
        *,
        keys: Iterable[Mapping[str, Any]],
        retired: Iterable[str],
        cursor: str = "",
    ) -> None:
        """Begin with what an earlier process exported; it is as old as it was."""
        with self._lock:
            self.retired_feed_kids.update(retired)
            self._learn(keys)
            self.cursor = cursor
            self._merge(message, None)

    def forked(self) -> None:
        """Be usable in a child process, whatever the parent's threads held at the fork."""
        self._lock = threading.Lock()

    def alarm(self, what: str) -> None:
        """Count and log what should not happen with an honest issuer and network."""
        self.alarms += 1
        self.warn(what)

    def warn(self, what: str) -> None:
        """Log what the operator should know."""
        _log.warning("revocation feed of %s: %s", self.issuer, what)

    def _parse(self, text: str | bytes) -> tuple[Received, str]:
        refused = InvalidToken("no key of the revocation feed is known")
        for key in self.feed_keys:
            try:
                return revocation_list.receive(text, KeySet((key,)), issuer=self.issuer), key.kid
            except InvalidToken as reason:
                refused = reason
        raise refused

    def _merge(self, message: Received, signer: str | None, *, answered: bool = False) -> Accepted:
        if message.epoch < self.epoch:
            self.alarm(f"a message of epoch {message.epoch} after epoch {self.epoch}")
            return "old"
        # A time that has not come is no record: it would outbid what comes at the right time until the log moves.
        head = (message.epoch, message.sequence, min(message.iat, self.time.latest))
        if signer is not None and not self._count_signer(signer, newer=head > self._head):
            self.alarm("an old message under another feed key")
            return "old"
        if message.epoch > self.epoch:
            if self.epoch:
                _log.warning("revocation feed of %s: epoch %d begins", self.issuer, message.epoch)
            self.epoch, self.sequence, self.mark = message.epoch, 0, ""
            self._marks.clear()
        for entry in message.read():
            self.table.merge(entry)
            self._learn(entry.keys)
        self.table.base = max(self.table.base, message.base)
        if message.feed_keys and head >= self._head:
            self._set_feed_keys(message.feed_keys)
        if head >= self._head:
            self._head = head
            self.kids, self.longest_life = message.kids, message.longest_life
            self.interval = (
                min(max(message.interval, _SHORTEST), _LONGEST) if message.interval > 0 else _INTERVAL
            )
        outcome = self._move(message)
        if outcome == "fresh":
            self._hear(message, kept=signer is None, answered=answered)
        self._look(heard=outcome == "fresh")
        return outcome

    def _move(self, message: Head) -> Accepted:
        if message.after > self.sequence:
            return "gap"
        if message.sequence < self.sequence:
            self.alarm(f"sequence {message.sequence} after sequence {self.sequence}")
            return "old"
        if not self._continues(message):
            return "gap"
        self._moved = message.sequence > self.sequence
        self.sequence, self.mark = message.sequence, message.mark
        self._marks.pop(message.sequence, None)
        self._marks[message.sequence] = message.mark
        if len(self._marks) > _MAX_MARKS:
            del self._marks[next(iter(self._marks))]
        return "fresh"

    def _hear(self, message: Head, *, kept: bool, answered: bool) -> None:
        anew, self._iat_epoch = message.epoch > self._iat_epoch, message.epoch
        if kept:
            self.time.restore(message.iat)
        elif self.time.hear(message.iat, moved=self._moved, answered=answered, anew=anew):
            self.news += 1

    def _continues(self, message: Head) -> bool:
        """Whether *message* goes on from what is known here: from the same past, not only from the same length.

        A log that was rolled back may be longer than the one it replaces; then only the marks differ, and what came
        in between is in no delta.
        """
        if not message.after or not message.after_mark:
            return not message.after or not message.mark or not self.mark
        known = self._marks.get(message.after)
        if known is None and message.sequence == self.sequence:
            return message.mark == self.mark or not self.mark
        if not known:
            return not self.mark
        if known != message.after_mark:
            self.alarm(f"sequence {message.after} is another one than before: the log was rolled back")
            return False
        return True

    def _count_signer(self, kid: str, *, newer: bool) -> bool:
        """Once a newer feed key has spoken, the one before it never counts again."""
        if self._signer is not None and kid != self._signer:
            if not newer:
                return False
            self.retired_feed_kids.add(self._signer)
            self.feed_keys = tuple(key for key in self.feed_keys if key.kid != self._signer)
        self._signer = kid
        return True

    def _set_feed_keys(self, jwks: Iterable[Mapping[str, Any]]) -> None:
        keys = {key.kid: key for key in map(_public_key, jwks) if key is not None}
        self.feed_keys = tuple(key for kid, key in keys.items() if kid not in self.retired_feed_kids)

    def _learn(self, jwks: Iterable[Mapping[str, Any]]) -> None:
        for jwk in jwks:
            kid = jwk.get("kid")
            if not isinstance(kid, str) or kid in self._keys:
                continue  # a kid never gets another key: cached tokens hang on the object
            roots = self._roots if jwk.get("kty") == "oct" else None
            key = roots.key(jwk) if roots is not None else _public_key(jwk)
            if key is None:
                self._foreign.add(kid)
            else:
                self._keys[key.kid] = key
                self.published[key.kid] = dict(jwk)
        if len(self._keys) + len(self._foreign) > _MAX_KEYS:
            self._foreign &= set(self.kids)
            self._keys = {kid: key for kid, key in self._keys.items() if kid in self.kids}
            self.published = {kid: jwk for kid, jwk in self.published.items() if kid in self._keys}

    def _look(self, *, heard: bool = False) -> None:
        keys = (self._keys[kid] for kid in dict.fromkeys(self.kids) if kid in self._keys)
        live = KeySet(keys, mixed=self._roots is not None)
        cold = self.view.cold and not heard
        self.view = View(live, self.table, cold=cold, longest_life=self.longest_life, time=self.time)


def _public_key(jwk: Mapping[str, Any]) -> Key | None:
    """The key of a published JWK; one that cannot be used, or should not be public, is passed over."""
    if not isinstance(jwk, Mapping) or jwk.get("kty") == "oct" or "d" in jwk:
        return None
    try:
        return Key.parse(jwk)
    except InvalidKey:
        return None
