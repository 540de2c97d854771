"""The issuer as a guard hears it: its keys and its revocation feed, kept by one background thread."""

from __future__ import annotations

import logging
import math
import os
import secrets as entropy
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from watchword.errors import InvalidToken, TemporarilyUnavailable, WatchwordError
from watchword.guard.arguments import secret_in
from watchword.guard.asking import Asking
from watchword.guard.derived_key import RootSecrets
from watchword.guard.documents import DOCUMENT_LIMIT, Documents
from watchword.guard.exchange import token_in
from watchword.guard.keeper import Keeper
from watchword.guard.knowledge import Knowledge
from watchword.guard.pace import Pace
from watchword.guard.snapshot import SnapshotFile
from watchword.guard.transport import Transport
from watchword.guard.view import View
from watchword.protocol import revocation_list
from watchword.protocol.metadata import REVOCATIONS_PATH, REVOCATIONS_STREAM_PATH, TOKEN_PATH

__all__ = ["Issuer"]

_log = logging.getLogger("watchword.guard")

SWEEP_INTERVAL: Final = 60.0


class _Old(TemporarilyUnavailable):
    """What came is older than what is known."""

    def __init__(self) -> None:
        super().__init__("the issuer says less than it has said before")


class Issuer:
    """Follows one issuer. Nothing here runs in a request but ``view`` and ``want``.

    Args:
        url: the issuer's URL.
        knowledge: what it said so far.
        transport: how it is asked.
        prompt: the same, for questions that a request waits for.
        max_staleness: seconds of silence after which the feed counts as stale.
        file: where snapshots are kept.
        secret: what is shown to hear the whole feed.
        monotonic: the clock nobody sets.
    """

    def __init__(
        self,
        url: str,
        *,
        knowledge: Knowledge,
        transport: Transport,
        prompt: Transport,
        max_staleness: float,
        file: SnapshotFile | None = None,
        secret: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._knowledge = knowledge
        self._transport = transport
        self._prompt = prompt
        self._questions = Asking(self._ask, monotonic=monotonic)
        self._max_staleness = max_staleness
        self._keeper = None if file is None else Keeper(file, knowledge, note=self._note, monotonic=monotonic)
        self._secret = secret
        self._monotonic = monotonic
        self._documents = Documents(url, knowledge, transport, note=self._note, monotonic=monotonic)
        self._pace = Pace(monotonic)
        self._swept_at = -1e9
        self._error: str | None = None
        self._started_at: float | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._answered = threading.Event()
        self._closing = threading.Event()
        if self._keeper is not None:
            self._keeper.restore()

    @classmethod
    def create(
        cls,
        url: str,
        audience: str,
        *,
        secrets: bytes | str | Iterable[bytes | str] | None,
        feed_secret: str | None,
        max_staleness: float,
        patience: float,
        snapshot: str | os.PathLike[str] | None,
        clock: Callable[[], float],
        leeway: float = 30,
    ) -> Self:
        """Wire an issuer from a guard's arguments.

        Raises:
            ConfigurationError: the secrets or the snapshot cannot be used.
        """
        roots = None if secrets is None else RootSecrets.parse(secrets, issuer=url, audience=audience)
        return cls(
            url,
            knowledge=Knowledge(url, roots=roots, clock=clock, monotonic=time.monotonic, leeway=leeway),
            transport=Transport(),
            prompt=Transport(timeout=patience, patience=patience),
            max_staleness=max_staleness,
            file=None if snapshot is None else SnapshotFile(Path(snapshot), url),
            secret=secret_in(feed_secret),
        )

    @property
    def view(self) -> View:
        """What is known now."""
        return self._knowledge.view

    def want(self, kid: str) -> None:
        """Have the key set fetched when its turn comes: an attacker's kid costs one flag."""
        self._documents.want_keys()

    def age(self) -> float:
        """Seconds since the issuer was last heard; infinite when it never was."""
        return self._knowledge.age()

    def start(self) -> None:
        """Begin the background thread, unless it runs."""
        with self._lock:
            if self._closing.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            self._started_at = self._monotonic() if self._started_at is None else self._started_at
            self._thread = threading.Thread(target=self._run, name="watchword-guard", daemon=True)
            self._thread.start()
            if self._keeper is not None:
                self._keeper.start()

    def wait(self, seconds: float) -> None:
        """Wait for the first answer, at most until *seconds* after the first start: later uses never wait."""
        if self._started_at is not None:
            self._answered.wait(max(self._started_at + seconds - self._monotonic(), 0))

    def refresh(self) -> None:
        """Ask for everything now.

        Raises:
            TemporarilyUnavailable: an answer did not come or was not acceptable.
        """
        try:
            self._update(keys=True)
        except TemporarilyUnavailable:
            raise
        except WatchwordError as refused:
            raise TemporarilyUnavailable(refused.description) from refused
        self._answered.set()
        if self._keeper is not None:
            self._keeper.write()

    def confirm(self) -> Future[None]:
        """Ask for what is new, together with all who ask at the same time; done when it is known here."""
        return self._questions.begin()

    def exchange(self, kind: str, credential: str, audience: str) -> str:
        """Trade a credential for an access token.

        Raises:
            InvalidToken: it is refused.
            TooManyRequests: nobody was given it, nor many others that were asked about.
            TemporarilyUnavailable: there is no answer.
        """
        asked = msgspec.json.encode({kind: credential, "audience": audience})
        status, body = self._prompt.post(self._url + TOKEN_PATH, asked, limit=DOCUMENT_LIMIT)
        return token_in(status, body)

    def close(self) -> None:
        """End the thread and keep what is known."""
        self._closing.set()
        self._transport.hang_up()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(0.5)
        if self._keeper is not None:
            self._keeper.close()

    def forked(self) -> bool:
        """Be usable in a child process; returns whether a thread has to be begun again."""
        had_thread, self._thread = self._thread is not None, None
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self._closing, self._answered = threading.Event(), threading.Event()
        # Not set, although the parent may have heard a lot: it may have heard it long before the fork.
        self._started_at = None
        self._knowledge.forked()
        self._transport.forked()
        self._questions.forked()
        if self._keeper is not None:
            self._keeper.forked()
        return had_thread

    def health(self) -> dict[str, Any]:
        """State, age, cursor and the last thing that went wrong."""
        known, age = self._knowledge, self.age()
        return {
            "state": known.state(age, self._max_staleness),
            "age": round(age, 3) if math.isfinite(age) else None,
            "clock": known.time.clock,
            "epoch": known.epoch,
            "sequence": known.sequence,
            "entries": len(known.table),
            "kids": list(known.view.keys),
            "alarms": known.alarms,
            "error": self._error,
        }

    def _run(self) -> None:
        closing = self._closing
        while not closing.is_set():
            try:
                try:
                    if self._update() == "old":
                        raise _Old
                    self._answered.set()
                except (_Old, InvalidToken) as refused:
                    # An issuer that was rolled back learns it by the cursor alone, which is shown to its stream.
                    if not self._knowledge.cursor:
                        raise
                    self._note(refused.description)
                self._listen()
            except WatchwordError as refused:
                self._note(refused.description)
            except Exception as broken:  # whatever it was: a guard that stopped listening would go unseen
                self._note(f"{type(broken).__name__}: {broken}")
            if not self.view.cold and self.view.keys:
                self._answered.set()  # there is something to go by: from a snapshot, at least
            self._knowledge.tick()
            closing.wait(self._pace.pause())

    def _listen(self) -> None:
        """Take in the stream until it ends, falls silent or says what is no news.

        Raises:
            WatchwordError: it cannot be opened, broke off, or is no good any more: another may be.
        """
        known, pace = self._knowledge, self._pace
        url = self._documents.endpoint("watchword_revocations_stream_endpoint", REVOCATIONS_STREAM_PATH)
        # What is known needs no sending again, and a kept snapshot may be older than it.
        url += known.position
        pace.begin()
        for event in self._transport.events(
            url,
            limit=2 * revocation_list.MAX_SIZE,
            last_id=known.cursor or None,
            secret=self._secret,
            timeout=pace.patience,
            silence=lambda: pace.silence(known.interval),
        ):
            before = known.news
            outcome = self._accept(event.data)
            if outcome == "gap":
                known.cursor = ""
                return
            if outcome == "old":
                raise _Old
            known.cursor = event.id or ""
            if known.news > before:
                pace.heard()
                self._error = None
            self._tend()
            if self._closing.is_set():
                break
            if pace.silence(known.interval) <= 0:
                raise TemporarilyUnavailable("the stream repeats what was said long ago")

    def _update(self, *, keys: bool = False) -> str:
        with self._asking:
            documents, timeout = self._documents, self._pace.patience
            documents.read_metadata(timeout=timeout, now=keys)
            missing: TemporarilyUnavailable | None = None
            try:
                documents.read_keys(timeout=timeout, now=keys)
            except TemporarilyUnavailable as fault:
                missing = fault  # the feed brings keys, too
            url = documents.endpoint("watchword_revocations_endpoint", REVOCATIONS_PATH)
            outcome = self._accept(self._fetch(url + self._knowledge.position, timeout=timeout))
            if outcome == "gap":
                outcome = self._accept(self._fetch(url, timeout=timeout))
            if missing is not None and not self.view.keys:
                raise missing
        self._error = None if missing is None else missing.description
        self._tend()
        return outcome

    def _ask(self) -> None:
        """Ask what is new with a nonce, so that no cache on the way and no clock can pass off old news."""
        if self._closing.is_set():
            raise TemporarilyUnavailable("the guard is closed")
        for attempt in (1, 2, 3):
            self._documents.read_metadata()
            question = self._knowledge.question(entropy.token_urlsafe(12))
            url = self._documents.endpoint("watchword_revocations_endpoint", REVOCATIONS_PATH)
            body = self._fetch(
                f"{url}{self._knowledge.position or '?after=0'}&nonce={question.nonce}", by=self._prompt
            )
            try:
                outcome = self._knowledge.confirm(body, question)
                if outcome == "gap":
                    # Too much is missing for one answer, or a new epoch has begun.
                    self._knowledge.accept(self._fetch(url, by=self._prompt))
            except InvalidToken:
                # Perhaps under a feed key that was published since.
                self._documents.forget_metadata()
                if attempt == 3:
                    raise
                continue
            self._heard()
            if outcome == "fresh":
                break
            if outcome == "old" or attempt == 3:
                raise _Old
        self._read_keys()
        self._answered.set()

    def _tend(self) -> None:
        now = self._monotonic()
        self._read_keys()
        if now - self._swept_at > SWEEP_INTERVAL:
            self._swept_at = now
            self._knowledge.sweep()

    def _read_keys(self) -> None:
        try:
            self._documents.read_keys()
        except TemporarilyUnavailable as fault:
            if not self.view.keys:
                raise
            self._note(fault.description)  # the feed is well: it must not be left for that

    def _accept(self, text: str | bytes) -> str:
        try:
            outcome = self._knowledge.accept(text)
        except InvalidToken as refused:
            # Forged, or under a feed key we have not met: the metadata is asked again before the next try.
            self._documents.forget_metadata()
            self._knowledge.alarm(refused.description)
            raise
        self._heard()
        return outcome

    def _heard(self) -> None:
        if self._keeper is not None:
            self._keeper.moved()

    def _fetch(self, url: str, *, by: Transport | None = None, timeout: float | None = None) -> bytes:
        return (by or self._transport).get(
            url,
            limit=revocation_list.MAX_SIZE,
            accept="application/jwt",
            secret=self._secret,
            timeout=timeout,
        )

    def _note(self, what: str) -> None:
        if self._closing.is_set():
            return  # it was we who hung up
        if what != self._error:
            _log.warning("revocation feed of %s: %s", self._url, what)
        self._error = what
